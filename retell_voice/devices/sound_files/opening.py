"""Finds out what kind of sound a file is, and opens it."""

from __future__ import annotations

import io
import os
import stat
import sys
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retell_voice.audio.format import HIGHEST_RATE, LOWEST_RATE, Samples
from retell_voice.devices.sound_files import kinds, pcm
from retell_voice.devices.sound_files.decoded import DecodedReader, NotInstalled, Unreadable
from retell_voice.devices.sound_files.pcm import PcmReader, Reader
from retell_voice.devices.sound_files.wav import NoWav, OtherCodec, Rereadable, open_wav
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.shown import as_argument, logger

STANDARD = "-"
"""Standard input, or output."""
LARGEST = 2**30
"""Most bytes of a sound that is read at once, decoded: hours."""
_PIECE = 2**16  # samples
_logger = logger("retell_voice.files")


class Raw(NamedTuple):
    """Audio without a header: an encoding of ``pcm.RAW``, samples a second, channels."""

    encoding: str
    rate: int
    channels: int = 1


class Sound:
    """A file with sound in it, or ``-`` for standard input.

    Args:
        path: the file.
        raw: how it is encoded, if it has no header.

    Raises:
        ConfigError: it cannot be read as sound.
    """

    def __init__(self, path: Path | str, raw: Raw | None = None) -> None:
        self.path = path
        self.name = "standard input" if str(path) == STANDARD else Path(path).name
        self.is_pipe = is_pipe(path)
        """Whether it can be read only once, and perhaps not at once."""
        if raw is not None and (raw.encoding not in pcm.RAW or raw.channels < 1):
            raise ConfigError(
                f"{self}: no such encoding: {raw.encoding!r} with {raw.channels} channels",
                f"one of {', '.join(pcm.RAW)}, with one channel or more",
            )
        self._raw = raw
        self._is_told = False
        reader = self._open()
        self.rate = reader.rate
        self._begun: Reader | None = reader if self.is_pipe else None
        if self._begun is None:
            try:
                if not len(reader.read(1)):
                    why = ": it is cut off" if reader.missing else ""
                    raise ConfigError(f"{self}: the file contains no audio{why}")
                self.tell_missing(reader)
            finally:
                reader.close()

    def __str__(self) -> str:
        return self.name if str(self.path) == STANDARD else str(self.path)

    def open(self) -> Reader:
        """Start reading it; of a pipe, only once.

        Raises:
            ConfigError: it cannot be read any more.
        """
        reader, self._begun = self._begun, None
        return reader or self._open()

    def close(self) -> None:
        """Close what was never begun; safe to call twice."""
        reader, self._begun = self._begun, None
        if reader is not None:
            reader.close()

    def tell_missing(self, reader: Reader) -> None:
        """Log, once, that the file is cut off, if the reader has noticed."""
        if reader.missing > 0 and not self._is_told:
            self._is_told = True
            lacking = f"the last {reader.missing:.1f} s that its header states are missing"
            _logger.warning(
                "%s is cut off: %s", self, lacking if isfinite(reader.missing) else "it ends early"
            )

    def _open(self) -> Reader:
        try:
            file = _open_file(self.path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self}: {getattr(error, 'strerror', None) or error}") from None
        try:
            length = None if self.is_pipe else os.fstat(file.fileno()).st_size
            reader = self._reader(file, length)
        except BaseException as error:
            file.close()
            if isinstance(error, OSError):  # of a directory, for example
                raise ConfigError(f"{self}: {error.strerror or error}") from None
            raise
        if not LOWEST_RATE <= reader.rate <= HIGHEST_RATE:
            reader.close()
            raise ConfigError(f"{self}: it claims {reader.rate} Hz, which is not an audio rate")
        return reader

    def _reader(self, file: io.FileIO, length: int | None) -> Reader:
        stream = Rereadable(file)
        if self._raw is not None:
            encoding, rate, channels = self._raw
            if not self.is_pipe and (kind := kinds.with_header(stream.peek(kinds.HEAD))):
                why = f"a {kind} file says itself how it is encoded"
                raise ConfigError(f"{self}: {why}", "leave --input-format out")
            return PcmReader(stream, pcm.RAW[encoding], rate, channels, close=file.close)
        head = stream.peek(kinds.HEAD)
        if not head:
            raise ConfigError(f"{self}: the file is empty")
        kind = kinds.decoded(head)
        if kinds.is_wav(head):
            try:
                return open_wav(stream, length, file.close)
            except NoWav as error:
                raise ConfigError(f"{self}: not a whole WAV file: {error}", self._hint) from None
            except OtherCodec as error:
                kind = f"WAV with {error}"
        if not kind:
            what = kinds.other(head)
            why = f"{what}, which is not supported" if what else "not a sound file"
            hint = self._hint if what else "for audio without a header: --input-format"
            raise ConfigError(f"{self}: {why}", hint)
        try:
            return self._decoded(file, stream)
        except NotInstalled:
            raise ConfigError(
                f"{self}: reading {kind} needs a library that is not installed",
                f"{self._hint}; or install it: {how_to_install('files')}",
            ) from None
        except Unreadable as error:
            raise ConfigError(f"{self}: cannot be read as {kind}: {error}", self._hint) from None

    def _decoded(self, file: io.FileIO, stream: Rereadable) -> Reader:
        if not self.is_pipe:
            file.close()
            return DecodedReader(os.fspath(self.path))
        content = stream.read(LARGEST + 1)  # libsndfile must seek
        if len(content) > LARGEST:
            raise ConfigError(f"{self}: larger than {LARGEST // 2**20} MiB")
        file.close()
        return DecodedReader(io.BytesIO(content))

    @property
    def _hint(self) -> str:
        name = "FILE" if str(self.path) == STANDARD else as_argument(str(self.path))
        return f"convert it: ffmpeg -i {name} converted.wav"


def is_pipe(path: Path | str) -> bool:
    """Tell whether this can be read only once."""
    if str(path) == STANDARD:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _open_file(path: Path | str) -> io.FileIO:
    """Open a file to read its bytes.

    Raises:
        OSError, ValueError: it cannot be opened.
    """
    if str(path) != STANDARD:
        return open(path, "rb", buffering=0)
    if os.isatty(0):
        raise ValueError("it is a terminal: pipe sound into this program, or name a file")
    _binary(0)
    return open(0, "rb", buffering=0, closefd=False)


def read_wav(path: Path | str) -> tuple[Samples, int]:
    """Return a sound file as mono int16, shape (n,), and its rate in Hz.

    WAV of every kind; FLAC, Ogg, MP3, AIFF and others with the extra ``files``. Channels are
    averaged.

    Raises:
        ConfigError: it cannot be read as sound.
    """
    sound = Sound(path)
    reader = sound.open()
    parts: list[Samples] = []
    size = 0
    try:
        while len(part := reader.read(_PIECE)):
            parts.append(part)
            size += part.nbytes
            if size > LARGEST:
                raise ConfigError(
                    f"{path}: larger than {LARGEST // 2**20} MiB, which is hours of audio"
                )
        sound.tell_missing(reader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    finally:
        reader.close()
    if not parts:
        raise ConfigError(f"{sound}: the file contains no audio")
    return np.concatenate(parts), reader.rate


if sys.platform == "win32":
    import msvcrt

    def _binary(fd: int) -> None:
        msvcrt.setmode(fd, os.O_BINARY)

else:

    def _binary(fd: int) -> None:
        """Nothing to do: other systems have no text mode."""
