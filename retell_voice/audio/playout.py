"""The jitter buffer: agent audio in as it arrives, samples out as the device asks for them.

::

            push                depth ≥ target, or the stream paused
    idle ──────────▶ buffering ──────────────────────────────────────▶ playing
     ▲                   ▲                                                │
     │ dry for 0.3 s     │ push: that was an underrun, the target grows   │ nothing queued
     └───────────────────┴──────────────────── dry ◀──────────────────────┘

An utterance is over when it has been dry for 0.3 s, or when nothing louder than −50 dBFS has been
played for 0.8 s: some servers stream silence, or room noise, between utterances. That keeps
playing; the next utterance begins where it is loud again.
``clear``, in any state: what would have been played next fades out in 6 ms, then idle.
Running dry is concealed: the last pitch period repeats and fades out in 30 ms. What comes after
such a gap is cross-faded with the rest of that over 6 ms; an utterance starts as it was sent.
The pull is the clock: time is counted in samples pulled; no other clock is read.
One thread owns a playout: the audio callback's. Playing allocates nothing but views.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples
from retell_voice.audio.loudness import Loudness
from retell_voice.audio.playout_reports import Cued, Report, Spoken, Started, Stopped

DEFAULT_TARGET = (0.04, 0.22)
"""Lowest and highest depth that an utterance waits for, seconds."""
_FADE = 0.006
_CONCEALMENT = 0.03
_PITCH = (0.0025, 0.0125)
"""Shortest and longest pitch period of a voice, 400–80 Hz."""
_END_OF_UTTERANCE = 0.3
"""After being dry for this long, an utterance is over. Anything shorter is an underrun."""
_QUIET_END = 0.8
"""After this much quiet, an utterance is over although its stream goes on: longer than pauses
between sentences."""
_PAUSE = 1.5
"""A stream that pauses for this many targets has sent all it has for now."""
_MARGIN = 0.02
"""Added to the missing audio of an underrun when the target adapts to it."""


class Playout:
    """A jitter buffer of mono int16.

    Args:
        rate: samples a second.
        target: (lowest, highest) depth in seconds that an utterance waits for before it starts.
            It begins at the lowest, grows when audio comes too late and shrinks when there was
            depth to spare.
    """

    def __init__(self, rate: int, target: tuple[float, float] = DEFAULT_TARGET) -> None:
        self._rate = rate
        self._floor, self._ceiling = (round(seconds * rate) for seconds in target)
        self._end_of_utterance = round(_END_OF_UTTERANCE * rate)
        self._quiet_end = round(_QUIET_END * rate)
        self._margin = round(_MARGIN * rate)
        self._fade = _fade_out(round(_FADE * rate))
        self._fade_in = self._fade[::-1]
        self._faded_in = len(self._fade)  # samples since a gap, up to the length of the fade
        self._scratch = np.zeros(len(self._fade), np.float32)
        self._concealing_fade = _fade_out(round(_CONCEALMENT * rate))
        self._shortest, self._longest = (round(seconds * rate) for seconds in _PITCH)
        self._history = np.zeros(2 * self._longest, np.int16)  # the last samples played
        # What plays after the queue was cut or ran dry: _tail[_tail_from:_tail_to]. While playing,
        # it is no longer than the rest of the fade-in.
        self._tail = np.zeros(len(self._concealing_fade), np.int16)
        self._tail_from = self._tail_to = 0

        self.target = self._floor
        """Samples an utterance waits for before it starts."""
        self.depth = 0
        """Samples queued."""
        self.heard = 0
        """Samples of agent audio played."""
        self.discarded = 0
        """Samples discarded by ``clear``."""
        self.underruns = 0
        """Times an utterance ran dry and went on."""
        self.concealed = 0
        """Samples synthesised to conceal that."""
        self.position = 0
        """Samples pulled, silence included."""
        self.finishing = False
        """Set when nothing more will come: what is queued plays at once, and its end is reported
        without waiting for an underrun to end."""
        self.reports: deque[Report] = deque()
        """What happened, oldest first; the reader takes reports from the left."""

        self._chunks: deque[tuple[Samples, str | None, object]] = deque()
        self._due: deque[object] = deque()  # cues with nothing queued before them
        self._offset = 0  # samples of the first chunk already played
        self._speaking = False  # between Started and Stopped
        self._hushed = False  # the stream goes on in silence after an utterance, or before one
        self._loudness = Loudness(rate)  # of this utterance, or of the silence after it
        self._playing = False
        self._since_push = 0
        self._dry_at = 0
        self._spare: int | None = None  # least depth found by a push in this utterance

    @property
    def silent(self) -> bool:
        """True when nothing is queued or playing, and the end has been reported."""
        sounds = self._playing or self._tail_from < self._tail_to
        return not (self._speaking or self.depth or sounds)

    def push(self, samples: Samples, text: str | None = None, cue: object = None) -> None:
        """Queue agent audio, shape (n,). The array is kept, not copied.

        ``text`` and ``cue`` are reported when the first of these samples is pulled. Without
        samples, text waits for the audio that follows, a cue only for what is queued before it.
        ``clear`` drops unreported ones.
        """
        if not len(samples):
            if cue is not None and not (self.depth or self._playing):
                self._due.append(cue)
            elif text or cue is not None:
                self._chunks.append((samples, text, cue))
            return
        if self._playing:
            self._spare = self.depth if self._spare is None else min(self._spare, self.depth)
        elif self._speaking and not self.depth:
            self._learn(self.position - self._dry_at)
        self._chunks.append((samples, text, cue))
        self.depth += len(samples)
        self._since_push = 0

    def clear(self, elsewhere: int = 0) -> None:
        """Discard everything queued; what was about to be played fades out in 6 ms.

        ``elsewhere``: samples of the same turn that are discarded before they got here.
        """
        if self._playing:
            self._keep_tail()
        else:
            self._cut_tail()
        lost = self.depth + elsewhere
        faded_at = self.position + self._tail_to - self._tail_from
        if self._speaking:
            over = not (self._playing or lost or faded_at > self.position)
            self._stop(Stopped(self._dry_at) if over else Stopped(faded_at, True, lost))
        self.discarded += lost
        self._playing = self._hushed = False
        self.depth = self._offset = 0
        self._chunks.clear()
        self._due.clear()

    def pull(self, out: Samples) -> bool:
        """Fill ``out``, shape (n,), with the next samples to play; False: all silence."""
        while self._due:
            self.reports.append(Cued(self.position, self._due.popleft()))
        if self.silent:
            out.fill(0)
            self.position += len(out)
            self._since_push += len(out)
            return False
        filled = 0
        if not self._playing:
            ready = self._is_ready()
            if not (ready and (self._speaking or self._hushed)):
                filled = self._pull_tail(out)
            if ready and filled < len(out):
                self._start(self.position + filled)
        if self._playing:
            filled = self._play(out, filled)
        if filled < len(out):
            out[filled:] = 0
        self.position += len(out)
        self._since_push += len(out)
        if self._speaking and not self._playing and not self.depth:
            dry_for = self.position - self._dry_at
            if self.finishing or dry_for >= self._end_of_utterance:
                self._stop(Stopped(self._dry_at))
        return filled > 0

    def _is_ready(self) -> bool:
        if not self.depth:
            return False
        paused = self._since_push >= _PAUSE * self.target
        return self.depth >= self.target or paused or self.finishing

    def _start(self, position: int) -> None:
        self._playing = True
        if position - self._dry_at >= self._end_of_utterance:
            self._hushed = False  # that stream has ended, this is another
        if self._speaking or self._hushed:
            self._faded_in = 0
            self._cut_tail()
            return
        self._faded_in = len(self._fade)
        self._history[:] = 0
        self._loudness.forget()
        if self._begins_with_zeros():
            self._hushed = True
        else:
            self._begin(position)

    def _begin(self, position: int) -> None:
        self._speaking, self._hushed = True, False
        self._spare = self.target
        self.reports.append(Started(position))

    def _begins_with_zeros(self) -> bool:
        first = next(samples for samples, _, _ in self._chunks if len(samples))
        return not np.count_nonzero(first[: len(self._fade)])

    def _stop(self, report: Stopped) -> None:
        self._speaking = self._playing = False
        self.reports.append(report)
        # A quarter of the depth that this utterance never needed is given back.
        spare = (self._spare or 0) - self._margin
        self.target = max(self._floor, self.target - max(0, spare) // 4)

    def _learn(self, gap: int) -> None:
        self.underruns += 1
        self.concealed += min(gap, self._tail_from)
        self._spare = 0
        self.target = min(self._ceiling, self.target + gap + self._margin)

    def _play(self, out: Samples, filled: int) -> int:
        """Fill the rest of ``out``: from the queue, after a gap cross-faded with the tail; when
        that runs dry, from a new tail.
        """
        start, filled = filled, self._pull_chunks(out, filled)
        played = out[start:filled]
        # Before fading: a repeated period with a fade in it would pulse.
        self._remember(played)
        self._listen(played, self.position + start)
        if self._faded_in < len(self._fade):
            fading = played[: len(self._fade) - self._faded_in]
            self._scale(fading, self._fade_in[self._faded_in :])
            self._faded_in += len(fading)
            rest = self._tail[self._tail_from : self._tail_to][: len(fading)]
            fading[: len(rest)] += rest
            self._tail_from += len(rest)
        if not self._playing:
            if not self.finishing:
                self._conceal()
            filled += self._pull_tail(out[filled:])
        return filled

    def _pull_chunks(self, out: Samples, filled: int) -> int:
        while filled < len(out):
            if not self._chunks:
                self._playing = False
                self._dry_at = self.position + filled
                break
            samples, text, cue = self._chunks[0]
            if not self._offset:
                if text:
                    self.reports.append(Spoken(self.position + filled, text, len(samples)))
                if cue is not None:
                    self.reports.append(Cued(self.position + filled, cue))
            part = samples[self._offset : self._offset + len(out) - filled]
            out[filled : filled + len(part)] = part
            filled += len(part)
            self.depth -= len(part)
            self.heard += len(part)
            self._offset += len(part)
            if self._offset == len(samples):
                self._chunks.popleft()
                self._offset = 0
        return filled

    def _listen(self, played: Samples, position: int) -> None:
        """Detect an utterance that ends, or begins, within a continuous stream."""
        loudness = self._loudness
        loudness.listen(played, position)
        if loudness.loud_from is None:
            return
        if self._hushed:
            self._begin(loudness.loud_from)
        elif self._speaking and loudness.heard_until - loudness.loud_until >= self._quiet_end:
            playing = self._playing
            self._stop(Stopped(loudness.loud_until))
            self._playing, self._hushed = playing, True
            loudness.forget()

    def _remember(self, played: Samples) -> None:
        history = self._history
        played = played[-len(history) :]
        kept = len(history) - len(played)
        history[:kept] = history[len(played) :]
        history[kept:] = played

    def _conceal(self) -> None:
        """Make the tail from the last pitch period, repeated and faded.

        If dry again before the fade-in is complete, it continues at the level reached, over what
        was still fading.
        """
        period = self._history[-self._pitch_period() :]
        rest = self._tail[self._tail_from : self._tail_to].copy()
        gain = self._concealing_fade * self._fade_in[self._faded_in - 1]
        self._tail[:] = np.resize(period, len(self._tail)) * gain
        self._tail[: len(rest)] += rest
        self._tail_from, self._tail_to = 0, len(self._tail)

    def _pitch_period(self) -> int:
        """Return the lag, in samples, at which the last audio played repeats best."""
        history = self._history.astype(np.float32)
        count = self._longest - self._shortest + 1
        correlation = np.correlate(history, history[-self._longest :], "valid")[:count]
        energy = np.cumsum(np.concatenate(([1.0], history**2)))
        energy = energy[self._longest : self._longest + count] - energy[:count] + 1.0
        return self._longest - int(np.argmax(correlation / np.sqrt(energy)))

    def _keep_tail(self) -> None:
        """Move what would be played next, faded, from the queue to the tail."""
        raw = np.zeros(len(self._fade), np.int16)
        self._play(raw, 0)
        self._scale(raw, self._fade)
        self._tail[: len(raw)] = raw
        self._tail_from, self._tail_to = 0, len(raw)

    def _cut_tail(self) -> None:
        """Make a concealment in progress fade as fast as anything else."""
        if self._tail_to - self._tail_from > len(self._fade):
            self._tail_to = self._tail_from + len(self._fade)
            self._scale(self._tail[self._tail_from : self._tail_to], self._fade)

    def _pull_tail(self, out: Samples) -> int:
        part = self._tail[self._tail_from : self._tail_to][: len(out)]
        out[: len(part)] = part
        self._tail_from += len(part)
        return len(part)

    def _scale(self, samples: Samples, gain: NDArray[np.float32]) -> None:
        """Multiply at most a fade's length of samples, in place and without allocating."""
        scaled = self._scratch[: len(samples)]
        scaled[:] = samples
        scaled *= gain[: len(samples)]
        samples[:] = scaled


def _fade_out(samples: int) -> NDArray[np.float32]:
    """Return a gain from 1 to 0 over this many samples."""
    gain: NDArray[np.float32] = np.cos(np.linspace(0, np.pi / 2, samples, dtype=np.float32)) ** 2
    return gain
