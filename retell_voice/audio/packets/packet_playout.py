"""A jitter buffer for packets: they go in as they arrive, samples come out as the device asks.

::

    push ─▶ PacketBuffer ─▶ PacketStream ─▶ SyncBuffer ─▶ pull ─▶ speaker
       └──▶ DelayEstimator ──▶ ┘                           └────▶ Utterances ─▶ reports

Used like a ``Playout``, except that ``push`` takes packets. In a continuous stream, utterances are
found by loudness, and the target follows the arrivals.
``clear``, at any moment: what would have been played next fades out in 6 ms, then silence.
The pull is the clock: arrivals and delays are counted in samples pulled; no other clock is read.
One thread owns a playout: the audio callback's.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.packets.delay_estimator import DelayEstimator
from retell_voice.audio.packets.packet import Decoder, Packet
from retell_voice.audio.packets.packet_buffer import PacketBuffer, Put
from retell_voice.audio.packets.packet_stream import Counts, Outcome, PacketStream
from retell_voice.audio.packets.time_stretch import fade_out
from retell_voice.audio.packets.utterances import Utterances
from retell_voice.audio.playout_reports import Report

DEFAULT_TARGET = (0.015, 0.5)
"""Lowest and highest target delay, seconds."""
_CLOCK = 48000
"""RTP timestamp units per second, as for Opus."""
_LIMIT = 1.0
"""Seconds of packets that may wait beyond the highest target."""
_FADE = 0.006


class PacketPlayout:
    """Plays packets as mono int16.

    Args:
        rate: samples a second.
        decoder: decodes at that rate; called only in ``pull`` and ``clear``.
        target: lowest and highest target delay, seconds. It starts at the lowest and follows the
            network's jitter.
    """

    def __init__(
        self, rate: int, decoder: Decoder, target: tuple[float, float] = DEFAULT_TARGET
    ) -> None:
        self.packets = PacketBuffer(rate, _CLOCK, round((target[1] + _LIMIT) * rate))
        """Packets that wait to be decoded. Read its counters."""
        self.position = 0
        """Samples pulled, silence included."""
        self.finishing = False
        """Set when nothing more will come: what is queued plays at once, nothing is concealed, and
        the end is reported without waiting for quiet."""
        self.reports: deque[Report] = deque()
        """What happened, oldest first; the reader takes reports from the left."""
        self._delays = DelayEstimator(rate, target)
        self._stream = PacketStream(rate, decoder, self.packets, self._delays)
        self._utterances = Utterances(rate, self.reports)
        self._played = self._dropped = 0
        self._fade = fade_out(round(_FADE * rate))
        self._tail = np.zeros(0, np.int16)  # what fades out after a clear

    @property
    def target(self) -> int:
        """Samples that the usual packet should wait before it is played."""
        return self._delays.target

    @property
    def delay(self) -> int:
        """Samples that the usual packet waits now; 0 while nothing is played."""
        return self._stream.delay(self.position) if self._stream.playing else 0

    @property
    def depth(self) -> int:
        """Samples queued."""
        return len(self._stream.sync) + self.packets.depth

    @property
    def heard(self) -> int:
        """Samples of packets played, including those that acceleration skipped.

        Synthesised samples are subtracted as soon as they are queued, so that at any time
        pushed = heard + discarded + depth.
        """
        return self._played + self.counts.accelerated - self.counts.synthesised

    @property
    def discarded(self) -> int:
        """Samples of packets discarded: cleared, late, duplicate, too many, or undecodable."""
        return self._dropped + self.counts.undecoded

    @property
    def counts(self) -> Counts:
        """What was done to the stream."""
        return self._stream.counts

    @property
    def concealed(self) -> int:
        """Samples synthesised by concealment."""
        return self.counts.concealed

    @property
    def underruns(self) -> int:
        """Times the buffer ran dry and the stream went on."""
        return self.counts.underruns

    @property
    def outcome(self) -> Outcome:
        """Where the last samples pulled came from."""
        return self._stream.outcome

    @property
    def speaking(self) -> bool:
        """True from the report that an utterance has started to the one that it has stopped."""
        return self._utterances.speaking

    @property
    def silent(self) -> bool:
        """True when nothing is queued or playing, and the end has been reported."""
        return not (self._utterances.speaking or self.depth or len(self._tail))

    def push(self, packet: Packet) -> None:
        """Take a packet that has arrived since the last pull."""
        before = self.packets.depth
        put, queued = self.packets.put(packet)
        if put in (Put.QUEUED, Put.LATE):
            self._delays.arrived(self.position, queued.start)
        self._dropped += before + queued.duration - self.packets.depth

    def clear(self, elsewhere: int = 0) -> None:
        """Discard everything queued; what was about to be played fades out in 6 ms.

        ``elsewhere``: samples that are discarded before they got here.
        """
        ends = np.zeros(len(self._fade), np.int16)
        if self._stream.playing:
            self._fill(ends)
        ends[:] = ends * self._fade
        _mix(ends, self._tail)
        self._tail = ends if ends.any() else ends[:0]
        lost = self.depth + elsewhere
        self._utterances.interrupt(self.position + len(self._tail), lost)
        self._dropped += lost
        self.packets.clear()
        self._stream.reset()

    def pull(self, out: Samples) -> bool:
        """Fill ``out``, shape (n,), with the next samples to play; False: all silence."""
        sounds = self._fill(out)
        if len(self._tail):
            _mix(out, self._tail)
            self._tail = self._tail[len(out) :]
            sounds = True
        self._utterances.hear(out, self.position)
        self.position += len(out)
        if self.finishing and self._utterances.speaking and not self.depth:
            self._utterances.finish(self.position)
        return sounds

    def _fill(self, out: Samples) -> bool:
        stream = self._stream
        stream.finishing = self.finishing
        filled, sounds = 0, False
        while filled < len(out):
            if not len(stream.sync) and (pause := stream.produce(self.position + filled)):
                out[filled : filled + pause] = 0
                filled += pause
            else:
                played = stream.sync.take(out[filled:])
                self._played += played
                filled += played
                sounds = sounds or played > 0
        return sounds


def _mix(out: Samples, tail: Samples) -> None:
    """Mix the fading tail into the output."""
    count = min(len(out), len(tail))
    total = out[:count].astype(np.int32) + tail[:count]
    out[:count] = np.clip(total, -32768, 32767)
