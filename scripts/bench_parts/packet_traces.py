"""Recorded ways of RTP packets through a network: their format, and how the examples were made.

A trace is a text file, its name ends in ``.packets``. A line is a packet: when it was sent and when
it arrived, in ms on clocks that need not agree, or ``lost``. The length of a packet in ms comes
first, a # begins a comment::

    # a packet that is lost, two that arrive in the wrong order
    packets 20
    0.0   31.2
    20.0  lost
    40.0  80.5
    60.0  79.9
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

from bench_parts.traces import FOLDER, TraceError

_SEED = 12
_MS = 20
_SECONDS = 30


@dataclass(frozen=True)
class Way:
    """A packet's way, seconds: ``arrived`` is None for one that is lost."""

    sent: float
    arrived: float | None


@dataclass(frozen=True)
class PacketTrace:
    """Packets in the order they were sent, each ``ms`` long."""

    ms: int
    ways: tuple[Way, ...]


def parse(text: str) -> PacketTrace:
    """Read a trace.

    Raises:
        TraceError: it is not one.
    """
    ms = 0
    ways: list[Way] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            first, second = words
            if first == "packets":
                if ms:
                    raise ValueError("their length comes once, and first")
                ms = int(second)
                if ms not in (10, 20, 40, 60):
                    raise ValueError("a packet lasts 10, 20, 40 or 60 ms")
                continue
            if not ms:
                raise ValueError("no line `packets MS` before it")
            sent = float(first) / 1000
            arrived = None if second == "lost" else float(second) / 1000
            if not math.isfinite(sent) or sent < (ways[-1].sent if ways else 0):
                raise ValueError("times begin at 0 or later and packets are sent in order")
            if arrived is not None and not 0 <= arrived < math.inf:
                raise ValueError("a packet arrives at 0 or later, or is lost")
        except ValueError as error:
            raise TraceError(f"line {number}, {line.strip()!r}: {error}") from None
        ways.append(Way(sent, arrived))
    if all(way.arrived is None for way in ways):
        raise TraceError("no packet arrives")
    return PacketTrace(ms, tuple(ways))


def dump(trace: PacketTrace, comment: str = "") -> str:
    """Write a trace; ``parse`` reads it back, times to a tenth of a millisecond."""
    lines = [f"# {line}" for line in comment.splitlines()] + [f"packets {trace.ms}"]
    for way in trace.ways:
        arrived = "lost" if way.arrived is None else f"{way.arrived * 1000:.1f}"
        lines.append(f"{way.sent * 1000:.1f} {arrived}")
    return "\n".join(lines) + "\n"


def _calm(dice: random.Random, sent: float) -> float | None:
    return sent + 0.03 + dice.uniform(0, 0.004)


def _stall(dice: random.Random, sent: float) -> float | None:
    arrived = sent + 0.03 + dice.uniform(0, 0.004)
    return 12.2 + dice.uniform(0, 0.002) if 12.0 <= arrived < 12.2 else arrived


def _rough(dice: random.Random, sent: float) -> float | None:
    return None if dice.random() < 0.05 else sent + 0.03 + dice.uniform(0, 0.06)


def _wifi(dice: random.Random, sent: float) -> float | None:
    """Some ms for most, a heavy tail, losses in bursts, and the air taken twice a second."""
    if int(sent * 50) % 97 < 3:
        return None
    taken = int(sent * 2) / 2 + 0.3
    arrived = sent + 0.01 + min(0.08, dice.lognormvariate(-5.3, 0.9))
    return max(arrived, taken + 0.05) if taken <= arrived < taken + 0.05 else arrived


_EXAMPLES = {
    "calm": (_calm, "up to 4 ms of jitter"),
    "stall-200ms": (_stall, "up to 4 ms of jitter, and one stall of 200 ms"),
    "jitter-60ms-loss-5": (_rough, "up to 60 ms of jitter, which reorders; 5 % are lost"),
    "wifi": (
        _wifi,
        "a heavy tail, three lost in a row now and then, 50 ms of silence twice a second",
    ),
}


def examples() -> dict[str, str]:
    """Return the example traces, by file name; always the same."""
    texts = {}
    for name, (arrival, comment) in _EXAMPLES.items():
        dice = random.Random(f"{_SEED} {name}")
        times = [index * _MS / 1000 for index in range(_SECONDS * 1000 // _MS)]
        ways = tuple(Way(sent, arrival(dice, sent)) for sent in times)
        made_by = f"{comment}\nmade by: scripts/bench replay --make-examples"
        texts[f"{name}.packets"] = dump(PacketTrace(_MS, ways), made_by)
    return texts


def make_examples(folder: Path = FOLDER) -> list[Path]:
    """Write the example traces and return their paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, text in examples().items():
        (folder / name).write_text(text)
        paths.append(folder / name)
    return paths
