"""What libsndfile reads: FLAC, Ogg, MP3, AIFF, AU and others. Needs the extra ``files``."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np

from retell_voice.audio.format import Samples, to_int16
from retell_voice.devices.sound_files.cut_off import ends_early

_TOLERANCE = 0.1
"""Seconds by which the length in the header of an MP3 file may be wrong."""
_PIECE = 1024
"""Most samples of a read: one that comes to damage loses all of them."""


class Unreadable(Exception):
    """libsndfile cannot read it; says why."""


class NotInstalled(Exception):
    """There is no libsndfile here."""


class DecodedReader:
    """Reads a sound through libsndfile; channels are averaged.

    Args:
        source: the path, or what it contains.

    Raises:
        Unreadable, NotInstalled: see there.
    """

    def __init__(self, source: str | BinaryIO) -> None:
        try:
            import soundfile  # noqa: PLC0415 - an extra
        except (ImportError, OSError) as error:  # the latter: without its library
            raise NotInstalled(str(error)) from None
        self._error: type[Exception] = soundfile.LibsndfileError
        if isinstance(source, str):
            with open(source, "rb") as file:
                self._ends_early = ends_early(file)
        else:
            self._ends_early = ends_early(source)
        try:
            self._file: Any = soundfile.SoundFile(source)
        except self._error as error:
            why = getattr(error, "error_string", "") or str(error)
            raise Unreadable(why.rstrip(".").strip()) from None
        self.rate: int = self._file.samplerate
        self._read = 0
        self._is_over = False

    @property
    def missing(self) -> float:
        seconds: float = (self._file.frames - self._read) / self.rate
        if self._is_over and seconds > _TOLERANCE:
            return seconds
        return math.inf if self._ends_early else 0.0

    def read(self, count: int) -> Samples:
        samples = np.zeros((0, 1), np.float32)
        with suppress(self._error):  # damaged from here on
            samples = self._file.read(min(count, _PIECE), dtype="float32", always_2d=True)
        self._read += len(samples)
        self._is_over = not len(samples)
        return to_int16(samples.mean(axis=1))

    def close(self) -> None:
        self._file.close()
