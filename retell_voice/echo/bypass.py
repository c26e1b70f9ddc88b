"""Lets somebody who interrupts past a canceller that suppresses them. Pure.

While the far end is heard, WebRTC's canceller takes up to 50 dB off whoever speaks at the same time
in a reverberant room, for half a second and more: the server does not notice them. So at the
beginning of certain near-end speech the microphone itself is added, echo and all. It ends before
long: either the far end has been cut short by then, and the canceller opens, or it was no
interruption.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import peak
from retell_voice.echo.ports import block_samples

_SHARE = 10 ** (-6 / 10)
"""Power of the sum over that of the microphone."""
_LONGEST, _AGAIN = 50, 50
"""Blocks for which it is added, and without near-end speech until it may be again."""
_FULL = 32767
_FADE = 0.7
"""Gain per block when it is no longer added."""


class Bypass:
    """Adds the microphone to the output of a canceller, in blocks of 10 ms.

    Args:
        rate: samples a second.
        delay: by how many seconds the canceller's output is late.
    """

    def __init__(self, rate: int, delay: float) -> None:
        self._ramp = np.linspace(0.0, 1.0, block_samples(rate), dtype=np.float32)
        self._delay = round(delay * rate)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._past: Samples = np.zeros(self._delay, np.int16)
        self._gain = 0.0
        self._added = 0
        self._without = _AGAIN

    def apply(
        self,
        done: Samples,
        near: Samples,
        *,
        speaks: bool,
        left: float,
        heard: float,
        amplified: float = 1.0,
    ) -> Samples:
        """Return the next block with what must be added.

        Args:
            done: the canceller's output; returned itself if nothing must be.
            near: what the microphone heard; it is added as late as ``done`` is.
            speaks: somebody speaks, and the far end is heard.
            left, heard: power of ``done``, not amplified, and ``near``, over the last blocks.
            amplified: factor by which ``done`` is (automatic gain).
        """
        self._without = 0 if speaks else self._without + 1
        if self._without >= _AGAIN:
            self._added = 0
        gain = self._gain * _FADE if self._gain > 0.01 else 0.0
        if not speaks and self._gain == gain == 0.0 and self._delay <= len(near):  # most blocks
            self._past = near[len(near) - self._delay :].copy()
            return done
        past = np.concatenate((self._past, near))
        late, self._past = past[: len(near)], past[len(near) :]
        if speaks and self._added < _LONGEST:
            self._added += 1
            gain = sqrt(max(_SHARE - left / (heard + 1e-3), 0.0)) * amplified
            gain = min(gain, (_FULL - peak(done)) / max(peak(late), 1))
        before, self._gain = self._gain, gain
        if before == gain == 0.0:
            return done
        mixed = done + late * (before + (gain - before) * self._ramp)
        both: Samples = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
        return both
