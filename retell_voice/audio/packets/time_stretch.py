"""Shortens or lengthens speech without a click, by one pitch period.

::

    to be played        │ period a │ period b │ rest
    shortened           │ a fades into b      │ rest       (one period long, not two)

    played              … period a │ to be played  │ period b │ rest
    lengthened          … period a │ b fades into a │ period b │ rest

A period is the lag of maximum autocorrelation, searched at 4 kHz and then refined. In quiet
passages, any number of samples may be removed or added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples

SHORTEST, LONGEST = 0.0025, 0.015
"""Lags to search, seconds: a pitch of 400–67 Hz, or several periods of a higher one."""
_SEARCH_RATE = 4000
_COMPARED = 0.01
"""Seconds compared when a lag is refined."""
_AS_GOOD = 0.02
"""A longer lag whose correlation is lower by no more than this is as good."""
_ALIKE = 0.7
"""Correlation from which a joint counts as good."""
_QUIET = 32768 * 10 ** (-50 / 20)
"""RMS below which changes are inaudible."""
_QUIET_FADE = 0.0025

_Floats = NDArray[np.float32]


class TimeStretch:
    """Shortens and lengthens speech, mono int16.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._step = max(1, rate // _SEARCH_RATE)
        self._shortest = round(SHORTEST * rate)
        self.longest = round(LONGEST * rate)
        """Samples that it adds at most where it is not quiet."""
        self._compared = round(_COMPARED * rate)
        self._fade = round(_QUIET_FADE * rate)
        self.needed = 2 * self.longest
        """Samples it needs to do best: two of the longest periods."""

    def shorten(self, samples: Samples, most: int, correlation: float) -> tuple[Samples, int]:
        """Return samples, shape (n,), with some removed, and how many.

        Args:
            samples: the samples to play.
            most: samples that may be removed.
            correlation: least normalised correlation of two periods, −1 to 1.
        """
        signal = samples.astype(np.float32)
        if _is_quiet(signal):
            fade, lag = self._fade, min(most, len(samples) - self._fade)
        else:
            most = min(most, len(samples) // 2, self.longest)
            fade = lag = self._period(signal, 0, 1, most, correlation)
        if lag <= 0 or not fade:
            return samples, 0
        shorter = samples[lag:].copy()
        shorter[:fade] = cross_fade(samples[:fade], shorter[:fade])
        return shorter, lag

    def lengthen(
        self, played: Samples, samples: Samples, most: int, correlation: float
    ) -> tuple[Samples, int]:
        """Return samples, shape (n,), with some inserted before them, and how many.

        Args:
            played: the samples last played, shape (m,).
            samples: the samples to play.
            most: samples that may be added.
            correlation: as for ``shorten``.
        """
        here = len(played)
        both = np.concatenate((played, samples))
        signal = both.astype(np.float32)
        if _is_quiet(signal):
            fade, lag = self._fade, min(most, here)
        else:
            most = min(most, len(samples), here, self.longest)
            fade = lag = self._period(signal, here, -1, most, correlation)
        if lag <= 0 or len(samples) < fade:
            return samples, 0
        longer = both[here - lag :].copy()
        fade = min(fade, lag)
        longer[:fade] = cross_fade(samples[:fade], longer[:fade])
        return longer, lag

    def _period(self, signal: _Floats, here: int, sign: int, most: int, correlation: float) -> int:
        """Return the lag at which the signal repeats what begins ``here``; 0 if there is none.

        Args:
            signal: shape (n,); n is at least ``here + 2 * most`` if sign is 1.
            here: start of the segment to compare.
            sign: 1 to search after it, −1 before it.
            most: the longest lag.
            correlation: the least that counts.
        """
        step = self._step
        if most < self._shortest:
            return 0
        start = here % step  # so that ``here`` begins a group
        groups = (len(signal) - start) // step
        coarse = signal[start : start + groups * step].reshape(groups, step).mean(axis=1)
        lags = np.arange(-(-self._shortest // step), most // step + 1)
        if not len(lags):
            return 0
        found = _correlation(coarse, here // step, lags * sign, len(coarse) - here // step)
        best = float(found.max())
        if best < correlation:
            return 0
        near = int(lags[np.flatnonzero(found >= max(correlation, best - _AS_GOOD))[-1]]) * step
        lags = np.arange(max(self._shortest, near - step), min(most, near + step) + 1)
        found = _correlation(signal, here, lags * sign, self._compared)
        return int(lags[np.argmax(found)])


def _correlation(signal: _Floats, here: int, lags: NDArray[np.int_], count: int) -> _Floats:
    """Return the correlation of the signal ``here`` with itself at each of several lags."""
    first, last = sorted((int(lags[0]), int(lags[-1])))
    count = min(count, len(signal) - here - max(0, last))
    template = signal[here : here + count]
    other = signal[here + first : here + last + count]
    energy = np.cumsum(np.concatenate(([0.0], np.square(other, dtype=np.float64))))
    energy = energy[count:] - energy[:-count]
    scale = np.sqrt(energy * np.dot(template, template)) + 1.0
    found: _Floats = np.correlate(other, template, "valid") / scale
    return found if lags[0] == first else found[::-1]


def _is_quiet(signal: _Floats) -> bool:
    return float(np.dot(signal, signal)) < len(signal) * _QUIET**2


def best_start(sounding: Samples, samples: Samples, most: int) -> int:
    """Return where samples, shape (n,), best match what is playing, shape (m,): 0 to ``most``.

    0 if there is no match.
    """
    most = min(most, len(samples) - len(sounding))
    if most <= 0 or not sounding.any():
        return 0
    signal = np.concatenate((sounding, samples)).astype(np.float32)
    count = len(sounding)
    found = _correlation(signal, 0, np.arange(count, count + most + 1), count)
    best = int(np.argmax(found))
    return best if found[best] >= _ALIKE else 0


def cross_fade(old: Samples, new: Samples) -> Samples:
    """Return samples that begin as the old ones and end as the new ones, all of shape (n,)."""
    share = np.linspace(0, 1, len(new) + 2, dtype=np.float32)[1:-1]
    mixed: Samples = np.rint(old + share * (new.astype(np.float32) - old)).astype(np.int16)
    return mixed


def fade_out(count: int) -> _Floats:
    """Return a gain from 1 to 0 over this many samples."""
    gain: _Floats = np.cos(np.linspace(0, np.pi / 2, count, dtype=np.float32)) ** 2
    return gain
