"""Audio formats on the wire: encoding and rate.

Inside this package audio is mono int16, shape (n,), in the machine's byte order.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retell_voice.errors import AudioFormatError

with warnings.catch_warnings():
    # The standard library's audioop is deprecated up to 3.12 and gone after it; from then on
    # the package audioop-lts provides the same module.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

Samples: TypeAlias = NDArray[np.int16]
"""Mono audio, shape (n,), int16, full scale ±32768."""
SAMPLES = "mono int16, shape (n,)"
"""The same, for people."""
_INT16 = np.dtype(np.int16)

LOWEST_RATE, HIGHEST_RATE = 1000, 768_000
"""Hz; of a device or a file: outside it is no audio, whatever a header claims."""
MIN_RATE, MAX_RATE = 8000, 48000
"""Sample rates a call may have, Hz (Retell, "Register Call")."""
MIN_FRAME_MS, MAX_FRAME_MS = 20, 250
"""Length of a frame of microphone audio, ms (Retell, "Audio WebSocket")."""


class Encoding(StrEnum):
    """How a sample is written on the wire."""

    S16LE = "s16le"
    """16-bit little-endian linear PCM."""
    MULAW = "mulaw"
    """G.711 µ-law, one byte a sample."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Encoding and sample rate of a call, the same in both directions.

    Args:
        encoding: ``s16le`` or ``mulaw``.
        rate: samples a second, 8000–48000.

    Raises:
        AudioFormatError: the Audio WebSocket does not support one of them.
    """

    encoding: Encoding = Encoding.S16LE
    rate: int = 24000

    def __post_init__(self) -> None:
        if self.encoding not in tuple(Encoding):
            raise AudioFormatError(
                f"encoding {self.encoding!r} is not one of {', '.join(Encoding)}"
            )
        object.__setattr__(self, "encoding", Encoding(self.encoding))
        if isinstance(self.rate, bool) or not isinstance(self.rate, int):
            raise AudioFormatError(f"sample rate {self.rate!r} is not a whole number")
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise AudioFormatError(
                f"sample rate {self.rate} Hz is outside {MIN_RATE}–{MAX_RATE} Hz",
                "use the rate the call was registered with",
            )

    @property
    def sample_width(self) -> int:
        """Bytes per sample on the wire."""
        return 1 if self.encoding is Encoding.MULAW else 2

    def frame_samples(self, frame_ms: int) -> int:
        """Return how many samples a frame of ``frame_ms`` has.

        Rounded so that a frame is never shorter than 20 ms nor longer than 250 ms.

        Raises:
            AudioFormatError: outside 20–250 ms.
        """
        if not MIN_FRAME_MS <= frame_ms <= MAX_FRAME_MS:
            raise AudioFormatError(
                f"frame length {frame_ms} ms is outside {MIN_FRAME_MS}–{MAX_FRAME_MS} ms"
            )
        return min(ceil(self.rate * frame_ms / 1000), self.rate * MAX_FRAME_MS // 1000)

    def seconds(self, data: bytes) -> float:
        """Return how long encoded audio lasts."""
        return len(data) / self.sample_width / self.rate

    def encode(self, samples: Samples) -> bytes:
        """Encode int16 samples, shape (n,), for the wire."""
        if self.encoding is Encoding.MULAW:
            return bytes(audioop.lin2ulaw(samples.tobytes(), 2))
        return samples.astype("<i2", copy=False).tobytes()

    def decode(self, data: bytes) -> Samples:
        """Decode bytes from the wire to int16 samples, shape (n,); the array may be read-only.

        Raises:
            ValueError: the length is not a whole number of samples.
        """
        if self.encoding is Encoding.MULAW:
            data = audioop.ulaw2lin(data, 2)
            return np.frombuffer(data, dtype=np.int16)
        samples: Samples = np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)
        return samples


def is_samples(value: object) -> bool:
    """Return whether this is a ``Samples``; cheap enough for an audio callback."""
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == _INT16


def described(value: object) -> str:
    """Describe something that should be ``Samples``: "float32, shape (320, 2)", "list"."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}, shape {value.shape}"
    return type(value).__name__


def to_int16(samples: NDArray[Any]) -> Samples:
    """Convert float samples, full scale ±1.0, to int16; beyond full scale they saturate.

    +1.0 gives 32767, −1.0 gives −32768, NaN gives silence.
    """
    scaled = np.rint(np.nan_to_num(np.clip(samples, -1, 1)) * 32768)
    saturated: Samples = np.minimum(scaled, 32767).astype(np.int16)
    return saturated


def to_float(samples: Samples) -> NDArray[np.float32]:
    """Convert int16 samples to float32, full scale ±1.0; the inverse of ``to_int16``."""
    return samples.astype(np.float32) / np.float32(32768.0)
