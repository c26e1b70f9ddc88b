"""The far end: one call's agent audio on its way to the speaker.

::

    push, clear ─▶ turn (queue) ─▶ [callback: jitter buffer: pull] ─▶ Output ─▶ speaker
      event loop ◀─ poll ◀─ reports ◀──┘

Single values and deques cross without locks: each has one thread that writes and one that
reads, and CPython makes each of those operations atomic. A *turn* is one generation of agent
audio: ``clear`` installs a new one with a single assignment, which the next callback sees before
anything else, however much of the old turn is still queued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.audio.playout import DEFAULT_TARGET, Playout
from retell_voice.audio.playout_reports import Report, Stopped
from retell_voice.audio.resample import Resampler

if TYPE_CHECKING:  # calls over a WebSocket have no packets
    from retell_voice.audio.packets.packet_playout import PacketPlayout

_READY_SECONDS = 1.0
"""Audio the callback takes over in advance: more would only make a ``clear`` costlier."""
_TEXTS_ALONE = 1000
"""Texts without audio that a turn may contain."""


class _Turn:
    """One generation of agent audio on its way to the callback."""

    def __init__(self, pushed_before: int) -> None:
        self.queue: deque[tuple[Any, ...]] = deque()  # arguments for the playout's push
        self.pushed_before = pushed_before
        self.texts = 0
        self.finishing = False


class FarEnd:
    """Takes agent audio on the event loop and supplies the speaker.

    Args:
        audio: encoding and rate of the call.
        rate: the speaker's samples a second.
        limit: seconds of audio that may be queued; the excess is dropped, the newest first.
        target: (lowest, highest) depth of the jitter buffer, seconds.
        audible: called on the audio callback thread when there is something to ``poll``; must
            neither block nor raise.
        playout: a jitter buffer other than the usual one, with a bound of its own.
    """

    def __init__(
        self,
        audio: AudioFormat,
        rate: int,
        limit: float,
        target: tuple[float, float] = DEFAULT_TARGET,
        *,
        audible: Callable[[], None] = lambda: None,
        playout: Playout | PacketPlayout | None = None,
    ) -> None:
        self.rate = rate
        self.fault: Exception | None = None
        """The exception in the callback, if any: a defect."""
        self.playout = playout or Playout(rate, target)
        """The jitter buffer. Read its counters; its audio belongs to the callback."""
        self._audio = audio
        self._resampler = Resampler(audio.rate, rate)
        self._limit = round(limit * rate)
        self._pushed = 0  # samples, all turns
        self._audible = audible
        self._asked_to_poll = False
        self._turn = self._current = _Turn(0)  # the event loop's and the callback's
        self._retired: deque[_Turn] = deque()
        self._ready = round(_READY_SECONDS * rate)
        self._takes_all = playout is not None
        self._lag = 0  # samples between the last one pulled and the one heard now

    # Event loop

    def push(self, data: bytes, text: str | None = None, cue: object = None) -> float:
        """Queue encoded agent audio; return the seconds of it that had to be dropped.

        ``cue`` comes back from ``poll`` when its first sample is heard, see ``Cued``; the dialect
        bounds how many are on their way.
        """
        return self._push(self._resampler.process(self._audio.decode(data)), text, cue)

    def clear(self) -> None:
        """Make everything queued so far inaudible from the next block on."""
        self._resampler.reset()
        self._turn = _Turn(self._pushed)

    def finish(self) -> None:
        """Note that no more audio will come: what is left plays without waiting for more."""
        self._push(self._resampler.flush())
        self._turn.finishing = True

    @property
    def depth(self) -> float:
        """Seconds of agent audio queued and not yet played."""
        return self._queued / self.rate

    @property
    def hearing(self) -> int:
        """Position, in samples pulled, of what is heard now; exact when a block was filled."""
        return self.playout.position - self._lag

    @property
    def silent(self) -> bool:
        """True when all that was pushed has been heard, to the last sample, and reported."""
        playout = self.playout
        # By the counters, which change when a block has been played: on its way from queue to
        # playout, a sample is in neither.
        played = self._pushed == playout.heard + playout.discarded
        return played and playout.silent and not playout.reports

    def poll(self) -> list[tuple[Report, float]]:
        """Return the reports that have become audible, and how many seconds ago each did."""
        self._retired.clear()
        self._asked_to_poll = False  # first: what becomes audible from here on is reported again
        audible = self.hearing
        reports = self.playout.reports
        heard = []
        while reports and reports[0].position <= audible:
            report = reports.popleft()
            heard.append((report, (audible - report.position) / self.rate))
            if isinstance(report, Stopped) and not self._queued:
                self._resampler.reset()  # its last 3 ms are not for the next utterance
        return heard

    @property
    def discarded(self) -> int:
        """Samples discarded, whether or not the callback has seen the clear yet."""
        done = self.playout.heard + self.playout.discarded
        return self.playout.discarded + max(0, self._turn.pushed_before - done)

    @property
    def _queued(self) -> int:
        # What a clear discards is gone, whether or not the callback has seen it yet.
        done = self.playout.heard + self.playout.discarded
        return self._pushed - max(done, self._turn.pushed_before)

    def _push(self, samples: Samples, text: str | None = None, cue: object = None) -> float:
        taken = samples[: max(0, self._limit - self._queued)]
        if text and not len(taken):  # text alone goes with the audio that follows
            self._turn.texts += 1
        if len(taken) or cue is not None or (text and self._turn.texts <= _TEXTS_ALONE):
            self._pushed += len(taken)
            self._turn.queue.append((taken, text, cue))
        return (len(samples) - len(taken)) / self.rate

    # Audio callback

    def fill_rt(self, out: Samples, delay: float = 0.0) -> bool:
        """Runs on: audio callback thread. Fill ``out``, shape (n,); False: all silence.

        ``delay``: seconds until ``out[0]`` is heard.
        """
        try:
            sounds = self._fill_rt(out)
            self._lag = len(out) + round(delay * self.rate)
            if self.playout.reports and not self._asked_to_poll:
                self._ask_to_poll_rt()
        except Exception as error:
            out[:] = 0
            self.fault = error
            return False
        return sounds

    def _fill_rt(self, out: Samples) -> bool:
        """Runs on: audio callback thread."""
        playout, turn = self.playout, self._turn
        if turn is not self._current:
            self._retired.append(self._current)  # may be large: freed on the event loop
            self._current = turn
            playout.clear(turn.pushed_before - playout.heard - playout.discarded - playout.depth)
        while turn.queue and (playout.depth < self._ready or self._takes_all):
            playout.push(*turn.queue.popleft())
        playout.finishing = turn.finishing and not turn.queue
        return playout.pull(out)

    def _ask_to_poll_rt(self) -> None:
        """Runs on: audio callback thread. Report that the oldest report is audible, if it is."""
        with suppress(IndexError):  # polled this very moment
            if self.playout.reports[0].position <= self.playout.position - self._lag:
                self._asked_to_poll = True
                self._audible()
