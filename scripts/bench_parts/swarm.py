"""How many calls ``retell-voice swarm`` carries on time, with the emulator as the server.

::

    a process: retell-voice emulator ◀──── calls ──── another: retell-voice swarm

Both are the programs themselves. What they use is processor time as Linux counts it, the kernel's
work for their sockets included, from when all calls could have begun; what everything else on the
machine used meanwhile stands beside it, as figures of a busy machine are its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from bench_parts.children import child, next_line
from bench_parts.figures import Row, limited
from bench_parts.process import cpu_seconds
from retell_voice.swarm.figures import Figures, Times
from retell_voice.swarm.pace import LATE

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK = 0.1
_LONGEST = 180.0
KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "twilio": (
        ("--accept-any", "--dialect", "twilio", "--encoding", "mulaw", "--rate", "8000"),
        ("--dialect", "twilio", "--url", "ws://{host}/audio-websocket/{{}}"),
    ),
    "websocket": (("--accept-any",), ("--url", "ws://{host}/audio-websocket")),
    "webrtc": ((), ("--agent", "agent_parrot", "--api-url", "http://{host}")),
}
"""What is told to the emulator and to the swarm, by the kind of calls."""


def machine_seconds() -> float:
    """Return the processor time that everything on this machine has used."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS


async def _follow(process: asyncio.subprocess.Process, used: list[float]) -> None:
    """Keep what a process has used until it ends, after which nobody knows."""
    while process.returncode is None:
        used[:] = [cpu_seconds(process.pid)]
        await asyncio.sleep(_LOOK)


async def _measure(calls: int, kind: str, ramp: float, more: tuple[str, ...]) -> list[Row]:
    serve, call = KINDS[kind]
    async with child("-m", "retell_voice", "emulator", "--port", "0", *serve) as emulator:
        found = re.search(r"http://([^;\s]+)", await next_line(emulator, "the emulator"))
        host = found[1] if found else ""
        before, others = cpu_seconds(emulator.pid), machine_seconds()
        began = time.monotonic()
        target = [each.format(host=host) for each in call]
        command = ("swarm", "--calls", str(calls), "--ramp", f"{ramp:g}", "--json", *target, *more)
        os.environ["RETELL_API_KEY"] = "any"
        async with child("-m", "retell_voice", *command) as swarm:
            used = [0.0]
            following = asyncio.create_task(_follow(swarm, used))
            shown = json.loads(await next_line(swarm, "the swarm", _LONGEST))
            seconds = time.monotonic() - began
            following.cancel()
        serving = cpu_seconds(emulator.pid) - before
        others = machine_seconds() - others - serving - used[0]
    return rows(kind, Figures.read(shown), seconds, used[0], serving, others)


def rows(
    kind: str, figures: Figures, seconds: float, calling: float, serving: float, others: float
) -> list[Row]:
    """Return the lines of the table; the last three are seconds of processor time."""
    calls, late = max(1, figures.most), figures.times["late"]
    failed = sum(figures.failures.values()) + figures.left_out

    def share(used: float) -> str:
        percent = 100 * used / seconds
        return f"{percent:.0f} % of a core, {percent / calls:.2f} % a call"

    return [
        Row(f"{figures.calls} calls of a swarm at once, {kind}", f"{seconds:.0f} s"),
        limited("  calls that failed or were left out", failed, 0, target="0"),
        limited("  utterances without an answer", figures.unanswered, 0, target="0"),
        limited(
            "  frames sent late by (50, 95, 99 %, max)",
            late.percentile(99),
            LATE,
            _spread(late).replace("{", "{{").replace("}", "}}"),
            f"99 % ≤ {LATE * 1000:g} ms",
        ),
        Row("  answered after", _spread(figures.times["answer"])),
        Row("  connected after", _spread(figures.times["connect"])),
        Row("  gaps in what is heard", str(figures.times["gap"].count)),
        Row("  swarm uses", share(calling)),
        Row("  the emulator uses", share(serving)),
        Row("  (others on this machine use)", f"{100 * others / seconds:.0f} % of a core"),
    ]


def _spread(times: Times) -> str:
    values = [*(times.percentile(each) for each in (50, 95, 99)), times.highest]
    return " / ".join(f"{value * 1000:.1f}" for value in values) + " ms"


def run(
    calls: int = 100, kind: str = "twilio", ramp: float = 10.0, more: tuple[str, ...] = ()
) -> list[Row]:
    """Measure.

    Args:
        calls: how many.
        kind: one of ``KINDS``.
        ramp: seconds over which they are dialled.
        more: other options of ``retell-voice swarm``.
    """
    return asyncio.run(_measure(calls, kind, ramp, more))
