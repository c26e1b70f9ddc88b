"""A gate that attenuates unwanted sound to the level of the room noise. Pure.

To the noise, not to silence: the voice detector at the other end follows the room noise to tell
speech from it, and would take the noise for speech when it came back.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power
from retell_voice.echo.noise import NoiseLevel
from retell_voice.echo.ports import block_samples

_LEAST = 1e-3
"""Most attenuation: 60 dB."""
_OPENING = 10 ** (2 / 20)
"""Opening per block, if not at once: 2 dB."""
_RAMP = 0.5
"""Share of a block for the ramp from one gain to the next, 5 ms, so that nothing clicks."""
_NOISE_MARGIN = 2.0
"""Power of noise over its minimum."""


class Gate:
    """A gate for blocks of 10 ms.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._ramp = np.linspace(0.0, 1.0, max(round(_RAMP * block_samples(rate)), 1))
        self.reset()

    def reset(self) -> None:
        """Open, and forget the noise."""
        self.gain = 1.0
        """Gain at the end of the last block."""
        self._noise = NoiseLevel()

    def apply(
        self,
        samples: Samples,
        *,
        closed: bool,
        at_once: bool = False,
        heard: float | None = None,
    ) -> Samples:
        """Return the next block after the gate; it closes at once.

        Args:
            samples: the block; returned itself if unchanged.
            closed: only the noise may pass.
            at_once: open fully in this block, if not closed, instead of gradually.
            heard: mean square of the samples, if known.
        """
        loud = (power(samples) if heard is None else heard) + 0.1
        self._noise.step(loud)
        target = 1.0
        if closed:
            target = max(min(sqrt(_NOISE_MARGIN * self._noise.power / loud), 1.0), _LEAST)
        if closed or not at_once:
            target = min(target, self.gain * _OPENING)
        before, self.gain = self.gain, target
        if before == target == 1.0:
            return samples
        values = samples.astype(np.float32)
        values[len(self._ramp) :] *= target
        values[: len(self._ramp)] *= before + (target - before) * self._ramp
        turned: Samples = np.rint(values).astype(np.int16)
        return turned
