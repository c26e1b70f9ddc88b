"""Aligns two streams with separate clocks. Pure.

::

    near end ─▶ resample ─▶ stretch by ≤ 0.5 % ─┐
    far end  ─▶ resample ───────────────────────┴─▶ frames (left near, right far)

From time to time the positions of both are sampled at one moment. Their difference is the offset.
It is noisy, as devices work in blocks, so its mean counts: small errors, the drift of two crystals,
are removed by inaudible stretching; large ones, when a device stalled, are filled with silence on
the side that is behind. Nothing is ever cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import Resampler

LOOKS = 20
"""Looks needed before the first frame comes out."""
_WINDOW = 100
_STEP_LOOKS = 8
_STEP = 0.05
"""Change of the offset, seconds, from which it is not drift."""
_TOLERANCE = 0.002
_STRETCH = 200
"""One sample in this many may be added or dropped."""

_FIRST_INTERVAL = 0.01
_INTERVAL = 0.1
_SPREAD = 0.02
"""Longest device block that looks are spread over."""
_GOLDEN = 0.618034

Frames = NDArray[np.int16]
"""Stereo audio, shape (n, 2)."""


def pause(looks: int) -> float:
    """Return how many seconds to wait before the next look, after this many.

    Never the same twice: looks in step with the devices would always see the same part of a block,
    and be off by that.
    """
    interval = _FIRST_INTERVAL if looks < LOOKS else _INTERVAL
    return interval + _SPREAD * (looks * _GOLDEN % 1 - 0.5) * (0.5 if looks < LOOKS else 1)


class Pairing:
    """Pairs the near end with the far end, whose clock is the recording's.

    Args:
        near_rate, far_rate: samples a second of the input.
        rate: samples a second of the output.
    """

    def __init__(self, near_rate: int, far_rate: int, rate: int) -> None:
        self._rate = rate
        self._near = _Side(near_rate, rate)
        self._far = _Side(far_rate, rate)
        self._offset = 0.0  # seconds by which the near end is assumed to be ahead
        self._placed = False
        self._looks: deque[float] = deque(maxlen=_WINDOW)

    def look(self, near: float, far: float) -> None:
        """Note how many seconds of each side have passed at the same moment."""
        self._looks.append(near - far)

    def push(self, near: Samples, far: Samples) -> None:
        """Take what has come since the last time, shapes (n,) and (m,)."""
        self._near.push(near)
        self._far.push(far)

    def pull(self, *, last: bool = False) -> Frames:
        """Return the complete frames; with ``last``, all of them."""
        if not self._placed:
            if len(self._looks) < LOOKS and not last:
                return np.zeros((0, 2), np.int16)
            self._placed = True
            self._fill(_mean(self._looks) if self._looks else 0.0)
        elif len(self._looks) >= _STEP_LOOKS:
            recent = list(self._looks)[-_STEP_LOOKS:]
            off = [each - self._offset for each in recent]
            if min(off) > _STEP or max(off) < -_STEP:
                self._fill(_mean(off[-3:]))
                self._looks.clear()
        if last:
            longest = max(self._near.waiting, self._far.waiting)
            self._near.append_silence(longest - self._near.waiting)
            self._far.append_silence(longest - self._far.waiting)
        count = min(self._near.waiting, self._far.waiting)
        extra = 0 if last else self._stretch(count)
        count = min(count, self._near.waiting - extra)
        near = self._near.take(count + extra)
        if extra:
            places = np.linspace(0, len(near) - 1, count)
            near = np.rint(np.interp(places, np.arange(len(near)), near)).astype(np.int16)
        return np.stack((near, self._far.take(count)), axis=1)

    def _fill(self, ahead: float) -> None:
        """Fill the side that is behind with silence; ``ahead``: seconds the near end is ahead."""
        samples = round(ahead * self._rate)
        self._offset += ahead
        (self._far if samples > 0 else self._near).prepend_silence(abs(samples))

    def _stretch(self, count: int) -> int:
        """Return how many near-end samples more than ``count`` should make ``count`` frames."""
        if len(self._looks) < _WINDOW:
            return 0
        error = _mean(self._looks) - self._offset
        if abs(error) < _TOLERANCE:
            return 0
        most = count // _STRETCH
        extra = max(-most, min(most, round(error * self._rate)))
        self._offset += extra / self._rate
        return extra


class _Side:
    """One side at the rate of the recording."""

    def __init__(self, rate: int, to: int) -> None:
        self._resampler = Resampler(rate, to)
        self._held = np.zeros(0, np.int16)

    @property
    def waiting(self) -> int:
        return len(self._held)

    def push(self, samples: Samples) -> None:
        self._held = np.concatenate((self._held, self._resampler.process(samples)))

    def prepend_silence(self, count: int) -> None:
        self._held = np.concatenate((np.zeros(count, np.int16), self._held))

    def append_silence(self, count: int) -> None:
        self._held = np.concatenate((self._held, np.zeros(count, np.int16)))

    def take(self, count: int) -> Samples:
        taken, self._held = self._held[:count], self._held[count:]
        return taken


def _mean(values: Sequence[float] | deque[float]) -> float:
    """Return the mean without the extreme tenths: a look may fall between two callbacks."""
    ordered = sorted(values)
    cut = len(ordered) // 10
    kept = ordered[cut : len(ordered) - cut]
    return sum(kept) / len(kept)
