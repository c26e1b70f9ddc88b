"""Packets of plain samples, and a decoder that shows what it was asked."""

from __future__ import annotations

import struct

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.packets.packet import Packet

CLOCK = 48000


def payload(samples: Samples, before: Samples | None = None) -> bytes:
    """Return samples as a payload, with those of the packet before as its redundancy."""
    redundancy = b"" if before is None else before.tobytes()
    return struct.pack("<H", len(redundancy)) + redundancy + samples.tobytes()


def packets(
    samples: Samples, rate: int, *, ms: int = 20, sequence: int = 0, timestamp: int = 0
) -> list[Packet]:
    """Cut samples, shape (n,), into packets; numbers wrap around as those of RTP do."""
    size, units = rate * ms // 1000, CLOCK * ms // 1000
    return [
        Packet(
            (sequence + index) % 2**16,
            (timestamp + index * units) % 2**32,
            units,
            payload(samples[index * size : (index + 1) * size]),
        )
        for index in range(len(samples) // size)
    ]


class PlainDecoder:
    """Decodes ``payload``; conceals by holding the last sample."""

    def __init__(self) -> None:
        self.decoded: list[bytes] = []
        self._last = 0

    def decode(self, payload: bytes) -> Samples:
        """Return the samples of a payload."""
        try:
            (redundancy,) = struct.unpack_from("<H", payload)
            samples: Samples = np.frombuffer(payload[2 + redundancy :], np.int16)
        except struct.error as error:
            raise ValueError(str(error)) from None
        self.decoded.append(payload)
        self._last = int(samples[-1]) if len(samples) else 0
        return samples

    def conceal(self, count: int) -> Samples:
        """Return the last sample over and over."""
        return np.full(count, self._last, np.int16)

    def recover(self, following: bytes, count: int) -> Samples | None:
        """Return the redundancy of a payload, if it has any."""
        redundancy = int.from_bytes(following[:2], "little")
        found: Samples = np.frombuffer(following[2 : 2 + redundancy], np.int16)
        return found[-count:] if redundancy else None

    def reset(self) -> None:
        """Have nothing to hold."""
        self._last = 0
