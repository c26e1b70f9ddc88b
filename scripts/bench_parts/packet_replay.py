"""A recorded trace of RTP packets through the packet playout, with no clock but the pull.

The packets hold real speech, as Opus with FEC. Beside it stands a buffer that does not adapt: it
plays each packet ``FIXED`` after the time at which it would have arrived had it been as fast as the
first, and what is not there then is lost to it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from bench_parts.figures import Row, percentile
from bench_parts.packet_traces import PacketTrace, parse
from retell_voice.audio.opus import OpusDecoder, OpusEncoder
from retell_voice.audio.packets.packet import Packet
from retell_voice.audio.packets.packet_playout import DEFAULT_TARGET, PacketPlayout
from retell_voice.audio.packets.packet_stream import Outcome
from retell_voice.devices.files import read_wav
from retell_voice.emulator.recordings import CALLER

FIXED = 0.082
"""What aiortc's own buffer holds on a calm network, seconds (after one loss, 0.282)."""
RATE = 24000
BLOCK = 0.01
_OVER = 0.02


@dataclass
class Second:
    """What a second came to; seconds of delay and depth as they were at its end."""

    delay: float
    target: float
    depth: float
    outcomes: Counter[Outcome]

    def __str__(self) -> str:
        words = [f"{count} {outcome}" for outcome, count in self.outcomes.items() if count]
        return (
            f"delay {self.delay * 1e3:4.0f} ms  target {self.target * 1e3:4.0f} ms  "
            f"depth {self.depth * 1e3:4.0f} ms  {', '.join(words)}"
        )


@dataclass
class PacketReplay:
    """What a trace came to; seconds."""

    seconds: list[Second]
    delays: list[float]
    """Of each block: how long the usual packet waits to be played."""
    received: float
    heard: float
    discarded: float
    concealed: float
    recovered: float
    played: float
    """From the first sound to the last packet's turn."""
    lost: int
    late: int
    fixed_late: int
    """Packets that come too late for the buffer that does not adapt."""

    @property
    def longest_over(self) -> float:
        """The longest time that the delay was 20 ms and more over its median."""
        usual = percentile(self.delays, 50)
        longest = run = 0
        for delay in self.delays:
            run = run + 1 if delay > usual + _OVER else 0
            longest = max(longest, run)
        return longest * BLOCK


@cache
def _speech(ms: int) -> tuple[bytes, ...]:
    samples, rate = read_wav(CALLER)
    encoder, size = OpusEncoder(rate), rate * ms // 1000
    places = range(0, len(samples) - size, size)
    return tuple(encoder.encode(samples[place : place + size]) for place in places)


def replay(trace: PacketTrace, target: tuple[float, float] = DEFAULT_TARGET) -> PacketReplay:
    """Push and pull a trace.

    Args:
        trace: when packets are sent and arrive.
        target: lowest and highest delay to aim at, seconds.
    """
    playout = PacketPlayout(RATE, OpusDecoder(RATE), target)
    speech, units = _speech(trace.ms), 48 * trace.ms
    arrivals = sorted(
        (way.arrived, index) for index, way in enumerate(trace.ways) if way.arrived is not None
    )
    waiting = deque(arrivals)
    out = np.zeros(round(BLOCK * RATE), np.int16)
    seconds: list[Second] = []
    delays: list[float] = []
    before = Counter(playout.counts.outcomes)
    while waiting:
        now = playout.position / RATE
        while waiting and waiting[0][0] <= now:
            index = waiting.popleft()[1]
            timestamp = round(trace.ways[index].sent * 48000)
            data = speech[index % len(speech)]
            playout.push(Packet(index % 2**16, timestamp % 2**32, units, data))
        playout.pull(out)
        if playout.delay:
            delays.append(playout.delay / RATE)
        if playout.position % RATE == 0:
            counts = Counter(playout.counts.outcomes)
            depths = (playout.delay / RATE, playout.target / RATE, playout.depth / RATE)
            seconds.append(Second(*depths, counts - before))
            before = counts
    counted, played = playout.counts, len(delays) * BLOCK
    playout.finishing = True
    while playout.depth:
        playout.pull(out)
    first_arrived, first = arrivals[0]
    fastest = first_arrived - trace.ways[first].sent
    return PacketReplay(
        seconds=seconds,
        delays=delays,
        received=len(arrivals) * trace.ms / 1000,
        heard=playout.heard / RATE,
        discarded=playout.discarded / RATE,
        concealed=counted.concealed / RATE,
        recovered=counted.recovered / RATE,
        played=played,
        lost=playout.packets.lost,
        late=playout.packets.late,
        fixed_late=sum(at > trace.ways[index].sent + fastest + FIXED for at, index in arrivals),
    )


def run(
    path: Path, target: tuple[float, float] = DEFAULT_TARGET, *, seconds: bool = True
) -> list[Row]:
    """Replay a trace file; prints each second, if wanted, and returns the rows."""
    trace = parse(path.read_text())
    result = replay(trace, target)
    if seconds:
        print(f"{path.name}: each second at its end")
        for number, second in enumerate(result.seconds, 1):
            print(f"  {number:4d} s  {second}")
    never = sum(way.arrived is None for way in trace.ways)
    middle, high, most = (percentile(result.delays, percent) for percent in (50, 95, 100))
    targets = [second.target for second in result.seconds] or [0.0]
    lost_to_fixed = (never + result.fixed_late) / len(trace.ways)
    return [
        Row(
            f"{path.name}: added delay, median / 95th percentile / most",
            f"{middle * 1e3:.0f} / {high * 1e3:.0f} / {most * 1e3:.0f} ms",
        ),
        Row("  longest time 20 ms and more over the median", f"{result.longest_over:.2f} s"),
        Row(
            "  target: least, most, last",
            f"{min(targets) * 1e3:.0f}, {max(targets) * 1e3:.0f}, {targets[-1] * 1e3:.0f} ms",
        ),
        Row(
            "  packets missing when due, of these late; recovered, concealed",
            f"{result.lost}, {result.late}; {result.recovered / result.played:.1%}, "
            f"{result.concealed / result.played:.1%}",
        ),
        Row(f"  a fixed buffer of {FIXED * 1e3:.0f} ms would lack", f"{lost_to_fixed:.1%}"),
        Row(
            "  received = heard + discarded",
            f"{result.received:.2f} = {result.heard:.2f} + {result.discarded:.2f} s",
            missed=abs(result.received - result.heard - result.discarded) > 1e-6,
        ),
    ]
