"""What happens to each packet of a measured web call, phase by phase. Pure, always the same.

A fate is how much later than at once a packet arrives, seconds; None: never.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench_parts.packet_traces import PacketTrace, parse
from bench_parts.traces import FOLDER

FRAME = 0.02
"""Seconds of a packet."""
Fate = float | None
_SEED = 12


@dataclass(frozen=True)
class Phase:
    """A stretch of a call with one kind of network.

    Attributes:
        name: for people.
        fates: of its packets, in the order they are sent.
        stalled: for a stall: when nothing gets through, from and to, seconds from its start.
        loss: for loss by chance: its share.
    """

    name: str
    fates: tuple[Fate, ...]
    stalled: tuple[float, float] | None = None
    loss: float | None = None

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.fates) * FRAME


@dataclass(frozen=True)
class Placed:
    """A phase and the number of its first packet."""

    phase: Phase
    first: int

    @property
    def begin(self) -> float:
        """Seconds from the start of the speech."""
        return self.first * FRAME

    @property
    def end(self) -> float:
        """The same, of its end."""
        return self.begin + self.phase.seconds


def calm(seconds: float, name: str = "calm") -> Phase:
    """Return a network that does nothing."""
    return Phase(name, (0.0,) * _count(seconds))


def stall(before: float, stall: float, after: float) -> Phase:
    """Return a calm network in which nothing gets through once; then all of it at once."""
    fates: list[Fate] = [0.0] * _count(before + after + stall)
    for number in range(_count(before), _count(before + stall)):
        fates[number] = before + stall - number * FRAME
    return Phase(f"stall of {stall * 1e3:.0f} ms", tuple(fates), stalled=(before, before + stall))


def loss(share: float, seconds: float) -> Phase:
    """Return a network that loses this share, 0–1, each by chance."""
    dice = random.Random(f"{_SEED} {share}")
    count = _count(seconds)
    lost = set(dice.sample(range(1, count), round(share * count)))
    fates = tuple(None if number in lost else 0.0 for number in range(count))
    return Phase(f"{share:.0%} loss", fates, loss=share)


def recorded(name: str, seconds: float) -> Phase:
    """Return the beginning of a recorded network of ``scripts/traces``."""
    return Phase(name, replayed(parse((FOLDER / f"{name}.packets").read_text()), seconds))


def replayed(trace: PacketTrace, seconds: float) -> tuple[Fate, ...]:
    """Return the fates of a trace, over and over until the time is up, the fastest at once."""
    delays = [None if way.arrived is None else way.arrived - way.sent for way in trace.ways]
    fastest = min(delay for delay in delays if delay is not None)
    fates = [None if delay is None else delay - fastest for delay in delays]
    return tuple(fates[number % len(fates)] for number in range(_count(seconds)))


def placed(phases: Sequence[Phase]) -> list[Placed]:
    """Return phases one after the other."""
    found, first = [], 0
    for phase in phases:
        found.append(Placed(phase, first))
        first += len(phase.fates)
    return found


def _count(seconds: float) -> int:
    return round(seconds / FRAME)
