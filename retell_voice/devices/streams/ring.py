"""The last samples of a stream, for a thread that reads what another writes."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples


class Ring:
    """The last samples of a stream; one thread writes, another reads.

    A reader gets at most the last ``size``: what it missed before that is lost. The ring is
    twice as long, so that the writer does not overtake a reader in the middle of a copy.
    """

    def __init__(self, size: int) -> None:
        self.written = 0
        self._size = size
        self._samples = np.zeros(2 * size, np.int16)

    def write_rt(self, samples: Samples) -> None:
        """Runs on: audio callback thread. Append samples, shape (n,)."""
        size = len(self._samples)
        written = self.written + len(samples)
        samples = samples[-size:]
        start = (written - len(samples)) % size
        first = min(len(samples), size - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: len(samples) - first] = samples[first:]
        self.written = written

    def read(self, since: int) -> tuple[Samples, int]:
        """Return a copy of what came after position ``since``, and the position it ends at."""
        size, written = len(self._samples), self.written
        start, stop = max(since, written - self._size) % size, written % size
        if written == since:
            return self._samples[:0], written
        if start < stop:
            return self._samples[start:stop].copy(), written
        return np.concatenate((self._samples[start:], self._samples[:stop])), written
