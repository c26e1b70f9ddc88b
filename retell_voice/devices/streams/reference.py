"""The far-end reference: what was actually played, and when it was heard.

::

    speaker's callback ─▶ FarReference.write_rt     after volume, fades and concealment
    near-end thread    ◀─ ReferenceReader.read      in step with what the microphone hears

No lock: one thread writes. Times are seconds of ``time.monotonic``. They jitter by a millisecond
or so, as callbacks do, while an echo canceller needs a stream without steps: a reader continues
where it stopped as long as the times agree with that, but for a sample now and then where clocks
drift. It looks ahead, but not so far that it asks for what the speaker has not been given yet.
"""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import Resampler
from retell_voice.audio.ring import Ring
from retell_voice.devices.streams.holes import Holes

_SECONDS = 2.0
LEAD_SECONDS = 0.04
"""Seconds by which a reader for echo control looks ahead, at most. A canceller can find an echo
that is late, by up to 300 ms, but not one that comes before its reference. So this covers errors of
the times, what devices say about their latency included."""
_FIRST_READS, _MOSTLY = 30, 0.9
"""Reads after which it knows how far it can look ahead, and the share that must find enough."""
_SPARE = 0.01
_SHORT_MEMORY, _TOO_OFTEN = 0.01, 0.2
"""Smoothing of the share of short reads later, per read, and the share that is too much: then it
looks less far ahead once more. A speaker that stalls for 0.2 s does not reach it: its silence is
what was heard."""
_AHEAD, _BEHIND = 0.03, 0.01
"""Seconds by which it may be ahead of the times, and behind them, before they are believed: sound
servers correct theirs by 10 ms and more, while a canceller copes with a constant offset, unless the
echo comes too early."""
_DISAGREEING_READS = 20
"""Reads for which they must disagree: a fifth of a second."""
_DRIFTED, _DRIFT_MEMORY = 0.001, 0.005
"""Seconds by which the clocks may drift apart before single samples are left out or repeated, and
the smoothing of that, per read."""
_SLIP_SECONDS = 0.4
"""Between two such samples: enough for a drift of 100 ppm at 24 kHz. A canceller follows them."""


