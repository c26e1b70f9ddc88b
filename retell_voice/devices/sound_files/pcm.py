"""Uncompressed samples, however they are encoded, as mono int16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples

_Floats = NDArray[np.float32]
_AT_ONCE = 2**20  # bytes: a header may claim any number of channels


class ByteStream(Protocol):
    """Where bytes come from: a file, a pipe."""

    def read(self, count: int, /) -> bytes:
        """Return this many bytes; fewer only at the end."""


class Reader(Protocol):
    """A sound that is being read."""

    @property
    def rate(self) -> int:
        """Samples a second."""

    @property
    def missing(self) -> float:
        """Seconds that the header states and the file lacks, as far as is known by now; infinite
        where nothing tells how many."""

    def read(self, count: int) -> Samples:
        """Return up to ``count`` samples, none only at the end.

        Raises:
            OSError: the file cannot be read any more.
        """

    def close(self) -> None:
        """Close it; safe to call twice."""


class Encoding(NamedTuple):
    """How one sample is written.

    Attributes:
        width: bytes.
        decode: returns whole samples scaled to int16's range.
    """

    width: int
    decode: Callable[[bytes], _Floats]


def linear(width: int) -> Encoding:
    """Return signed, little-endian PCM of 2–8 bytes a sample."""

    def decode(data: bytes) -> _Floats:
        # The two high bytes of each sample are its int16.
        high = np.frombuffer(data, np.uint8).reshape(-1, width)[:, -2:]
        return np.ascontiguousarray(high).view("<i2").ravel().astype(np.float32)

    return Encoding(width, decode)


def _unsigned(data: bytes) -> _Floats:
    return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) * 256


def floating(width: int) -> Encoding:
    """Return little-endian floats of 4 or 8 bytes, full scale ±1."""

    def decode(data: bytes) -> _Floats:
        samples = np.nan_to_num(np.clip(np.frombuffer(data, f"<f{width}"), -1, 1))
        scaled: _Floats = (samples * 32768).astype(np.float32)
        return scaled

    return Encoding(width, decode)


def _companded(make: Callable[[NDArray[np.int64]], NDArray[Any]]) -> Encoding:
    """Return G.711: ``make`` returns the values of the codes 0–255."""
    table: _Floats | None = None

    def decode(data: bytes) -> _Floats:
        nonlocal table
        if table is None:
            table = make(np.arange(256)).astype(np.float32)
        values: _Floats = table[np.frombuffer(data, np.uint8)]
        return values

    return Encoding(1, decode)


def _mulaw(codes: NDArray[np.int64]) -> NDArray[Any]:
    codes = ~codes & 0xFF
    size = (((codes & 15) << 3) + 0x84 << (codes >> 4 & 7)) - 0x84
    return np.where(codes & 0x80, -size, size)


def _alaw(codes: NDArray[np.int64]) -> NDArray[Any]:
    codes = codes ^ 0x55
    segment, size = codes >> 4 & 7, ((codes & 15) << 4) + 8
    size = np.where(segment, size + 0x100 << np.maximum(segment - 1, 0), size)
    return np.where(codes & 0x80, size, -size)


U8 = Encoding(1, _unsigned)
MULAW, ALAW = _companded(_mulaw), _companded(_alaw)
RAW: dict[str, Encoding] = {
    "s16le": linear(2),
    "s24le": linear(3),
    "s32le": linear(4),
    "f32le": floating(4),
    "u8": U8,
    "mulaw": MULAW,
    "alaw": ALAW,
}
"""Encodings of audio without a header, by name."""


class PcmReader:
    """Reads samples from a stream; channels are averaged.

    Args:
        stream: where they come from.
        encoding: how they are written.
        rate: samples a second.
        channels: of the stream.
        size: bytes of audio, None: up to the end.
        missing: bytes of audio that are known not to be there.
        close: closes the stream.
    """

    def __init__(
        self,
        stream: ByteStream,
        encoding: Encoding,
        rate: int,
        channels: int,
        *,
        size: int | None = None,
        missing: int = 0,
        close: Callable[[], None],
    ) -> None:
        self.rate = rate
        self._stream = stream
        self._encoding = encoding
        self._channels = channels
        self._frame = encoding.width * channels
        self._left = size
        self._missing = missing
        self.close = close

    @property
    def missing(self) -> float:
        return self._missing / self._frame / self.rate

    def read(self, count: int) -> Samples:
        wanted = min(count, max(_AT_ONCE // self._frame, 1)) * self._frame
        if self._left is not None:
            wanted = min(wanted, self._left)
        data = self._stream.read(wanted)
        if self._left is not None:
            self._left -= len(data)
            if len(data) < wanted:  # the stream is over
                self._missing, self._left = self._missing + self._left, 0
        samples = self._encoding.decode(data[: len(data) // self._frame * self._frame])
        if self._channels > 1:
            samples = samples.reshape(-1, self._channels).mean(axis=1)
        return np.rint(samples).clip(-32768, 32767).astype(np.int16)
