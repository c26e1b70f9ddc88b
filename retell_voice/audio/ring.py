"""The last samples of a stream, for a thread that reads what another one writes."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples


class Ring:
    """The last ``size`` samples of a stream; one thread writes, another one reads, without a lock.

    Samples not read in time are lost, the oldest first. The ring is twice as long, so that the
    writer does not overtake a reader in the middle of a copy.

    Attributes:
        written: samples written so far; the position that the stream has reached.
    """

    def __init__(self, size: int) -> None:
        self.written = 0
        self.size = size
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

    def skip_rt(self, count: int) -> None:
        """Runs on: audio callback thread. Append ``count`` samples of silence."""
        lasting = min(count, len(self._samples))
        self.written += count - lasting
        self.write_rt(np.zeros(lasting, np.int16))

    def read(self, since: int) -> tuple[Samples, int]:
        """Return a copy of everything after position ``since``, and the position at its end.

        Only the last ``size`` samples: fewer than ``end - since`` come back when some were lost.
        """
        written = self.written
        return self.between(max(since, written - self.size), written), written

    def between(self, start: int, stop: int) -> Samples:
        """Return a copy of what is between two positions still in the ring."""
        size = len(self._samples)
        if start >= stop:
            return self._samples[:0]
        first, last = start % size, stop % size
        if first < last:
            return self._samples[first:last].copy()
        return np.concatenate((self._samples[first:], self._samples[:last]))