class FarReference:
    """The last two seconds that a speaker played; one thread writes, others read.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.ring = Ring(round(_SECONDS * rate))
        self.anchor: tuple[int, float] | None = None
        """A position, and when that sample is heard; None before the first block."""
        self._holes = Holes(rate)

    def resume(self) -> None:
        """Begin anew: nothing was written for a while, as nothing was played, nor is now."""
        self._holes = Holes(self.rate)
        self.anchor = None

    def write_rt(self, samples: Samples, heard_at: float) -> None:
        """Runs on: audio callback thread. Append samples, shape (n,), first heard at a time.

        Silence comes before them where the speaker has had nothing to play.
        """
        if missing := self._holes.note_rt(heard_at, len(samples)):
            self.ring.skip_rt(round(missing * self.rate))
        start = self.ring.written
        self.ring.write_rt(samples)
        self.anchor = start, heard_at  # last: it never points beyond the data

    def position_at(self, time: float) -> int | None:
        """Return the position of what was heard at a time, None while unknown."""
        if self.anchor is None:
            return None
        position, heard_at = self.anchor
        return position + round((time - heard_at) * self.rate)


class ReferenceReader:
    """Reads a reference at the rate of the near end, and in step with it.

    Args:
        reference: what to read.
        rate: the near end's samples a second.
    """

    def __init__(self, reference: FarReference, rate: int) -> None:
        self.jumps = 0
        """Times that it had to skip or repeat: a device was switched, lost or fell behind."""
        self._reference = reference
        self._resampler = Resampler(reference.rate, rate)
        self._step = reference.rate / rate
        self._next: float | None = None  # position in the reference of what is returned next
        self._fed = 0  # position up to which the resampler has been fed
        self._off = 0  # reads in a row that disagreed
        self._trusting = 0  # samples until they must again be several
        self._drift = 0.0  # positions by which it is behind the times, smoothed
        self._slipped = 0  # samples returned since one was left out or repeated
        self._back = 0  # positions by which it looks less far ahead than requested
        self._short = 0.0  # share of recent reads that were short
        self._least = reference.ring.size  # missing in any of those
        self._first: list[int] = []  # missing in each of the first reads; less than 0: to spare
        self._held: Samples = np.zeros(0, np.int16)

    def trust(self, seconds: float) -> None:
        """Believe times at once for the next while: streams begin anew, and an echo with them."""
        self._trusting = round(seconds * self._reference.rate / self._step)

    def read(self, count: int, at: float) -> Samples:
        """Return ``count`` samples that were heard from the time ``at`` on, shape (count,).

        Silence where nothing was played, or where it is no longer known.
        """
        wanted = self._reference.position_at(at)
        if wanted is None:
            return np.zeros(count, np.int16)
        if self._next is None:
            self._jump(wanted - self._back)
        behind = wanted - self._back - (self._next or 0.0)
        if self._agrees(behind):
            self._off = 0
            self._drift += _DRIFT_MEMORY * (behind - self._drift)
        else:
            self._off += 1
            if self._trusting > 0 or self._off >= _DISAGREEING_READS:
                self.jumps += 1
                self._jump(wanted - self._back)
        self._trusting = max(0, self._trusting - count)
        self._stay_back(wanted, count)
        slip = self._slip(count)
        if (lacking := count + slip - len(self._held)) > 0:
            self._held = np.concatenate((self._held, self._pull(self._resampler.needed(lacking))))
        if slip < 0:
            self._held = np.concatenate((self._held[:1], self._held))
        taken, self._held = self._held[max(slip, 0) :][:count], self._held[count + max(slip, 0) :]
        self._next = (self._next or 0.0) + (count + slip) * self._step
        return taken

    def _slip(self, count: int) -> int:
        """Return how many samples to leave out: 1 or, to repeat one, −1 where clocks drift."""
        self._slipped += count
        rate = self._reference.rate
        due = self._slipped * self._step > _SLIP_SECONDS * rate
        if not due or abs(self._drift) < _DRIFTED * rate or count < 2:
            return 0
        self._slipped = 0
        return 1 if self._drift > 0 else -1

    def _agrees(self, behind: float) -> bool:
        """Return whether the times agree with where it is, to so many positions."""
        rate = self._reference.rate
        return -_AHEAD * rate <= behind <= _BEHIND * rate

    def _stay_back(self, wanted: int, count: int) -> None:
        """Look less far ahead if the speaker has not been given so much yet."""
        needed = self._resampler.needed(max(0, count - len(self._held)))
        missing = self._fed + needed - self._reference.ring.written
        if len(self._first) < _FIRST_READS:
            self._first.append(missing)
            if missing > 0:  # at once: the far end may speak first
                self._look_less_far(wanted, missing)
            if len(self._first) == _FIRST_READS:
                self._look_less_far(wanted, sorted(self._first)[round(_MOSTLY * _FIRST_READS)])
            return
        self._short += _SHORT_MEMORY * ((missing > 0) - self._short)
        if missing > 0:
            self._least = min(self._least, missing)
            if self._short >= _TOO_OFTEN:
                self._look_less_far(wanted, self._least)
                self._short, self._least = 0.0, self._reference.ring.size

    def _look_less_far(self, wanted: int, by: int) -> None:
        rate = self._reference.rate
        back = min(self._back + by + round(_SPARE * rate), round(LEAD_SECONDS * rate))
        if back > self._back:
            self._back = back
            self._jump(wanted - back)

    def _jump(self, to: int) -> None:
        self._next, self._fed, self._off = float(to), to, 0
        self._drift = 0.0
        self._resampler.reset()
        self._held = self._held[:0]

    def _pull(self, count: int) -> Samples:
        """Take samples from the ring, silence for missing ones."""
        start = self._fed
        self._fed = stop = start + count
        ring = self._reference.ring
        written = ring.written
        first, last = max(start, written - ring.size, 0), min(stop, written)
        out = np.zeros(count, np.int16)
        if first < last:
            out[first - start : last - start] = ring.between(first, last)
        return self._resampler.process(out)
