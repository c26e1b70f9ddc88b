"""Listening in on one side of the devices, from another thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.ring import Ring

SECONDS = 10.0
"""Seconds of audio a tap keeps for its reader; a disk may stall for seconds."""
EVERY = 0.02
"""Seconds of audio that come at a time, where a thread must be woken for it."""
PATIENCE = 0.1
"""Seconds of audio at a time that leave devices free to rest."""


class Tap:
    """All samples of one side from some moment on, silence included.

    One thread writes, another one reads. A reader gets what came in the last ten seconds, and
    silence for what it missed before.

    Args:
        rate: samples a second.
        start: position in the stream at which the tap begins to listen.
    """

    def __init__(self, rate: int, start: int = 0) -> None:
        self.rate = rate
        self.start = start
        self.every = EVERY
        """Seconds of audio that its reader wants at a time; during a call, less may come."""
        self.written: Callable[[], None] | None = None
        """Called after each write; must neither block nor raise."""
        self._ring = Ring(round(SECONDS * rate))

    def write_rt(self, samples: Samples, position: int | None = None) -> None:
        """Runs on: audio callback thread, or the near-end thread. Append samples, shape (n,).

        ``position``: samples of the stream up to and including these; a gap before them is silence.
        """
        if position is not None:
            missing = position - self.start - len(samples) - self._ring.written
            if missing > 0:
                self._ring.skip_rt(missing)
        self._ring.write_rt(samples)
        if self.written is not None:
            self.written()

    def has_more(self, since: int) -> bool:
        """Tell whether there is something to read after a position."""
        return self._ring.written > since

    def read(self, since: int) -> tuple[Samples, int]:
        """Return a copy of everything after position ``since``, counted from the tap's own start,
        and the position at its end."""
        samples, end = self._ring.read(since)
        missed = end - since - len(samples)
        return (np.concatenate((np.zeros(missed, np.int16), samples)) if missed else samples), end
