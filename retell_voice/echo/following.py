"""Whether one sound follows another: correlation of levels over a range of lags. Pure."""

from __future__ import annotations

from math import log10, sqrt

import numpy as np

from retell_voice.echo.recent import Recent

_MEMORY = 0.995
"""Forgetting factor of the sums, per block: about two seconds."""
_SLOWEST = 0.01
"""Smoothing of the means, per block: about a second; faster at first."""
_LEAST = 100.0
"""dB² per block: a sound steadier than this (±3 dB for ten blocks) cannot be recognised."""


class Following:
    """Correlates the levels of a near and a far end, block by block.

    Args:
        lags: how many blocks the near end may be late.
    """

    def __init__(self, lags: int) -> None:
        self._levels = Recent(lags)
        self._products = np.zeros(lags)
        self._more = np.zeros(lags)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.blocks = 0
        """Blocks compared."""
        self.lag = 0
        """Lag of the best correlation, blocks."""
        self.correlation = 0.0
        """The correlation there, −1 to 1; 0 while unknown."""
        self._levels.clear()
        self._products[:] = 0.0
        self.near = 0.0
        """Mean level of the near end, dB, over about the last second compared."""
        self._far_mean = 0.0
        self._near_power = self._far_power = 0.0

    def step(self, near: float, far: float, *, compare: bool) -> None:
        """Take the next block.

        Args:
            near, far: mean squares.
            compare: whether to compare this block, or only to keep its levels.
        """
        near, far = (10 * log10(power + 1.0) for power in (near, far))
        self._levels.push(far)
        if not compare:
            return
        self.blocks += 1
        share = max(_SLOWEST, 1 / self.blocks)
        self.near += share * (near - self.near)
        self._far_mean += share * (far - self._far_mean)
        near -= self.near
        far -= self._far_mean
        self._near_power = _MEMORY * self._near_power + near * near
        self._far_power = _MEMORY * self._far_power + far * far
        products, more = self._products, self._more
        products *= _MEMORY
        np.subtract(self._levels.rows, self._far_mean, out=more)
        more *= near
        products += more
        self.lag = int(products.argmax())
        power = sqrt(max(self._near_power, _LEAST) * max(self._far_power, _LEAST))
        self.correlation = float(products[self.lag]) / power
