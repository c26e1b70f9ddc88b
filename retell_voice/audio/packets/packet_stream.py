"""Turns packets into one stream of samples, whatever the network does to them.

::

                            first packet, and it has waited for the target
    silence ────────────────────────────────────────────────────────────────▶ playing
     ▲                                                                          │
     │                                                          each time everything has been played
     │                                                                          │
     │                        the next packet is here:                          ▼
     │                          as it was sent ───────────────────────────────▶ normal
     │                          its delay is 10 ms and more over the target ──▶ accelerate
     │                          its delay is 5 ms and more under the target ──▶ preemptive expand
     │                          something else was played before it ──────────▶ merge
     │                        it is missing, the one after it has its FEC ────▶ recover
     │                        it is missing ──────────────────────────────────▶ conceal
     │ concealed for 120 ms                                                       │
     └────────────────────────────────────────────────────────────────────────────┘

- *normal*: decoded as it was sent.
- *accelerate*, *preemptive expand*: decoded, then shortened or lengthened by a pitch period, or by
  any length in quiet passages; in what is no louder than the noise, periods need not be alike.
- *merge*: decoded, and cross-faded from a concealment or from silence.
- *recover*: a lost packet, from the forward error correction in the next.
- *conceal*: the decoder's concealment, which fades from 60 ms on and is silent at 120 ms.

As long as no later packet is here, a missing one counts as late, not lost: it is played in full
when it comes, and the delay grows by the concealed time. Acceleration recovers that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.packets.delay_estimator import DelayEstimator
from retell_voice.audio.packets.noise_floor import NoiseFloor
from retell_voice.audio.packets.packet import Decoder
from retell_voice.audio.packets.packet_buffer import PacketBuffer, Queued
from retell_voice.audio.packets.sync_buffer import SyncBuffer
from retell_voice.audio.packets.time_stretch import TimeStretch, best_start, cross_fade, fade_out

_TOO_LONG, _TOO_SHORT = 0.01, 0.005
"""Deviation from the target, seconds, from which time is stretched."""
_STRETCH_EVERY = ((0.2, 0.02), (0.03, 0.05), (0.0, 0.1))
"""Deviation from the target, seconds, for stretching speech, and least time between stretches."""
_Likeness = tuple[float, float, float]
_SPEECH: _Likeness = (0.9, 0.5, 0.06)
"""How well two periods must correlate: at the target, and so many seconds off it."""
_NOISE: _Likeness = (0.6, 0.0, 0.025)
"""The same in what is no louder than the noise: it has no periods, and no joint is heard in it."""
_NEVER: _Likeness = (2.0, 2.0, 1.0)
_JUMP = 1.0
"""A packet this many seconds early is not early: its timestamps have jumped."""
_STEP = 0.01
"""Seconds concealed per step while the buffer is empty."""
_LOUD, _SILENT = 0.06, 0.12
_LONGEST = 0.12
"""Most seconds concealed at once: the longest packet."""
_MERGE = 0.005


class Outcome(StrEnum):
    """Where samples came from."""

    NORMAL = "normal"
    ACCELERATE = "accelerate"
    PREEMPTIVE_EXPAND = "preemptive expand"
    MERGE = "merge"
    RECOVER = "recover"
    CONCEAL = "conceal"
    SILENCE = "silence"


@dataclass(slots=True)
class Counts:
    """What was done to a stream, in samples unless stated otherwise."""

    concealed: int = 0
    """Synthesised by the decoder's concealment."""
    recovered: int = 0
    """Of lost packets, recovered from the next one's redundancy."""
    accelerated: int = 0
    """Skipped, to reduce the delay."""
    expanded: int = 0
    """Added, to increase it."""
    undecoded: int = 0
    """In packets the decoder rejected."""
    undecodable: int = 0
    """Number of those packets."""
    underruns: int = 0
    """Times the buffer ran dry and the stream went on."""
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    """How often each outcome was chosen."""

    @property
    def synthesised(self) -> int:
        """Samples played that no packet contained."""
        return self.concealed + self.recovered + self.expanded


