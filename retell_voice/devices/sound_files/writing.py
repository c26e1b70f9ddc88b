"""Writes sound: WAV files, and streams with a header or without."""

from __future__ import annotations

import contextlib
import struct
import threading
import wave
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples, to_float
from retell_voice.errors import ConfigError
from retell_voice.private import privately
from retell_voice.shown import logger

MOST_WAITING = 10.0
"""Seconds that may wait for a slow reader of a pipe; then what comes is dropped."""
_DRAIN_SECONDS = 2.0
_logger = logger("retell_voice.files")
_UNKNOWN = 2**32 - 1


class Writer(Protocol):
    """Takes samples for a file."""

    def write(self, samples: Samples) -> None:
        """Append samples, shape (n,).

        Raises:
            OSError: the disk is full or gone, or the reader of a pipe is.
        """

    def close(self) -> None:
        """Close the file; safe to call twice."""


def create(path: Path | str) -> BinaryIO:
    """Open a file to write to; a new one is private: it contains what was said.

    Raises:
        ConfigError: it cannot be opened.
    """
    try:
        return open(path, "wb", opener=privately)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


class WavWriter:
    """Writes mono int16 to a 16-bit WAV file that is whole after every write.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, path: Path | str, rate: int, file: BinaryIO | None = None) -> None:
        self._raw = file or create(path)
        self._wave = wave.open(self._raw, "wb")  # noqa: SIM115 - closed by close()
        self._wave.setparams((1, 2, rate, 0, "NONE", ""))

    def write(self, samples: Samples) -> None:
        """Append samples, shape (n,).

        Raises:
            OSError: the disk is full or gone.
        """
        self._wave.writeframes(samples.astype("<i2", copy=False).tobytes())
        self._raw.flush()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with contextlib.suppress(OSError):  # write has already reported a full disk
            self._wave.close()
        with contextlib.suppress(OSError):
            self._raw.close()


def _floats(samples: Samples) -> bytes:
    return to_float(samples).astype("<f4", copy=False).tobytes()


ENCODERS: dict[str, Callable[[Samples], bytes]] = {
    "wav": AudioFormat().encode,
    "s16le": AudioFormat().encode,
    "f32le": _floats,
    "mulaw": AudioFormat("mulaw", 8000).encode,  # type: ignore[arg-type]  # it is a StrEnum
}
"""What a stream may be, by name; ``wav`` has a header, without sizes."""


def stream_header(rate: int) -> bytes:
    """Return the header of a 16-bit WAV stream whose length nobody knows yet."""
    return (
        struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
        + struct.pack("<4sI", b"data", _UNKNOWN)
    )


class StreamWriter:
    """Writes to a pipe, on a thread: its reader may be slow, or stand still.

    Args:
        file: is closed by ``close``.
        rate: samples a second.
        encoding: see ``ENCODERS``.
        name: for people.
    """

    def __init__(self, file: BinaryIO, rate: int, encoding: str, name: str) -> None:
        self._name = name
        self._dropped = 0  # samples
        self._file = file
        self._rate = rate
        self._encode = ENCODERS[encoding]
        self._waiting: deque[Samples] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._is_over = False
        self._error: OSError | None = None
        header = stream_header(rate) if encoding == "wav" else b""
        self._thread = threading.Thread(
            target=self._run, args=(header,), name="retell-voice stream", daemon=True
        )
        self._thread.start()

    def write(self, samples: Samples) -> None:
        """Queue samples, shape (n,); never blocks.

        Raises:
            OSError: an earlier write has failed.
        """
        if self._error is not None:
            raise self._error
        with self._changed:
            if self._held + len(samples) > MOST_WAITING * self._rate:
                self._dropped += len(samples)
                return
            self._held += len(samples)
            self._waiting.append(np.array(samples))
            self._changed.notify()

    def close(self) -> None:
        """Write what is left, as long as the reader takes it, and log what it has not taken in
        time; safe to call twice."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join(_DRAIN_SECONDS)
        dropped, self._dropped = self._dropped / self._rate, 0
        if dropped:
            _logger.warning("%s: its reader is too slow: %.1f s were dropped", self._name, dropped)

    def _run(self, header: bytes) -> None:
        try:
            self._put(header)
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._is_over)
                    if not self._waiting:
                        break
                    samples = self._waiting.popleft()
                    self._held -= len(samples)
                self._put(self._encode(samples))
        except OSError as error:
            self._error = error
        with contextlib.suppress(OSError):
            self._file.close()

    def _put(self, data: bytes) -> None:
        if data:
            self._file.write(data)
            self._file.flush()


def open_writer(path: Path | str, rate: int, encoding: str, file: BinaryIO | None) -> Writer:
    """Return what writes to a file, or to a pipe.

    Args:
        path: the file; what errors call it.
        rate: samples a second.
        encoding: see ``ENCODERS``.
        file: open, to write to instead of opening the path.

    Raises:
        ConfigError: it cannot be opened.
    """
    file = file or create(path)
    if encoding == "wav" and file.seekable():
        return WavWriter(path, rate, file)
    return StreamWriter(file, rate, encoding, str(path))
