"""Tracks room noise by its minimum: speech has pauses, noise has none. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SILENT = 1.0
"""Mean square below which a microphone is muted, which says nothing about the room."""
_LEAST = 0.1
"""Mean square: the noise of int16 itself."""
_FIRST, _FIRST_RISE = 50, 10 ** (0.3 / 10)
"""Blocks during which it may rise quickly, and the rise per block: a microphone may begin with
silence or fade in."""
_RISE = 10 ** (0.015 / 10)
"""Rise per block: 1.5 dB per second."""
_FALL = 0.3
"""Share of the difference by which it falls per block."""


class Noise:
    """Follows the noise in one or more bands, block by block of 10 ms.

    The value is its minimum, some 6 dB below its mean.

    Args:
        bands: how many.
    """

    def __init__(self, bands: int) -> None:
        self.power = np.full(bands, _LEAST)
        """Mean square in each band."""
        self._fall = np.zeros(bands)
        self._blocks = 0

    def step(self, heard: NDArray[np.float64]) -> bool:
        """Take the mean square of the next block, by band; return False for digital silence."""
        if np.add.reduce(heard) < _SILENT:
            return False
        if not self._blocks:
            self.power[:] = heard
        self._blocks += 1
        self.power *= _FIRST_RISE if self._blocks < _FIRST else _RISE
        fall = np.subtract(heard, self.power, out=self._fall)
        fall *= _FALL
        self.power += np.minimum(fall, 0.0, out=fall)
        np.maximum(self.power, _LEAST, out=self.power)
        return True


class NoiseLevel:
    """The same for a single band, without arrays: most of their cost would be overhead."""

    def __init__(self) -> None:
        self.power = _LEAST
        """Mean square."""
        self._blocks = 0

    def step(self, heard: float) -> bool:
        """Take the mean square of the next block; return False for digital silence."""
        if heard < _SILENT:
            return False
        power = self.power if self._blocks else heard
        self._blocks += 1
        power *= _FIRST_RISE if self._blocks < _FIRST else _RISE
        if heard < power:
            power += _FALL * (heard - power)
        self.power = max(power, _LEAST)
        return True
