"""Tells a voice from silence and room noise, by loudness alone."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples

_QUIET = 32768 * 10 ** (-50 / 20)
"""Highest RMS that counts as quiet: −50 dBFS. A room is quieter, a voice is louder."""
_WINDOW = 0.02
"""Seconds per decision: long enough to average noise."""


class Loudness:
    """Listens to a stream as it is played. Allocates nothing but views.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self.loud_from: int | None = None
        """Position where the first loud window begins; None: all quiet so far."""
        self.loud_until = 0
        """Position where the last loud window ends."""
        self.heard_until = 0
        """Position up to which this is known."""
        self._scratch = np.zeros(round(_WINDOW * rate), np.float32)
        self._most = _QUIET**2 * len(self._scratch)
        self._energy = 0.0
        self._filled = 0  # samples of the window

    def forget(self) -> None:
        """Start over with what comes next."""
        self.loud_from = None
        self._energy, self._filled = 0.0, 0

    def listen(self, samples: Samples, position: int) -> None:
        """Take samples, shape (n,), the first of which is at ``position``."""
        window, at = len(self._scratch), 0
        while at < len(samples):
            part = self._scratch[: min(window - self._filled, len(samples) - at)]
            part[:] = samples[at : at + len(part)]
            at += len(part)
            self._energy += float(np.dot(part, part))
            self._filled += len(part)
            if self._filled == window:
                self.heard_until = position + at
                if self._energy > self._most:
                    self.loud_until = self.heard_until
                    if self.loud_from is None:
                        self.loud_from = self.heard_until - window
                self._energy, self._filled = 0.0, 0
