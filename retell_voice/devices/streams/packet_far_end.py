"""The far end of a call whose agent audio comes as Opus packets, in real time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.audio.opus import CLOCK, RATES, OpusDecoder, packet_duration
from retell_voice.audio.packets.packet import Packet
from retell_voice.audio.packets.packet_playout import DEFAULT_TARGET, PacketPlayout
from retell_voice.audio.resample import Resampler
from retell_voice.devices.streams.far_end import FarEnd
from retell_voice.events import PacketFigures


class PacketFarEnd(FarEnd):
    """A ``FarEnd`` that takes packets and decodes them when they are due.

    Args:
        rate: the speaker's samples a second. Opus does not support 44.1 kHz: then it is decoded at
            48 kHz and resampled in the callback.
        target: lowest and highest delay of the jitter buffer, seconds; None: the default.
        audible: as for ``FarEnd``.
    """

    def __init__(
        self,
        rate: int,
        target: tuple[float, float] | None = None,
        *,
        audible: Callable[[], None] = lambda: None,
    ) -> None:
        decoded = rate if rate in RATES else CLOCK
        packets = PacketPlayout(decoded, OpusDecoder(decoded), target or DEFAULT_TARGET)
        super().__init__(AudioFormat(rate=decoded), decoded, 0.0, audible=audible, playout=packets)
        self._packets = packets.packets
        self._packet_playout = packets
        self._received = 0
        self._device_rate = rate
        self._to_device = Resampler(decoded, rate)
        self._held: Samples = np.zeros(0, np.int16)

    def push_packet(self, sequence: int, timestamp: int, payload: bytes, source: int = 0) -> bool:
        """Take a packet as it arrives; False: it is not Opus.

        Args:
            sequence, timestamp: of RTP, 16 and 32 bits.
            payload: the Opus packet.
            source: RTP's SSRC.
        """
        try:
            packet = Packet(sequence, timestamp, packet_duration(payload), payload, source)
        except ValueError:
            return False
        self._received += 1
        self._pushed += self._packets.samples(packet)
        self._turn.queue.append((packet,))
        return True

    def figures(self) -> PacketFigures:
        """Return what has become of the packets so far. Runs on: event loop."""
        packets, counts = self._packets, self._packet_playout.counts
        return PacketFigures(
            received=self._received,
            lost=packets.lost,
            late=packets.late,
            duplicates=packets.duplicates,
            undecodable=counts.undecodable,
            recovered=counts.recovered / self.rate,
            accelerated=counts.accelerated / self.rate,
            expanded=counts.expanded / self.rate,
            delay=self._packet_playout.delay / self.rate,
        )

    @property
    def speaking(self) -> bool:
        """Whether the agent is heard, by loudness; True for 0.3 s longer."""
        return self._packet_playout.speaking

    def fill_rt(self, out: Samples, delay: float = 0.0) -> bool:
        """Runs on: audio callback thread. Fill ``out``, shape (n,); False: all silence."""
        if self._device_rate == self.rate:
            return super().fill_rt(out, delay)
        sounds = False
        while (lacking := len(out) - len(self._held)) > 0:
            block = np.zeros(self._to_device.needed(lacking), np.int16)
            sounds |= super().fill_rt(block, delay + len(self._held) / self._device_rate)
            self._held = np.concatenate((self._held, self._to_device.process(block)))
        out[:] = self._held[: len(out)]
        self._held = self._held[len(out) :]
        return sounds
