"""A WAV file that is valid at any moment, whatever ends the program."""

from __future__ import annotations

import struct
from pathlib import Path

from retell_voice.private import privately
from retell_voice.recording.align import Frames

HEADER = 44
"""Bytes before the first sample."""
MOST = 2**32 - HEADER - 1
"""Bytes of samples that a header can declare."""


class StereoWav:
    """Writes stereo int16; only its owner may read the file.

    The samples are written first, then the header that declares them: it never declares more than
    there is.

    Args:
        path: a file that does not exist yet.
        rate: frames a second.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self.frames = 0
        """Frames written."""
        self._rate = rate
        self._file = open(path, "xb", buffering=0, opener=privately)  # noqa: SIM115 - by close()
        self._write(0, self._header())

    def write(self, frames: Frames) -> None:
        """Append frames, shape (n, 2).

        Raises:
            OSError: the disk is full or gone; what was written before stays readable.
        """
        if len(frames):
            self._write(HEADER + 4 * self.frames, frames.astype("<i2", copy=False).tobytes())
            self.frames += len(frames)
            self._write(0, self._header())

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def _write(self, at: int, data: bytes) -> None:
        self._file.seek(at)
        while data:
            data = data[self._file.write(data) :]

    def _header(self) -> bytes:
        size = 4 * self.frames
        return b"RIFF" + struct.pack(
            "<I4s4sIHHIIHH4sI",
            HEADER - 8 + size,
            b"WAVE",
            b"fmt ",
            16,
            1,
            2,
            self._rate,
            4 * self._rate,
            4,
            16,
            b"data",
            size,
        )
