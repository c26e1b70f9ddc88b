"""Volume: a gain that changes without a click and does not clip.

A gain is a table of output values: playing costs one lookup per sample and, at 1, nothing at all.
Above ``_KNEE`` of full scale, a gain over 1 clips softly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples

LOUDEST = 2.0
_RAMP = 0.02  # seconds from one gain to the next
_KNEE = 0.7


class Gain:
    """A gain for mono int16 at one rate; any thread sets it, one applies it.

    Args:
        rate: samples a second.
        gain: initial value.

    Raises:
        ValueError: the gain is outside 0–``LOUDEST``.
    """

    def __init__(self, rate: int, gain: float = 1.0) -> None:
        self._wanted = 1.0, _table(1.0)  # set at once, as other threads do it
        self.value = gain
        self._current = self._wanted[1]
        self._ramp = np.linspace(0.0, 1.0, max(round(_RAMP * rate), 1), dtype=np.float32)
        self._from, self._at = self._current, len(self._ramp)

    @property
    def value(self) -> float:
        """Factor for the amplitude, 0 to ``LOUDEST``; 1 leaves every sample unchanged."""
        return self._wanted[0]

    @value.setter
    def value(self, gain: float) -> None:
        if not 0.0 <= gain <= LOUDEST:
            raise ValueError(f"a volume of {gain} is outside 0–{LOUDEST:g}")
        if gain != self._wanted[0]:
            self._wanted = gain, _table(gain)

    @property
    def is_steady(self) -> bool:
        """Whether it is what was last set, and not on its way there."""
        return self._current is self._wanted[1] and self._at == len(self._ramp)

    def apply_rt(self, samples: Samples) -> None:
        """Runs on: audio callback thread. Change samples, shape (n,), in place."""
        if self._at == len(self._ramp):  # a ramp in progress ends first
            wanted = self._wanted[1]
            if wanted is not self._current:
                self._from, self._current, self._at = self._current, wanted, 0
            elif wanted is None:
                return
        part = self._ramp[self._at : self._at + len(samples)]
        before = samples[: len(part)].copy()
        if self._current is not None:
            samples[:] = self._current[samples.view(np.uint16)]
        if len(part):
            old = before if self._from is None else self._from[before.view(np.uint16)]
            new = samples[: len(part)]
            new[:] = np.rint(old + part * (new.astype(np.float32) - old))
            self._at += len(part)


def _table(gain: float) -> NDArray[np.int16] | None:
    """Return the output for each sample value, indexed by its bits; None for no change."""
    if gain == 1.0:
        return None
    values = np.arange(65536, dtype=np.uint16).view(np.int16) * (gain / 32768)
    if gain > 1.0:
        over = (np.abs(values) - _KNEE) / (1.0 - _KNEE)
        bent = _KNEE + (1.0 - _KNEE) * np.tanh(np.maximum(over, 0.0))
        values = np.where(over > 0, np.copysign(bent, values), values)
    table: NDArray[np.int16] = np.clip(np.rint(values * 32768), -32768, 32767).astype(np.int16)
    return table