class PacketStream:
    """Decides where the next samples come from and puts them into the sync buffer.

    Args:
        rate: samples a second.
        decoder: decodes at that rate.
        packets: those that have arrived.
        delays: how long packets should wait.
    """

    def __init__(
        self, rate: int, decoder: Decoder, packets: PacketBuffer, delays: DelayEstimator
    ) -> None:
        self._decoder, self._packets, self._delays = decoder, packets, delays
        self._stretcher = TimeStretch(rate)
        self._floor = NoiseFloor(rate)
        self.sync = SyncBuffer(self._stretcher.needed, rate // 4)
        """Decoded samples that wait to be played."""
        self.counts = Counts()
        self.outcome = Outcome.SILENCE
        """Where the last samples came from."""
        self.playing = False
        """True while something is playing or concealed."""
        self.finishing = False
        """Nothing more will come: what is here plays at once, nothing is concealed."""

        self._rate = rate
        self._too_long, self._too_short = round(_TOO_LONG * rate), round(_TOO_SHORT * rate)
        self._jump = round(_JUMP * rate)
        self._step, self._merge = round(_STEP * rate), round(_MERGE * rate)
        self._longest, self._silent = round(_LONGEST * rate), round(_SILENT * rate)
        # Loudness of concealment, by how long it has lasted.
        self._loud = round(_LOUD * rate)
        fade = fade_out(self._silent - self._loud)
        self._loudness = np.concatenate(
            (np.ones(self._loud, np.float32), fade, np.zeros(self._longest, np.float32))
        )
        self._nothing = np.zeros(self._merge, np.int16)
        self._fresh = True  # the decoder has not started: the first packet needs no fade-in
        self._next = 0  # the sample of the stream that follows those in the sync buffer
        self._dry = 0  # samples concealed while empty, in place of _next and after it
        self._concealed_run = 0  # samples concealed in a row
        self._ran_dry = False
        self._redundant = False  # redundancy has been seen in this stream
        self._stretched_at = 0

    def delay(self, now: int) -> int:
        """Return how long the usual packet waits, in samples, at a position."""
        return self._delays.delay(now + len(self.sync), self._next)

    def produce(self, now: int) -> int:
        """Fill the empty sync buffer, or return how many samples of silence come first.

        Args:
            now: samples pulled so far.
        """
        first = self._packets.first
        if first is None:
            return self._go_on_without()
        early = self._delays.target - self._delays.delay(now, first.start)
        if early > self._delays.target + self._jump:
            early = -self._jump  # overdue
        if not self.playing and early > 0 and not self.finishing:
            self._note(Outcome.SILENCE)
            return early
        missing = first.start - self._next - self._dry
        if self.playing and missing > 0:
            self._bridge(now, first, missing, early)
        else:
            self._play(now)
        return 0

    def stop(self) -> None:
        """Discard what was decoded."""
        self.playing = False
        self._dry = self._concealed_run = 0
        self.sync.clear()

    def reset(self) -> None:
        """Forget the stream so far, the decoder's state included."""
        self.stop()
        self._decoder.reset()
        self._ran_dry = False

    def _note(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.counts.outcomes[outcome] += 1

    def _go_on_without(self) -> int:
        """Conceal an empty buffer; return the samples of silence once that has faded."""
        if not self.playing or self.finishing or self._concealed_run >= self._silent:
            self.stop()
            self._note(Outcome.SILENCE)
            return self._rate
        self._ran_dry = True
        self._append_concealed(self._conceal(self._step))
        self._dry += self._step
        return 0

    def _bridge(self, now: int, first: Queued, missing: int, early: int) -> None:
        """Conceal what is missing before the first packet, or play the packet if it is due.

        Args:
            now: samples pulled so far.
            first: the packet.
            missing: samples before it, without those already concealed.
            early: samples until its turn.
        """
        sounding = self._conceal(self._step) if self._dry else None
        if self._recover(now, first, missing, sounding):
            return
        if sounding is not None and early > 0:
            self._append_concealed(sounding[: min(missing, early)])
            self._dry += min(missing, early, self._step)
        elif sounding is None and early > -self._too_long:
            count = min(missing, max(first.duration, self._step), self._longest)
            self._append_concealed(self._conceal(count))
            self._next += count
            self._packets.give_up(one=count < missing)
        else:
            self._play(now, sounding)

    def _conceal(self, count: int) -> Samples:
        """Return the continuation of the concealment; changes only the decoder's state."""
        if self._concealed_run >= self._silent:
            return np.zeros(count, np.int16)
        concealed = self._decoder.conceal(count)[:count]
        loudness = self._loudness[self._concealed_run :][: len(concealed)]
        return (concealed * loudness).astype(np.int16)

    def _append_concealed(self, samples: Samples) -> None:
        self.sync.append(samples)
        self.counts.concealed += len(samples)
        self._concealed_run += len(samples)
        self._note(Outcome.CONCEAL)

    def _recover(self, now: int, first: Queued, missing: int, sounding: Samples | None) -> bool:
        """Recover what is missing before a packet, if the packet contains it."""
        if missing > first.duration:
            return False
        found = self._decoder.recover(first.payload, first.duration)  # Opus has no part of it
        if found is None:
            return False
        self._redundant = True
        self._delays.lost(now, first.duration)
        found = found[-missing:]
        if sounding is not None:
            found = self._join(sounding, found)
        self.sync.append(found)
        self.counts.recovered += len(found)
        self._next, self._dry, self._concealed_run = first.start, 0, 0
        self._ran_dry = False  # it was lost, not late
        self._packets.give_up()
        self._note(Outcome.RECOVER)
        return True

    def _play(self, now: int, sounding: Samples | None = None) -> None:
        """Decode the first packet; ``sounding`` is the continuation of the concealment."""
        lost = self._packets.lost
        queued = self._packets.take()
        if self._redundant and self._packets.lost > lost:  # it came too late for its redundancy
            self._delays.lost(now, queued.duration)
        in_order = self.playing and queued.start == self._next + self._dry
        joins = not (self._fresh or (in_order and self._concealed_run < self._loud))
        if joins and sounding is None:
            sounding = self._conceal(self._step) if self.playing else self._nothing
        # Otherwise it is in time: what was due before it is lost, or was never sent (DTX).
        if self._ran_dry and queued.start < self._next + max(self._dry, 1):
            self.counts.underruns += 1
        self.playing, self._fresh, self._ran_dry = True, False, False
        self._next, self._dry = queued.start + queued.duration, 0
        samples = self._decode(queued)
        if samples is None:
            return
        self._concealed_run = 0
        if sounding is None:
            self.sync.append(samples)
            self._note(self._stretch(now))
        else:
            most = self._delays.delay(now, queued.start) - self._delays.target
            skipped = best_start(sounding[: self._merge], samples, min(most, len(samples) // 2))
            self.counts.accelerated += skipped
            self.sync.append(self._join(sounding, samples[skipped:]))
            self._note(Outcome.MERGE)

    def _decode(self, queued: Queued) -> Samples | None:
        """Return the samples of a packet; None: it has been concealed."""
        try:
            samples = self._decoder.decode(queued.payload)
            if len(samples) == queued.duration:
                self._floor.hear(samples)
                return samples
        except ValueError:
            pass
        self.counts.undecodable += 1
        self.counts.undecoded += queued.duration
        self._append_concealed(self._conceal(min(queued.duration, self._longest)))
        return None

    def _join(self, sounding: Samples, samples: Samples) -> Samples:
        """Return samples that begin like ``sounding``."""
        joined = samples.copy()
        count = min(self._merge, len(sounding), len(samples))
        joined[:count] = cross_fade(sounding[:count], joined[:count])
        return joined

    def _stretch(self, now: int) -> Outcome:
        """Bring the delay nearer to the target, if it is far off and the signal permits."""
        off = self.delay(now) - self._delays.target
        far = abs(off) / self._rate
        if self.finishing or -self._too_short < off < self._too_long:
            return Outcome.NORMAL
        wait = next(wait for least, wait in _STRETCH_EVERY if far >= least)
        soon = now - self._stretched_at < wait * self._rate
        if off > 0 and not soon:
            self._decode_ahead()
        likeness = _NEVER if soon else _SPEECH  # quiet passages may always be stretched
        if self._is_noise(lengthens=off < 0):
            likeness = _NOISE
        near, urgent, seconds = likeness
        correlation = near + min(far / seconds, 1.0) * (urgent - near)
        if off > 0:
            samples, gone = self._stretcher.shorten(self.sync.waiting, off, correlation)
            self.counts.accelerated += gone
        else:
            history, waiting = self.sync.history, self.sync.waiting
            samples, gone = self._stretcher.lengthen(history, waiting, -off, correlation)
            self.counts.expanded += gone
        if not gone:
            return Outcome.NORMAL
        self.sync.replace(samples)
        self._stretched_at = now
        return Outcome.ACCELERATE if off > 0 else Outcome.PREEMPTIVE_EXPAND

    def _is_noise(self, *, lengthens: bool) -> bool:
        """Whether what stretching would cut, or repeat, is no louder than the noise."""
        if not self._floor.covers(self.sync.waiting):
            return False
        return not lengthens or self._floor.covers(self.sync.history[-self._stretcher.longest :])

    def _decode_ahead(self) -> None:
        """Decode contiguous packets until there is enough to shorten."""
        while len(self.sync) < self._stretcher.needed:
            first = self._packets.first
            if first is None or first.start != self._next:
                return
            self._packets.take()
            self._next += first.duration
            samples = self._decode(first)
            if samples is not None:
                self.sync.append(samples)
