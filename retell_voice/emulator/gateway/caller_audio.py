"""The caller's audio: packets in, samples in their order out. Pure.

The packets are its clock: samples come out as soon as those before them have, and one that is
missing is given up once three later ones are here. Then it is concealed, so that the samples keep
the caller's time.
"""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.opus import CLOCK, packet_duration
from retell_voice.audio.packets.packet import Decoder, Packet
from retell_voice.audio.packets.packet_buffer import PacketBuffer, Queued

_REORDER_MS = 60
_CONCEALED_MS = 120
_LONGEST_GAP_MS = 10_000  # that is filled with silence: a caller whose microphone was off
_LIMIT_MS = 1000


class CallerAudio:
    """Puts packets in order and decodes them.

    Args:
        rate: samples a second.
        decoder: of this rate.
    """

    def __init__(self, rate: int, decoder: Decoder) -> None:
        self._decoder = decoder
        self._buffer = PacketBuffer(rate, CLOCK, rate * _LIMIT_MS // 1000)
        self._reorder = rate * _REORDER_MS // 1000
        self._concealed = rate * _CONCEALED_MS // 1000
        self._longest_gap = rate * _LONGEST_GAP_MS // 1000
        self._next: int | None = None  # sequence number
        self._position = 0  # of the next sample
        self._restarts = 0
        self.broken = 0
        """Packets that were not Opus."""

    @property
    def lost(self) -> int:
        """Packets that did not come in time."""
        return self._buffer.lost

    def receive(self, sequence: int, timestamp: int, payload: bytes) -> Samples:
        """Take a packet; return what can be heard now, shape (n,), often nothing.

        Args:
            sequence, timestamp: of its RTP header.
            payload: Opus.
        """
        try:
            duration = packet_duration(payload)
        except ValueError:
            self.broken += 1
            return np.zeros(0, np.int16)
        self._buffer.put(Packet(sequence, timestamp, duration, payload))
        if self._buffer.restarts > self._restarts:
            self._restarts = self._buffer.restarts
            self._next = None
            self._decoder.reset()
        pieces: list[Samples] = []
        while (first := self._buffer.first) is not None:
            if self._next not in (None, first.sequence) and self._buffer.depth <= self._reorder:
                break
            pieces += self._play(self._buffer.take())
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def _play(self, packet: Queued) -> list[Samples]:
        pieces = []
        if self._next is not None and (gap := packet.start - self._position) > 0:
            pieces = self._fill(gap, packet.payload)
        try:
            # Copied: the decoder uses its array again.
            samples = self._decoder.decode(packet.payload).copy()
        except ValueError:
            self.broken += 1
            samples = np.zeros(packet.duration, np.int16)
        self._next = packet.sequence + 1
        self._position = packet.start + len(samples)
        return [*pieces, samples]

    def _fill(self, gap: int, following: bytes) -> list[Samples]:
        """Return what is heard in place of missing samples: concealment, silence, FEC."""
        gap = min(gap, self._longest_gap)
        concealed = min(gap, self._concealed)
        if concealed == gap:
            recovered = self._decoder.recover(following, gap)
            return [(self._decoder.conceal(gap) if recovered is None else recovered).copy()]
        return [self._decoder.conceal(concealed).copy(), np.zeros(gap - concealed, np.int16)]
