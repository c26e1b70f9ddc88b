"""Input of a packet playout: packets, and the decoder that turns them into samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from retell_voice.audio.format import Samples


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet of audio.

    Raises:
        ValueError: its duration is not positive.

    Attributes:
        sequence: RTP sequence number, 16 bits.
        timestamp: RTP timestamp of its first sample, 32 bits.
        duration: of its audio, in units of the timestamp.
        payload: the encoded audio.
        source: RTP's SSRC; each has sequence numbers and timestamps of its own.
    """

    sequence: int
    timestamp: int
    duration: int
    payload: bytes
    source: int = 0

    def __post_init__(self) -> None:
        if self.duration < 1:
            raise ValueError(f"a packet with a duration of {self.duration}")


class Decoder(Protocol):
    """Turns payloads into mono int16 samples at the playout's rate, in the order they are played.

    The arrays may be reused: they are valid until the next call.
    """

    def decode(self, payload: bytes) -> Samples:
        """Return the samples of a packet.

        Raises:
            ValueError: it cannot be decoded.
        """

    def conceal(self, count: int) -> Samples:
        """Return this many samples to conceal a missing packet."""

    def recover(self, following: bytes, count: int) -> Samples | None:
        """Return this many samples before a packet, from its redundancy (FEC).

        None: it carries none. The packet itself must not have been decoded yet.
        """

    def reset(self) -> None:
        """Forget everything decoded so far."""
