"""A recorded trace of arrivals through the jitter buffer, with no clock but the pull."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench_parts.figures import Row
from bench_parts.listen import gaps
from bench_parts.traces import Trace, parse
from retell_voice.audio.playout import DEFAULT_TARGET, Playout

BLOCK = 0.01
_TONE = 441.0
_OVER = 0.3


@dataclass
class Turn:
    """One utterance; seconds."""

    at: float
    target: float
    delays: list[float] = field(default_factory=list)
    """Of each block played, against a player that starts at the first byte and never waits."""

    def __str__(self) -> str:
        first, last = (self.delays[0], self.delays[-1]) if self.delays else (0.0, 0.0)
        return (
            f"{self.at:7.2f} s  delay {first * 1e3:4.0f} → {last * 1e3:4.0f} ms  "
            f"target {self.target * 1e3:4.0f} ms"
        )


@dataclass
class Replay:
    """What a trace came to."""

    rate: int
    turns: list[Turn]
    gaps: list[float]
    """Lengths of the silences within utterances, seconds."""
    underruns: int
    concealed: float
    received: float
    heard: float
    discarded: float


def replay(trace: Trace, target: tuple[float, float] = DEFAULT_TARGET) -> Replay:
    """Push and pull a trace.

    Args:
        trace: what arrives when. It is a tone without pauses, so that any silence within an
            utterance is a gap.
        target: lowest and highest depth of the jitter buffer, seconds.
    """
    rate = trace.rate
    playout = Playout(rate, target)
    waiting = deque(trace.arrivals)
    out = np.zeros(round(BLOCK * rate), np.int16)
    turns: list[Turn] = []
    received, pulled = 0, 0
    ideal_end = 0.0  # when a player that never waits has played all that arrived
    played_of_turn, heard_before = 0, 0
    pieces = []
    end = (trace.arrivals[-1].at if trace.arrivals else 0.0) + 2 * _OVER
    while pulled / rate < end or playout.depth:
        now = pulled / rate
        while waiting and waiting[0].at <= now:
            arrival = waiting.popleft()
            if arrival.samples is None:
                playout.clear()
                ideal_end = -_OVER
                continue
            if not turns or arrival.at - ideal_end >= _OVER:
                turns.append(Turn(arrival.at, playout.target / rate))
                ideal_end, played_of_turn = arrival.at, 0
            ideal_end = max(arrival.at, ideal_end + arrival.samples / rate)
            place = (received + np.arange(arrival.samples)) * 2 * np.pi * _TONE / rate
            playout.push((12000 * np.cos(place)).astype(np.int16))
            received += arrival.samples
        playout.pull(out)
        pieces.append(out.copy())
        if heard := playout.heard - heard_before:
            # What the block ends with, and when that would have sounded at the soonest.
            turn = turns[-1]
            played_of_turn += heard
            turn.delays.append(now + BLOCK - (turn.at + played_of_turn / rate))
        heard_before = playout.heard
        pulled += len(out)
        playout.reports.clear()
    found = gaps(np.concatenate(pieces), rate, most=_OVER)
    return Replay(
        rate=rate,
        turns=turns,
        gaps=[gap.length / rate for gap in found],
        underruns=playout.underruns,
        concealed=playout.concealed / rate,
        received=received / rate,
        heard=playout.heard / rate,
        discarded=playout.discarded / rate,
    )


def run(
    path: Path, target: tuple[float, float] = DEFAULT_TARGET, *, turns: bool = True
) -> list[Row]:
    """Replay a trace file; prints its utterances, if wanted, and returns the rows."""
    result = replay(parse(path.read_text()), target)
    if turns:
        print(f"{path.name}: utterances, delay at their first and last sound")
        for turn in result.turns:
            print(f"  {turn}")
    highest = max((delay for turn in result.turns for delay in turn.delays), default=0.0)
    targets = [turn.target for turn in result.turns] or [0.0]
    return [
        Row(
            f"{path.name}: gaps, silence, underruns",
            f"{len(result.gaps)}, {sum(result.gaps) * 1e3:.0f} ms, {result.underruns}",
        ),
        Row("  concealed", f"{result.concealed * 1e3:.0f} ms"),
        Row("  most delay against a player that never waits", f"{highest * 1e3:.0f} ms"),
        Row(
            "  target: first, most, last",
            f"{targets[0] * 1e3:.0f}, {max(targets) * 1e3:.0f}, {targets[-1] * 1e3:.0f} ms",
        ),
        Row(
            "  received = heard + discarded",
            f"{result.received:.2f} = {result.heard:.2f} + {result.discarded:.2f} s",
            missed=abs(result.received - result.heard - result.discarded) > 1e-6,
        ),
    ]
