"""How loud an echo can be at most: wherever it is, the microphone cannot hear less. Pure.

Voices have gaps, in time and in frequency. Where the far end is loud and the microphone hears
little some time later, no echo louder than that little comes this much late. So for every lag and
band, a low quantile of (near end over far end) bounds the coupling, also while somebody speaks:
only a real echo fills all the gaps. The bound of the most likely lag, the highest, counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_Bands = NDArray[np.float64]

_QUANTILE = 0.25
_FIRST_STEP, _LAST_STEP = 10.0, 0.5
"""Step per compared block of the quantile, dB."""
_SETTLED = 4 * (_FIRST_STEP / _LAST_STEP - 1)
"""Blocks compared from which on the step is the last one."""
_FIRST = 6.0
"""dB: of an unknown room."""
_LEAST = 12
"""Blocks to compare before a bound is known: 120 ms with far end in that band."""
_LOUD = 100.0
"""Mean square in a band from which the far end is loud enough to compare,"""
_LOUD_SHARE = 0.1
"""and its share of the band's mean."""
_MEMORY = 0.01
"""Smoothing of that mean, per block."""


class Ceiling:
    """Bounds the coupling of each band, block by block of 10 ms.

    Args:
        lags: how many blocks an echo may be late.
        bands: how many.
    """

    def __init__(self, lags: int, bands: int) -> None:
        self._lows = np.zeros((lags, bands))
        self._counts = np.zeros((lags, bands))
        self._loud = np.zeros((lags, bands), np.bool_)
        self._above = np.zeros((lags, bands), np.bool_)
        self._step = np.zeros((lags, bands))
        self.far = np.zeros(bands)
        """Mean square of the far end in each band, while it sounds."""
        self.reset()

    def reset(self) -> None:
        """Forget the room."""
        self._lows[:] = _FIRST
        self._counts[:] = 0
        self._known = np.zeros(self._counts.shape[1], np.bool_)
        self.all_known = self._all_settled = False  # the first: whether ``known`` is all True
        self.far[:] = 0.0

    def step(self, near: _Bands, far: _Bands, power: _Bands, blocks: int = 1) -> None:
        """Take the next block.

        Args:
            near: level in each band, dB, shape (bands,).
            far: that of the far end, of this block and of those before, shape (lags, bands).
            power: the same as mean squares.
            blocks: for how many it stands, if not all are taken.
        """
        step, loud, counts = self._step, self._loud, self._counts
        least = np.maximum(_LOUD_SHARE * self.far, _LOUD)
        np.greater(power, least, out=loud)
        played = power[0] - self.far
        played *= power[0] > _LOUD
        played *= _MEMORY * blocks
        self.far += played
        np.subtract(near, far, out=step)
        np.greater(step, self._lows, out=self._above)
        np.subtract(self._above, 1 - _QUANTILE, out=step)
        step *= loud
        if self._all_settled:
            step *= _LAST_STEP * blocks
        else:
            step *= np.maximum(_FIRST_STEP / (1 + counts / 4), _LAST_STEP * blocks)
            counts += loud
            self._all_settled = bool(counts.min() >= _SETTLED)
        self._lows += step

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether each band has a bound: there was something to compare at every lag."""
        if not self.all_known:
            self._known = self._counts.min(axis=0) >= _LEAST
            self.all_known = bool(self._known.all())
        return self._known

    @property
    def lows(self) -> _Bands:
        """The low quantile of each band at its most likely lag, dB."""
        lows: _Bands = np.maximum.reduce(self._lows, axis=0)
        return lows
