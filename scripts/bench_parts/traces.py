"""Recorded arrivals of agent audio: their format, and how the examples were made.

A trace is a text file. A line is what arrived: when, in ms since the first, and the number of
its samples, or ``clear``. ``rate`` in Hz comes first, a # begins a comment::

    # a stall of 180 ms
    rate 24000
    0.0     480
    20.1    480
    1200.0  clear
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).absolute().parent.parent / "traces"
_SEED = 5
_RATE = 24000
_FRAME = 0.02
_UTTERANCES = 8
_SECONDS = 3.0
_PAUSE = 1.0


class TraceError(ValueError):
    """A trace cannot be read; the text says which line and why."""


@dataclass(frozen=True)
class Arrival:
    """What arrived: ``at`` in seconds, and its samples, None for a ``clear``."""

    at: float
    samples: int | None


@dataclass(frozen=True)
class Trace:
    """Arrivals in order, and the rate of their samples, Hz."""

    rate: int
    arrivals: tuple[Arrival, ...]


def parse(text: str) -> Trace:
    """Read a trace.

    Raises:
        TraceError: it is not one.
    """
    rate = 0
    arrivals: list[Arrival] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            first, second = words
            if first == "rate":
                if rate or arrivals:
                    raise ValueError("the rate comes once, and first")
                rate = int(second)
                if not 1000 <= rate <= 192_000:
                    raise ValueError("a rate is 1000 to 192000 Hz")
                continue
            at = float(first) / 1000
            samples = None if second == "clear" else int(second)
            if not math.isfinite(at) or at < (arrivals[-1].at if arrivals else 0):
                raise ValueError("times begin at 0 or later and do not go back")
            if samples is not None and samples < 1:
                raise ValueError("a message has at least one sample")
        except ValueError as error:
            raise TraceError(f"line {number}, {line.strip()!r}: {error}") from None
        arrivals.append(Arrival(at, samples))
    if not rate:
        raise TraceError("no line `rate HZ` before the first arrival")
    return Trace(rate, tuple(arrivals))


def dump(trace: Trace, comment: str = "") -> str:
    """Write a trace; ``parse`` reads it back, times to a tenth of a millisecond."""
    lines = [f"# {line}" for line in comment.splitlines()] + [f"rate {trace.rate}"]
    for each in trace.arrivals:
        samples = "clear" if each.samples is None else str(each.samples)
        lines.append(f"{each.at * 1000:.1f} {samples}")
    return "\n".join(lines) + "\n"


def _in_order(times: Iterable[float]) -> list[float]:
    """Delay each arrival to that of the one before: nothing overtakes in a WebSocket."""
    latest, ordered = 0.0, []
    for at in times:
        latest = max(latest, at)
        ordered.append(latest)
    return ordered


def _spoken(dice: random.Random, kind: str) -> list[Arrival]:
    frames = round(_SECONDS / _FRAME)
    samples = round(_RATE * _FRAME)
    arrivals: list[Arrival] = []
    for utterance in range(_UTTERANCES):
        begin = utterance * (_SECONDS + _PAUSE)
        times = [begin + number * _FRAME for number in range(frames)]
        if kind == "steady":
            times = [at + dice.uniform(0, 0.002) for at in times]
        elif kind == "stalls":
            held = dice.randrange(frames // 4, 3 * frames // 4)
            free = times[held] + 0.18
            times = [max(at, free) if number >= held else at for number, at in enumerate(times)]
        else:
            # Some ms for most, a heavy tail, and now and then the air is taken for a while.
            times = [at + min(0.06, dice.lognormvariate(-5.5, 0.9)) for at in times]
            for _ in range(2):
                taken = begin + dice.uniform(0.2, _SECONDS)
                free = taken + dice.uniform(0.05, 0.12)
                times = [max(at, free) if taken <= at else at for at in times]
        arrivals += [Arrival(at, samples) for at in _in_order(times)]
    return arrivals


def _bursts(dice: random.Random) -> list[Arrival]:
    """Agent audio as it is made, four times faster than it is spoken; two turns are cut."""
    arrivals: list[Arrival] = []
    begin = 0.0
    for utterance in range(_UTTERANCES):
        seconds = dice.uniform(2.0, 8.0)
        samples = _RATE // 10
        count = round(seconds * 10)
        arrivals += [Arrival(begin + number * 0.025, samples) for number in range(count)]
        cut = utterance % 4 == 3
        if cut:
            arrivals.append(Arrival(begin + seconds * 0.6, None))
        begin += seconds * (0.6 if cut else 1.0) + _PAUSE
    return arrivals


def examples() -> dict[str, str]:
    """Return the example traces, by file name; always the same."""
    made = {
        "steady": "20 ms frames in real time, up to 2 ms late",
        "stalls-180ms": "20 ms frames; each utterance stalls once for 180 ms, the rest at once",
        "wifi": "20 ms frames; jitter with a heavy tail, and 50 to 120 ms of silence twice",
        "bursts": "100 ms messages, four times faster than real time; two turns are cleared",
    }
    texts = {}
    for name, comment in made.items():
        dice = random.Random(f"{_SEED} {name}")
        arrivals = _bursts(dice) if name == "bursts" else _spoken(dice, name.partition("-")[0])
        made_by = f"{comment}\nmade by: scripts/bench replay --make-examples"
        texts[f"{name}.trace"] = dump(Trace(_RATE, tuple(arrivals)), made_by)
    return texts


def make_examples(folder: Path = FOLDER) -> list[Path]:
    """Write the example traces and return their paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, text in examples().items():
        (folder / name).write_text(text)
        paths.append(folder / name)
    return paths
