"""The sound of a recording: its levels block by block, and a copy for a page.

Recordings may be hours long, and headers may claim anything: nothing here holds all of one.
"""

from __future__ import annotations

import io
import os
import wave
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import HIGHEST_RATE, LOWEST_RATE
from retell_voice.audio.levels import dbfs
from retell_voice.report.account import Series

POINTS = 4000
"""More than a page can show."""
_SHORTEST = 0.02
RATE = 16000
"""Hz; of what is copied, at most."""
_LOWEST_COPY = 8000  # browsers play none that is lower
LARGEST = 64 * 2**20
"""Bytes of sound in a page: about 45 minutes as FLAC, 17 as WAV."""

_TROUBLES = (OSError, EOFError, RuntimeError, wave.Error)
"""What is wrong with a file ends the reading of it: what came before is shown."""

Frames = NDArray[np.int16]
"""Shape (n, 2): you, the agent."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What a page plays.

    Attributes:
        url: the sound itself, or where it is.
        embedded: which of the two.
    """

    url: str
    embedded: bool = True


def hear(path: Path, began: float) -> tuple[Series, Series] | None:
    """Return the peak levels (dBFS) of both sides; None if there is no such file.

    Args:
        path: a 16-bit stereo WAV file.
        began: call time of its first frame, seconds.
    """
    near: Series = []
    far: Series = []
    with suppress(*_TROUBLES), wave.open(_regular(path)) as file:
        if (rate := _rate(file)) is None:
            return None
        at = 0
        for frames in _blocks(file, max(round(_SHORTEST * rate), file.getnframes() // POINTS)):
            sides = np.ascontiguousarray(frames.T)  # each beside itself is five times as fast
            peaks = np.maximum(sides.max(axis=1), -sides.min(axis=1).astype(np.int32))
            time = began + (at + len(frames) / 2) / rate
            near.append((time, dbfs(float(peaks[0]))))
            far.append((time, dbfs(float(peaks[1]))))
            at += len(frames)
    return (near, far) if near else None


def sound_for(path: Path, page: Path, largest: int = LARGEST) -> Sound | None:
    """Return the sound for a page; None if there is no such file.

    It is copied into the page, as FLAC where ``soundfile`` is installed. What is larger than
    ``largest`` bytes stays where it is, and the page plays that.
    """
    with suppress(*_TROUBLES), wave.open(_regular(path)) as file:
        if (rate := _rate(file)) is None or not file.getnframes():
            return None
        copied = _copy(file, rate, largest)
        if copied is None:
            with suppress(ValueError):  # another drive
                beside = Path(os.path.relpath(path, page.parent)).as_posix()
                return Sound(quote(os.fsencode(beside)), embedded=False)
            return Sound(path.resolve().as_uri(), embedded=False)
        kind, data = copied
        return Sound(f"data:audio/{kind};base64,{b64encode(data).decode()}")
    return None


def _regular(path: Path) -> str:
    if not path.is_file():  # a pipe would be waited for
        raise FileNotFoundError(path)
    return str(path)


def _rate(file: wave.Wave_read) -> int | None:
    if (file.getnchannels(), file.getsampwidth()) != (2, 2):
        return None
    rate = file.getframerate()
    return rate if LOWEST_RATE <= rate <= HIGHEST_RATE else None


def _blocks(file: wave.Wave_read, size: int) -> Iterator[Frames]:
    while data := file.readframes(size):
        frames = np.frombuffer(data[: len(data) // 4 * 4], "<i2").reshape(-1, 2)
        if not len(frames):
            return
        yield frames


def _copy(file: wave.Wave_read, rate: int, largest: int) -> tuple[str, bytes] | None:
    """Return the format and the bytes; None if they are too many."""
    to = min(max(rate, _LOWEST_COPY), RATE)
    out = io.BytesIO()
    kind, write, close = _encoder(out, to)
    for frames in _resampled(_blocks(file, rate), rate, to):
        write(frames)
        if out.tell() > largest:
            return None
    close()
    data = out.getvalue()
    return (kind, data) if len(data) <= largest else None


def _resampled(blocks: Iterator[Frames], rate: int, to: int) -> Iterator[Frames]:
    if rate == to:
        yield from blocks
        return
    import soxr  # noqa: PLC0415 - only here

    stream = soxr.ResampleStream(rate, to, 2, dtype="int16")
    for frames in blocks:
        yield stream.resample_chunk(frames)
    yield stream.resample_chunk(np.zeros((0, 2), np.int16), last=True)


def _encoder(out: io.BytesIO, rate: int) -> tuple[str, Callable[[Frames], Any], Callable[[], None]]:
    """Return a format, and what writes frames in it and closes it."""
    try:
        soundfile = import_module("soundfile")
    except (ImportError, OSError):  # the latter: without libsndfile
        file = wave.open(out, "wb")  # noqa: SIM115 - closed by its user
        file.setparams((2, 2, rate, 0, "NONE", ""))
        return "wav", lambda frames: file.writeframes(frames.tobytes()), file.close
    flac = soundfile.SoundFile(out, "w", rate, 2, format="FLAC", subtype="PCM_16")
    return "flac", flac.write, flac.close
