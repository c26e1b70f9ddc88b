"""Recent microphone audio, addressed by position in the stream."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples


class AudioHistory:
    """Recent microphone audio, addressed by position in the stream."""

    def __init__(self) -> None:
        self._pieces: list[Samples] = []
        self._start = 0  # position of the first piece
        self._now = 0
        self._full = False

    def append(self, samples: Samples) -> None:
        """Take the next samples, shape (n,)."""
        self._now += len(samples)
        if not self._full:
            self._pieces.append(samples)

    def forget(self, before: int) -> None:
        """Drop chunks that end before a position."""
        if self._full:
            self._pieces, self._start, self._full = [], self._now, False
        drop = 0
        for piece in self._pieces:
            if self._start + len(piece) > before:
                break
            self._start += len(piece)
            drop += 1
        if drop:
            del self._pieces[:drop]

    def limit(self, end: int) -> None:
        """Keep no more once a position is reached, until ``forget``."""
        self._full = self._now >= end

    def between(self, start: int, end: int) -> Samples:
        """Return a copy of the audio between two positions, as far as it is kept."""
        whole = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        return whole[max(0, start - self._start) : max(0, end - self._start)].copy()
