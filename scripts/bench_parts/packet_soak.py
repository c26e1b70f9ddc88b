"""A long web call on a bad network: is memory flat, and does every packet add up?

::

    sent = dropped by the network + received
    received = heard + discarded + queued        audio, exactly
    dropped by the network = lost − late         a late one was missing first
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.card import VirtualCard
from support.gateway import gateway

from bench_parts import packet_programs as programs
from bench_parts.figures import Row, limited
from bench_parts.packet_gateway import MeasuredGateway, Speech, recorded_speech
from bench_parts.packet_weather import FRAME, recorded
from bench_parts.process import memory
from bench_parts.server import BenchError
from bench_parts.soak import slope

NETWORK = "jitter-60ms-loss-5"
_SPEECH = 60.0
_EVERY = 5.0
"""Seconds between two looks at the memory."""
_WARM = 0.25
"""Share of the run after which memory must be flat."""
_EXACT = 0.001
"""Seconds of audio that rounding may cost: figures come in microseconds."""
_FIRST = 5
"""Packets of the first moments: sent, but nobody listened yet."""
_GROWTH = 2.0


@dataclass
class Soaked:
    """What a run came to: minutes, PSS and RSS now and then; packets by the relay's count; our
    frames by the gateway's count, and their pace; the program's last figures."""

    minutes: float
    sizes: list[tuple[float, float, float]] = field(default_factory=list)
    passed: int = 0
    dropped: int = 0
    frames: int = 0
    pace: float = 0.0
    statistics: dict[str, Any] = field(default_factory=dict)


def run(
    card: VirtualCard, *, route: str, minutes: float = 10.0, tell: Callable[[str], None] = print
) -> list[Row]:
    """Hold one web call of that length at 5 % loss and 60 ms of jitter.

    Raises:
        BenchError: the program did not call, or ended by itself.
    """
    return rows(asyncio.run(_hold(card.through(route), minutes, tell)))


async def _hold(env: dict[str, str], minutes: float, tell: Callable[[str], None]) -> Soaked:
    fates = recorded(NETWORK, 30.0).fates
    speech = Speech(recorded_speech(_SPEECH), endless=True)
    door = MeasuredGateway(speech, lambda number: fates[number % len(fates)] if number >= 0 else 0)
    door.arrivals.keep = False
    found = Soaked(minutes)
    async with gateway(door), programs.ours(door, env) as caller:
        begin = speech.start()
        await asyncio.sleep(begin - time.monotonic())
        before, since = door.arrivals.count, door.arrivals.last
        while (now := time.monotonic()) < begin + 60 * minutes:
            assert caller.process is not None
            if caller.process.returncode is not None:
                raise BenchError(f"the program ended after {(now - begin) / 60:.1f} min")
            sizes = memory(caller.pid), memory(caller.pid, "Rss")
            found.sizes.append(((now - begin) / 60, *sizes))
            if len(found.sizes) % 12 == 1:
                tell(f"webrtc-soak: {(now - begin) / 60:.1f} min, {sizes[0]:.1f} MB")
            await asyncio.sleep(min(_EVERY, max(0.05, begin + 60 * minutes - now)))
        assert door.relay is not None
        door.relay.muted = True  # what is on its way arrives, and is counted on both sides
        await asyncio.sleep(0.5)
        arrivals = door.arrivals
        found.pace = (arrivals.count - before) * FRAME / (arrivals.last - since)
        await caller.end()
        found.passed, found.dropped = door.relay.passed, door.relay.dropped
        found.frames = arrivals.count
    found.statistics = caller.statistics()
    return found


def rows(found: Soaked) -> list[Row]:
    """Return the table; its first row is the verdict."""
    figures, packets = found.statistics, found.statistics["packets"]
    warm = [each for each in found.sizes if each[0] >= _WARM * found.minutes] or found.sizes
    growth = slope([(at, resident) for at, _, resident in warm]) * found.minutes
    received = packets["received"] * FRAME
    accounted = figures["heard"] + figures["discarded"] + figures["playout_depth"]
    never_came = packets["lost"] - packets["late"]
    sizes = [size for _, size, _ in found.sizes]
    table = [
        Row("  memory, first, last, most", f"{sizes[0]:.1f}, {sizes[-1]:.1f}, {max(sizes):.1f} MB"),
        limited("  growth in that time, by its slope", growth, _GROWTH, "{:.2f} MB"),
        limited("  packets that passed, not received", found.passed - packets["received"], _FIRST),
        limited(
            "  audio received, neither heard, discarded nor queued",
            abs(received - accounted),
            _EXACT,
            "{:.3f} s",
        ),
        limited("  packets dropped, not counted as lost", abs(found.dropped - never_came), _FIRST),
        limited("  our frames, not at the gateway", abs(figures["frames_sent"] - found.frames), 1),
        Row(
            "  frames arrived by the clock's count",
            f"{found.pace:.3%}",
            "99.9–100.1 %",
            missed=not abs(found.pace - 1) <= 0.001,
        ),
        limited("  frames dropped, messages malformed", _troubles(figures), 0, target="0"),
        Row(
            "  gaps at microphone and speaker, which are the machine's",
            f"{figures['capture_xruns']}, {figures['playback_xruns']}",
        ),
        Row(
            "  packets: received, lost, late; recovered, concealed",
            f"{packets['received']}, {packets['lost']}, {packets['late']}; "
            f"{packets['recovered']:.1f} s, {figures['concealed']:.1f} s",
        ),
    ]
    missed = [row.what.strip() for row in table if row.missed]
    verdict = f"not: {'; '.join(missed)}" if missed else "yes"
    what = f"web call of {found.minutes:g} min, 5 % loss: memory is flat, everything adds up"
    return [Row(what, verdict, "yes", missed=bool(missed)), *table]


def _troubles(figures: dict[str, Any]) -> int:
    return sum(figures[each] for each in ("frames_dropped", "malformed_messages"))
