"""How many simultaneous calls one process carries before a frame is late.

::

    this process: the callers, retell_voice.Call with null devices, both sides speak all the time
    another:      the server, which sends 20 ms frames in real time and dates those that come

A frame's lateness is its arrival less when it was due: 20 ms after the one before it, counted
from the frame of that call that came soonest after it was due. *Late* is a step in which the
99th percentile is more than a frame (20 ms) or any frame is more than 100 ms late.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from bench_parts.figures import REPO, Row, percentile
from bench_parts.process import cpu_seconds, memory

RATE = 16000
FRAME = 0.02
LATE = FRAME
VERY_LATE = 0.1
STEPS = (50, 100, 150, 200, 250, 300, 400)
_SETTLE = 2.0
_RAMP = 0.02
"""Seconds between the beginnings of two calls."""


def lateness(arrivals: list[float], frame: float = FRAME) -> list[float]:
    """Return how late each frame of a call was, seconds."""
    offsets = [arrival - number * frame for number, arrival in enumerate(arrivals)]
    soonest = min(offsets, default=0.0)
    return [offset - soonest for offset in offsets]


def is_late(late: list[float]) -> bool:
    """Return whether frames of this lateness, seconds, are more than a call can bear."""
    return not late or percentile(late, 99) > LATE or max(late) > VERY_LATE


class _Server:
    """The server's process."""

    def __init__(self) -> None:
        self._arrivals: dict[ServerConnection, list[float]] = {}

    async def run(self) -> None:
        """Serve until standard input ends; a line on it asks for lateness since the last."""
        loop = asyncio.get_running_loop()
        commands = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
        async with serve(
            self._hold, "127.0.0.1", 0, compression=None, ping_interval=None
        ) as server:
            sending = asyncio.create_task(self._speak())
            print(server.sockets[0].getsockname()[1], flush=True)
            before, began = 0.0, 0.0
            while line := (await commands.readline()).decode().strip():
                late = [each for times in self._arrivals.values() for each in lateness(times)]
                counts = [len(times) for times in self._arrivals.values()]
                if line == "report":
                    figures = {
                        "p50": percentile(late, 50),
                        "p95": percentile(late, 95),
                        "p99": percentile(late, 99),
                        "max": max(late, default=float("nan")),
                        "late": sum(each > LATE for each in late) / max(1, len(late)),
                        "fewest": min(counts, default=0),
                        "calls": len(counts),
                        "is_late": is_late(late),
                        "cpu": (cpu_seconds(os.getpid()) - before) / (time.monotonic() - began),
                    }
                    print(json.dumps(figures), flush=True)
                for times in self._arrivals.values():
                    times.clear()
                gc.collect()  # its own pauses would be taken for the callers'
                gc.freeze()
                before, began = cpu_seconds(os.getpid()), time.monotonic()
            sending.cancel()

    async def _hold(self, socket: ServerConnection) -> None:
        times = self._arrivals[socket] = []
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    times.append(time.monotonic())  # noqa: PERF401 - each as it comes
        except ConnectionClosed:
            pass
        self._arrivals.pop(socket, None)

    async def _speak(self) -> None:
        """Send every caller a frame each 20 ms; the callers' turns are spread over them."""
        frame = (b"\x10\x27" * 2 + b"\xf0\xd8" * 2) * (round(RATE * FRAME) // 4)
        start, number, slots = time.monotonic(), 0, 10
        while True:
            number += 1
            await asyncio.sleep(max(0.0, start + number * FRAME / slots - time.monotonic()))
            # It makes one message for all of them: what is measured is not this process.
            broadcast(list(self._arrivals)[number % slots :: slots], frame)


async def _watch(call: Any) -> None:
    async for _ in call:
        pass


async def carry(port: int, ask: Any, steps: tuple[int, ...], seconds: float, tell: Any) -> int:
    """Add calls step by step until frames are late; return how many were carried."""
    from retell_voice import AudioFormat, Call  # noqa: PLC0415 - only the callers need it
    from retell_voice.devices.files import NullMicrophone, NullSpeaker  # noqa: PLC0415

    audio = AudioFormat(rate=RATE)
    carried, pid = 0, os.getpid()
    async with AsyncExitStack() as stack:
        watchers: list[asyncio.Task[None]] = []
        for step in steps:
            while len(watchers) < step:
                call = Call(
                    f"call_{len(watchers)}",
                    url=f"ws://127.0.0.1:{port}/audio-websocket",
                    audio=audio,
                    microphone=NullMicrophone(RATE),
                    speaker=NullSpeaker(RATE),
                    connect_timeout=30.0,
                )
                watchers.append(asyncio.create_task(_watch(await stack.enter_async_context(call))))
                await asyncio.sleep(_RAMP)
            await asyncio.sleep(_SETTLE)
            gc.collect()
            gc.freeze()
            ask("reset", answer=False)
            before, began = cpu_seconds(pid), time.monotonic()
            await asyncio.sleep(seconds)
            figures = await asyncio.to_thread(ask, "report")
            used = (cpu_seconds(pid) - before) / (time.monotonic() - began) * 100
            whole = figures["calls"] == step and figures["fewest"] > 0.9 * seconds / FRAME
            tell(step, figures, used, memory(pid))
            if figures["is_late"] or not whole:
                break
            carried = step
    return carried


def run(*, steps: tuple[int, ...] = STEPS, seconds: float = 8.0) -> list[Row]:
    """Search upward for the number of calls that one process carries."""
    # As the programs do, and as the documentation tells whoever uses the library.
    sys.setswitchinterval(0.0005)
    rows: list[Row] = []

    def tell(step: int, figures: dict[str, Any], used: float, size: float) -> None:
        values = " / ".join(f"{figures[key] * 1e3:.1f}" for key in ("p50", "p95", "p99", "max"))
        server_used = f"the server's {figures['cpu'] * 100:.0f} %"
        text = f"{values} ms, CPU {used:.0f} % ({server_used}), {size:.0f} MB"
        print(f"calls: {step}: {text}", file=sys.stderr)
        rows.append(Row(f"  {step} calls: late p50 / p95 / p99 / max", text))

    code = "import asyncio; from bench_parts.farm import _Server; asyncio.run(_Server().run())"
    server = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {_paths()!r}; {code}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    stdin, stdout = server.stdin, server.stdout

    def ask(line: str, *, answer: bool = True) -> Any:
        stdin.write(line + "\n")
        stdin.flush()
        return json.loads(stdout.readline()) if answer else None

    try:
        port = int(stdout.readline())
        carried = asyncio.run(carry(port, ask, steps, seconds, tell))
    finally:
        stdin.close()
        try:
            server.wait(5.0)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        stdout.close()
    most = "at least " if carried == steps[-1] else ""
    head = Row("calls in one process", f"{most}{carried}", "≥ 200", missed=carried < 200)
    return [head, *rows]


def _paths() -> list[str]:
    return [str(REPO), str(REPO / "scripts"), str(REPO / "tests")]
