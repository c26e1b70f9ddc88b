"""Voice activity detection. Pure: time is counted in samples.

A ``Detector`` takes microphone audio in chunks of any size and reports where speech began and
ended. ``EnergyDetector`` goes by level alone, frame by frame:

::

    samples ─▶ frames of 20 ms ─▶ level against the noise floor ─▶ hysteresis ─▶ Boundary

The noise floor is the lowest level of the last two seconds. So a step up in the noise counts as
speech for about that long, and speech is told from noise because it pauses.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import log10
from typing import Protocol

import numpy as np

from retell_voice.audio.format import Samples

_SILENCE = -90.0  # dBFS: no microphone is that quiet, only a stream that has not begun
_FIRST_FLOOR = -40.0  # dBFS, assumed until the noise is known
_FAINT = 0.4  # of a frame


@dataclass(frozen=True, slots=True)
class Boundary:
    """Speech began or ended; positions are samples since the start of the stream.

    Attributes:
        speaking: True where it began, False where it ended.
        at: where.
        known: position at which this was known, always later than ``at``.
    """

    speaking: bool
    at: int
    known: int


class Detector(Protocol):
    """Finds speech in a stream of samples."""

    def process(self, samples: Samples) -> list[Boundary]:
        """Take the next samples, shape (n,), any n; return the boundaries found.

        They alternate; the first is where speech begins.
        """

    @property
    def spoken_until(self) -> int:
        """End of the last sound of the current speech, as far as known; any value without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSettings:
    """Settings of an ``EnergyDetector``.

    Attributes:
        frame_ms: length of a frame.
        onset_ms: speech needed before it counts as begun; delays a barge-in.
        release_ms: silence needed before it counts as ended; delays the answer.
        margin_db: how far above the noise floor speech is.
        hysteresis_db: how much lower the threshold is once speech has begun.
        least_dbfs: anything quieter is never speech.
        faint_db: what is less than this above that counts ``_FAINT`` as much, so that it must last:
            echo cancellers of browsers let 200 ms of noise at −48 dBFS through when the far end
            begins to speak.
        floor_ms: how far back the noise floor looks.
    """

    frame_ms: int = 20
    onset_ms: int = 100
    release_ms: int = 600
    margin_db: float = 12.0
    hysteresis_db: float = 5.0
    least_dbfs: float = -50.0
    faint_db: float = 6.0
    floor_ms: int = 2000


DEFAULT_DETECTOR = DetectorSettings()


class EnergyDetector:
    """A ``Detector`` that goes by level.

    Args:
        rate: samples per second.
        settings: thresholds and delays.
    """

    def __init__(self, rate: int, settings: DetectorSettings = DEFAULT_DETECTOR) -> None:
        self._frame = max(1, rate * settings.frame_ms // 1000)
        self._settings = settings
        self._faint = settings.least_dbfs + settings.faint_db
        self._rest = np.zeros(0, np.int16)
        self._position = 0  # of the next frame
        self._floor = _Floor(settings.floor_ms // settings.frame_ms)
        self._gate = Gate(
            onset=-(-settings.onset_ms // settings.frame_ms),
            release=-(-settings.release_ms // settings.frame_ms),
        )

    def process(self, samples: Samples) -> list[Boundary]:
        """Take the next samples, any number; return the boundaries found."""
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        boundaries = []
        whole = len(samples) - len(samples) % self._frame
        for start in range(0, whole, self._frame):
            level = _level(samples[start : start + self._frame])
            end = self._position + self._frame
            weight = _FAINT if level < self._faint else 1.0
            boundary = self._gate.step(self._is_speech(level), self._position, end, weight)
            if boundary is not None:
                boundaries.append(boundary)
            self._position = end
        self._rest = samples[whole:]
        return boundaries

    @property
    def spoken_until(self) -> int:
        """End of the last speech frame of the current speech."""
        return self._gate.ended

    def _is_speech(self, level: float) -> bool:
        if level < _SILENCE:
            return False
        floor = self._floor.step(level)
        threshold = max(floor + self._settings.margin_db, self._settings.least_dbfs)
        if self._gate.open:
            threshold -= self._settings.hysteresis_db
        return level > threshold


class Gate:
    """Turns decisions about frames into boundaries.

    Speech begins once speech frames outnumber the others by ``onset``, at the first of them. It
    ends after ``release`` frames in a row without speech, at the end of the last one with it.
    """

    def __init__(self, onset: int, release: int) -> None:
        self._onset = onset
        self._release = release
        self._balance = 0.0
        self._began = 0
        self.ended = 0
        self._quiet = 0
        self.open = False

    def step(self, speech: bool, start: int, end: int, weight: float = 1.0) -> Boundary | None:
        """Take the decision about the next frame, samples ``start`` to ``end`` of the stream.

        A frame of speech counts as much as ``weight`` says.
        """
        if self.open:
            if speech:
                self._quiet, self.ended = 0, end
                return None
            self._quiet += 1
            if self._quiet < self._release:
                return None
            self.open, self._balance = False, 0.0
            return Boundary(speaking=False, at=self.ended, known=end)
        if not speech:
            self._balance = max(0.0, self._balance - 1)
            return None
        if self._balance == 0:
            self._began = start
        self._balance += weight
        if self._balance < self._onset:
            return None
        self.open, self._quiet, self.ended = True, 0, end
        return Boundary(speaking=True, at=self._began, known=end)


class _Floor:
    """The lowest level of the last ``frames`` frames, to within a quarter of them."""

    def __init__(self, frames: int) -> None:
        self._part = max(1, frames // 4)
        self._least: deque[float] = deque([_FIRST_FLOOR], maxlen=5)
        self._count = 0

    def step(self, level: float) -> float:
        if self._count == self._part:
            self._least.append(level)
            self._count = 0
        self._count += 1
        self._least[-1] = min(self._least[-1], level)
        return min(self._least)


def _level(frame: Samples) -> float:
    """Return the level in dBFS without DC; −100 at least."""
    values = frame.astype(np.float32)
    mean = float(values.sum()) / len(values)
    power = float(np.dot(values, values)) / len(values) - mean * mean
    return 10.0 * log10(max(power, 0.107)) - 90.309  # full scale is 32768² = 90.309 dB
