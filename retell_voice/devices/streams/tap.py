"""Listening in on one side of a call, from a thread of one's own."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples

SECONDS = 10.0
"""Audio that a tap keeps for whoever reads it; a disk may well stand still for seconds."""


class Tap:
    """All samples of one side, silence included; one thread writes, another reads.

    A reader gets what came in the last ten seconds, and silence for what it missed before.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._size = round(SECONDS * rate)
        # Twice as long: the writer does not overtake a reader in the middle of a copy.
        self._samples = np.zeros(2 * self._size, np.int16)
        self._written = 0

    def write_rt(self, samples: Samples, position: int | None = None) -> None:
        """Runs on: audio callback thread, or the capture thread. Append samples, shape (n,).

        ``position``: samples of the stream up to and with these; what is missing is silence.
        """
        if position is not None and position - len(samples) > self._written:
            missing = min(position - len(samples) - self._written, len(self._samples))
            self._written = position - len(samples) - missing
            self._append_rt(np.zeros(missing, np.int16))
        self._append_rt(samples)

    def read(self, since: int) -> tuple[Samples, int]:
        """Return a copy of all after position ``since``, and the position that it ends at."""
        written = self._written
        first = max(since, written - self._size)
        size = len(self._samples)
        found = np.zeros(written - since, np.int16)
        start, stop = first % size, written % size
        if first < written:
            part = (
                self._samples[start:stop]
                if start < stop
                else np.concatenate((self._samples[start:], self._samples[:stop]))
            )
            found[first - since :] = part
        return found, written

    def _append_rt(self, samples: Samples) -> None:
        size = len(self._samples)
        written = self._written + len(samples)
        samples = samples[-size:]
        start = (written - len(samples)) % size
        first = min(len(samples), size - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: len(samples) - first] = samples[first:]
        self._written = written
