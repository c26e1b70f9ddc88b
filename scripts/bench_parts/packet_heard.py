"""What became of speech that was sent in packets, judged by a recording of it. Pure.

The delay is found by correlation, over and over: the recording is what a listener hears, so it
holds everything, from the jitter buffer to the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from support.spectra import log_spectral_distance

from retell_voice.audio.format import Samples

_STEP = 0.05
"""Seconds between two places at which the delay is determined."""
_WINDOW = 0.12
_MOST = 0.7
"""Seconds of delay to look for."""
_COARSE = 6
"""Samples averaged into one to search: 8 kHz of 48."""
_ALIKE = 0.75
"""Correlation from which a place counts as found."""
_LOUD = 300.0
"""RMS from which there is something to find."""
_BACK = 0.02

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Delays:
    """When speech was heard: place, seconds from its start; and how long after it was sent."""

    places: _Floats
    delays: _Floats

    def between(self, begin: float, end: float) -> Delays:
        """Return the part for what was sent in that time."""
        inside = (self.places >= begin) & (self.places < end)
        return Delays(self.places[inside], self.delays[inside])

    @property
    def median(self) -> float:
        """The median delay; NaN of nothing."""
        return float(np.median(self.delays)) if len(self.delays) else float("nan")


def delays(said: Samples, heard: Samples, rate: int) -> Delays:
    """Find what was said in what was heard; both begin at the same time, mono, at ``rate``."""
    coarse = rate / _COARSE
    short, long = _averaged(said), _averaged(heard)
    window, most = round(_WINDOW * coarse), round(_MOST * coarse)
    size = 1 << (2 * window + most).bit_length()
    places, found = [], []
    for place in np.arange(0.0, len(said) / rate - _WINDOW, _STEP):
        at = round(place * coarse)
        template, region = short[at : at + window], long[at : at + window + most]
        if float(np.sqrt(np.mean(template**2))) < _LOUD or len(region) < 2 * window:
            continue
        spectrum = np.fft.rfft(region, size) * np.conj(np.fft.rfft(template, size))
        lags = len(region) - window + 1
        product = np.fft.irfft(spectrum, size)[:lags]
        energy = np.concatenate(([0.0], np.cumsum(region**2)))
        scale = np.sqrt((energy[window:] - energy[:-window]) * float(template @ template)) + 1.0
        alike = product / scale[:lags]
        best = int(np.argmax(alike))
        if alike[best] >= _ALIKE:
            places.append(place)
            found.append(best / coarse)
    return Delays(np.array(places), _without_outliers(np.array(found)))


def time_to_come_back(found: Delays, begin: float, calm: float) -> float:
    """Return the seconds after ``begin`` from which on the delay is within 20 ms of the calm one.

    A packet sent before the end of a stall is heard after it: the time is that of hearing.
    """
    late = found.delays > calm + _BACK
    if not late.any():
        return 0.0
    last = int(np.flatnonzero(late)[-1])
    return max(0.0, float(found.places[last] + found.delays[last]) - begin)


def distance(said: Samples, heard: Samples, rate: int, found: Delays) -> float:
    """Return the log-spectral distance, dB, of what was heard: the mean of what is not silence.

    Args:
        said, heard, rate: as for ``delays``.
        found: the delays of the part that counts.
    """
    if len(found.places) < 2:
        return float("nan")
    gain = _gain(said, heard, rate, found)
    size, values = round(_STEP * rate), []
    for begin in np.arange(found.places[0], found.places[-1], _STEP):
        delay = found.delays[int(np.argmin(np.abs(found.places - begin)))]
        at = round(begin * rate)
        part = said[at : at + 2 * size]
        other = heard[at + round(delay * rate) :][: len(part)].astype(np.float64) / gain
        if len(other) == len(part) and _rms(part[:size]) >= _LOUD:
            values.append(float(np.mean(log_spectral_distance(_whole(other), part, rate))))
    return float(np.mean(values)) if values else float("nan")


def timeline(
    samples: Samples, marks: Sequence[tuple[float, int]], begin: float, rate: int
) -> Samples:
    """Return a recording from ``begin`` (monotonic) on.

    Args:
        samples: all of it.
        marks: when how many samples had come.
        begin: before it began: then silence comes first.
        rate: of the recording.
    """
    first = float(np.median([at - count / rate for at, count in marks]))
    skip = round((begin - first) * rate)
    return samples[skip:] if skip >= 0 else np.concatenate((np.zeros(-skip, np.int16), samples))


def _averaged(samples: Samples) -> _Floats:
    whole = samples[: len(samples) // _COARSE * _COARSE].astype(np.float64)
    found: _Floats = whole.reshape(-1, _COARSE).mean(axis=1)
    return found


def _without_outliers(values: _Floats) -> _Floats:
    """Return values, each the median of three neighbours: a period is easily taken for another."""
    if len(values) < 3:
        return values
    middle = np.median(np.stack((values[:-2], values[1:-1], values[2:])), axis=0)
    return np.concatenate((values[:1], middle, values[-1:]))


def _gain(said: Samples, heard: Samples, rate: int, found: Delays) -> float:
    size, gains = round(_WINDOW * rate), []
    for place, delay in zip(found.places, found.delays, strict=True):
        at = round(place * rate)
        part = said[at : at + size].astype(np.float64)
        other = heard[at + round(delay * rate) :][: len(part)]
        if len(other) == len(part):
            gains.append(_rms(other) / max(1.0, _rms(part)))
    return max(0.01, float(np.median(gains))) if gains else 1.0


def _rms(samples: NDArray[np.float64] | Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))


def _whole(samples: _Floats) -> Samples:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
