"""Samples on both sides of the playing position: decoded ones to come, and those last played."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples


class SyncBuffer:
    """Decoded samples waiting to be played, and the last ones played.

    Args:
        history: played samples to keep.
        capacity: samples that may wait; more are never lost, but cost an allocation.
    """

    def __init__(self, history: int, capacity: int) -> None:
        self._history = history
        # history | waiting | free; moved to the front when there is no room at the end.
        self._samples = np.zeros(history + 2 * capacity, np.int16)
        self._at = self._end = history

    def __len__(self) -> int:
        return self._end - self._at

    @property
    def waiting(self) -> Samples:
        """Samples to play; a view, valid until the next change."""
        return self._samples[self._at : self._end]

    @property
    def history(self) -> Samples:
        """Samples last played; a view, valid until the next change."""
        return self._samples[self._at - self._history : self._at]

    def append(self, samples: Samples) -> None:
        """Append samples, shape (n,)."""
        self._make_room(len(samples))
        self._samples[self._end : self._end + len(samples)] = samples
        self._end += len(samples)

    def take(self, out: Samples) -> int:
        """Play into ``out``, shape (n,); return how many samples there were."""
        count = min(len(out), len(self))
        out[:count] = self._samples[self._at : self._at + count]
        self._at += count
        return count

    def replace(self, samples: Samples) -> None:
        """Replace all waiting samples; the new ones may be views of them."""
        samples = samples.copy()
        self._end = self._at
        self.append(samples)

    def clear(self) -> None:
        """Forget waiting and played samples."""
        self._samples[: self._history] = 0
        self._at = self._end = self._history

    def _make_room(self, count: int) -> None:
        if self._end + count <= len(self._samples):
            return
        kept = self._samples[self._at - self._history : self._end]
        if len(kept) + count > len(self._samples):
            self._samples = np.zeros(2 * (len(kept) + count), np.int16)
        self._samples[: len(kept)] = kept
        self._at, self._end = self._history, len(kept)
