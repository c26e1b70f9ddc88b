"""The other ends of microphone and speaker: what was heard and played, and when.

::

    Mouth ─▶ speaker ─▶ the air, or a cable ─▶ microphone ─▶ Ear ─▶ round_trips, echo_levels
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.doctor.acoustics import chime, chime_level, find_chime

CHIMES = 3
EVERY = 0.9
"""Seconds between chimes: longer than any echo or delay to be found."""


class Ear:
    """A ``Sink`` that keeps everything it hears, with the time of each block."""

    def __init__(self) -> None:
        self.gone = ""
        self.xruns = 0
        self._blocks: list[tuple[float, Samples]] = []  # when it came, what it was

    def write_rt(
        self,
        samples: Samples,
        delay: float = 0.0,  # noqa: ARG002 - as the port has it
        xrun: bool = False,
    ) -> None:
        """Runs on: the device's callback thread. Keep samples, shape (n,)."""
        self._blocks.append((time.monotonic(), samples.copy()))
        self.xruns += xrun

    def finished(self) -> None:
        """Nothing more will come."""
        self.gone = "it has ended"

    def lost(self, why: str, final: bool = False) -> None:  # noqa: ARG002 - as the port has it
        """The device is gone."""
        self.gone = why

    @property
    def count(self) -> int:
        """How many blocks have come."""
        return len(self._blocks)

    def since(self, block: int) -> list[tuple[float, Samples]]:
        """Return the blocks from number ``block`` on, each with its arrival time."""
        return self._blocks[block:]

    def samples(self, since: int = 0) -> Samples:
        """Return what came from block ``since`` on, shape (n,)."""
        blocks = [each for _, each in self._blocks[since:]]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)


class Mouth:
    """A ``Source`` that plays chimes, and keeps the time at which each was pulled."""

    def __init__(self, rate: int) -> None:
        self.gone = ""
        self.xruns = 0
        self.asked: list[float] = []
        self.over = threading.Event()
        self.count = 0
        self.marks: list[tuple[float, int]] = []
        bell = chime(rate)
        every = round(EVERY * rate)
        self._starts = [round(0.3 * rate) + index * every for index in range(CHIMES)]
        self._all = np.zeros(self._starts[-1] + every, np.int16)
        for start in self._starts:
            self._all[start : start + len(bell)] = bell

    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None:  # noqa: ARG002 - as the port has it
        """Runs on: the device's callback thread. Fill ``out``, shape (n,)."""
        now, begin, end = time.monotonic(), self.count, self.count + len(out)
        self.asked += [now for start in self._starts if begin <= start < end]
        part = self._all[begin:end]
        out[: len(part)] = part
        out[len(part) :] = 0
        self.count = end
        self.marks.append((now, end))
        self.xruns += xrun
        if end >= len(self._all):
            self.over.set()

    def lost(self, why: str, final: bool = False) -> None:  # noqa: ARG002 - as the port has it
        """The device is gone."""
        self.gone = why
        self.over.set()


def round_trips(
    asked: list[float], blocks: list[tuple[float, Samples]], rate: int
) -> list[float | None]:
    """Return for each chime the seconds until its first sample arrived, None if it did not.

    Args:
        asked: when each chime was given to the speaker.
        blocks: what the microphone heard: when a block came, and its samples.
        rate: the microphone's samples a second.
    """
    ends = np.cumsum([len(each) for _, each in blocks])
    trips: list[float | None] = []
    for start, (begin, _, at) in zip(asked, _found(asked, blocks, rate), strict=True):
        if at is None:
            trips.append(None)
            continue
        block = int(np.searchsorted(ends, begin + at, side="right"))
        trips.append(max(0.0, blocks[block][0] - start))
    return trips


def echo_levels(
    asked: list[float], blocks: list[tuple[float, Samples]], rate: int
) -> list[float | None]:
    """Return for each chime how loud it was heard, dB relative to what was played; as above."""
    return [
        None if at is None else chime_level(window, at, rate)
        for _, window, at in _found(asked, blocks, rate)
    ]


def _found(
    asked: list[float], blocks: list[tuple[float, Samples]], rate: int
) -> Iterator[tuple[int, Samples, int | None]]:
    """Yield for each chime the sample from which it was searched, what was heard from there, and
    where in that it begins."""
    heard = np.concatenate([each for _, each in blocks]) if blocks else np.zeros(0, np.int16)
    ends = np.cumsum([len(each) for _, each in blocks])
    for start in asked:
        # In the blocks that came after that; the next chime is not among them.
        first = next((i for i, (came, _) in enumerate(blocks) if came >= start), len(blocks))
        begin = int(ends[first - 1]) if first else 0
        window = heard[begin : begin + round(EVERY * rate)]
        yield begin, window, find_chime(window, rate)
