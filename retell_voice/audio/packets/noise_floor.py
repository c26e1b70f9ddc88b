"""How loud it is while nobody speaks: the noise behind the voice."""

from __future__ import annotations

from math import inf

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power

_WINDOW = 2.0
"""Seconds; the floor is the quietest packet of this window and the last, unknown in the first."""
_ABOVE = 4.0
"""Ratio of powers, 6 dB, up to which something is no louder than the noise."""


class NoiseFloor:
    """Learns the floor from what is decoded.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._window = round(_WINDOW * rate)
        self._heard = 0  # samples of this window
        self._last, self._least = 0.0, inf  # least power in the last window, and in this one

    def hear(self, samples: Samples) -> None:
        """Listen to a packet, shape (n,)."""
        self._least = min(self._least, power(samples))
        self._heard += len(samples)
        if self._heard >= self._window:
            self._last, self._least, self._heard = self._least, inf, 0

    def covers(self, samples: Samples) -> bool:
        """Return whether samples, shape (n,), are no louder than the noise."""
        return power(samples) <= _ABOVE * min(self._last, self._least)
