"""What the user says in a call: from the detector's boundaries to segments for the ASR.

Pure. Its clock is the audio it is given: positions are samples of it.

::

    speech ─▶ ``pending`` ─▶ begin ─▶ segment, recognised in part while it is spoken
                  │                      │ the user falls silent: recognise all of it
                  ▼ a pause, or ignored  ▼ silence for the endpoint
               nothing                 use those words, or recognise it now
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import Recognize
from retell_voice.emulator.audio_history import AudioHistory
from retell_voice.emulator.dialogue.settings import DialogueSettings
from retell_voice.emulator.dialogue.transcript import Piece
from retell_voice.emulator.speech.ports import Speech
from retell_voice.emulator.speech.vad import Detector
from retell_voice.events import Word

UNINTELLIGIBLE = "(unintelligible audio)"
"""What Retell's transcripts show for speech in which no words are recognised."""

_LOOKBACK_MS = 2000  # how long before it is known, or allowed to count, speech may have begun
_BREATH_MS = 400  # a pause in speech too short to count


@dataclass(eq=False)
class PendingSpeech:
    """Speech that is not part of a segment yet, short pauses included.

    Attributes:
        began: where.
        since: where it resumed after the last pause; None in a pause.
        ended: where the last pause began.
        spoken: amount of speech before that, samples.
    """

    began: int
    since: int | None
    ended: int = 0
    spoken: int = 0

    def amount(self, until: int) -> int:
        """Return how much speech there is if the current stretch lasts until then, samples."""
        return self.spoken + (0 if self.since is None else until - self.since)


@dataclass(eq=False)
class Segment:
    """What the user says without a longer pause.

    Attributes:
        began: where, pre-roll included.
        piece: its part of the transcript.
        held: spoken over the agent, which keeps speaking.
        talked_over: the agent began to speak over it, and may keep speaking.
        barged_in: it interrupted the agent.
        ended: where its last speech ended; None while the user speaks.
        recognized_to: up to where it has been recognised.
        partial, final: number of the recognition in progress.
        recognized_end: ``ended`` at the last recognition: if that is the end, ``words`` are final.
        words: the words of that recognition, once known.
    """

    began: int
    piece: Piece
    held: bool = False
    barged_in: bool = False
    talked_over: bool = False
    ended: int | None = None
    recognized_to: int = 0
    partial: int | None = None
    final: int | None = None
    recognized_end: int | None = None
    words: tuple[Word, ...] | None = None


class UserSpeech:
    """Cuts the user's audio into segments.

    Args:
        rate: samples per second.
        detector: finds speech, and quickly: how much of it counts is decided here.
        settings: for the durations that never change during a call.
    """

    def __init__(self, rate: int, detector: Detector, settings: DialogueSettings) -> None:
        self._rate = rate
        self._detector = detector
        self._settings = settings
        self._breath = self._samples(_BREATH_MS)
        self._cough = (settings.cough_ms + settings.preroll_ms) / 1000
        self._history = AudioHistory()
        self._jobs = 0
        self._open: Segment | None = None
        self._segments: list[Segment] = []  # the open one, and those being recognised
        self.now = 0
        self.pending: PendingSpeech | None = None
        """Speech that is not part of a segment."""
        self.silent_since = 0
        """Where the last segment ended."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What is being spoken or recognised."""
        return tuple(self._segments)

    @property
    def spoken_until(self) -> int:
        """Where the last sound of the current speech ended, as far as known."""
        return self._detector.spoken_until

    @property
    def busy(self) -> bool:
        """Whether the user speaks, or their words are not known yet."""
        return bool(self._segments) or self.pending is not None

    @property
    def has_floor(self) -> bool:
        """Whether the agent must be silent because of what the user says or has just said."""
        return any(not segment.held for segment in self._segments)

    def hold(self) -> None:
        """The agent now speaks over the user."""
        for segment in self._segments:
            segment.held = segment.talked_over = True

    def release(self) -> None:
        """The agent no longer speaks over the user."""
        for segment in self._segments:
            segment.held = segment.talked_over = False

    @property
    def talking_over(self) -> Segment | None:
        """What is being spoken over an agent that could not be interrupted when it began."""
        segment = self._open
        if segment and segment.held and not segment.talked_over and segment.ended is None:
            return segment
        return None

    def feed(self, samples: Samples) -> None:
        """Take microphone audio, shape (n,)."""
        self._history.append(samples)
        self.now += len(samples)
        for boundary in self._detector.process(samples):
            if self._open is not None:
                self._open.ended = None if boundary.speaking else boundary.at
            elif boundary.speaking:
                self._resume_pending(boundary.at)
            elif self.pending is not None:
                self.pending.spoken = self.pending.amount(boundary.at)
                self.pending.since, self.pending.ended = None, boundary.at
        self._forget()

    def _resume_pending(self, at: int) -> None:
        if self.pending is None:
            self.pending = PendingSpeech(at, at)
        else:
            self.pending.since = at

    def ignore(self) -> None:
        """Ignore what the user says now, until a pause."""
        self.pending = None

    def begin(
        self, pending: PendingSpeech, piece: Piece, *, held: bool = False, barged_in: bool = False
    ) -> None:
        """Turn pending speech into a segment."""
        self.pending = None
        began = max(0, pending.began - self._samples(self._settings.preroll_ms))
        ended = pending.ended if pending.since is None else None
        self._start(Segment(began, piece, held, barged_in, ended=ended, recognized_to=began))

    def too_long(self) -> Segment | None:
        """Return the current segment if it is too long to be recognised in one go."""
        segment = self._open
        if segment is None or segment.ended is not None:
            return None
        longest = self._samples(self._settings.longest_ms)
        return segment if self.now - segment.began >= longest else None

    def split(self, segment: Segment, piece: Piece) -> Recognize:
        """End a segment that is too long; ``piece`` is for what follows."""
        rest = replace(segment, began=self.now, piece=piece, partial=None, recognized_to=self.now)
        self._start(rest)
        segment.ended = self.now
        return self._finish(segment, self.now)

    def to_recognize(self, endpoint: int) -> Recognize | None:
        """Return what to recognise now; ``endpoint`` samples of silence end a segment."""
        segment = self._open
        if segment is None:
            return None
        if segment.ended is not None and self.now - segment.ended >= endpoint:
            return self._end(segment, segment.ended)
        if segment.partial or not self._settings.partial_ms:
            return None
        if segment.ended is None:
            due = segment.recognized_to + self._samples(self._settings.partial_ms)
            end = self.now
        else:
            due = end = self._tail(segment.ended)
        already_done = segment.ended is not None and segment.recognized_end == segment.ended
        if self.now < due or already_done:
            return None
        return self._recognize_so_far(segment, end)

    def _end(self, segment: Segment, ended: int) -> Recognize | None:
        self._open = None
        self.silent_since = ended
        if segment.recognized_end != ended:
            return self._finish(segment, self._tail(ended))
        segment.final, segment.partial = segment.partial or self._job(), None
        return None

    def _recognize_so_far(self, segment: Segment, end: int) -> Recognize:
        segment.partial, segment.recognized_to = self._job(), self.now
        segment.recognized_end, segment.words = segment.ended, None
        samples = self._history.between(segment.began, end)
        return Recognize(segment.partial, samples, partial=segment.ended is None)

    def known(self) -> tuple[int, tuple[Word, ...]] | None:
        """Return a final recognition whose words are known already, with the words."""
        for segment in self._segments:
            if segment.final is not None and segment.words is not None:
                return segment.final, segment.words
        return None

    def recognized(self, job: int, words: tuple[Word, ...] | None) -> Segment | None:
        """Take words, None if recognition failed; return their segment, None if not wanted.

        The segment is no longer among ``segments`` if these are its final words. Times of the
        words are seconds from the first sample that was to be recognised.
        """
        for segment in self._segments:
            if job not in (segment.partial, segment.final):
                continue
            partial = job == segment.partial
            if partial:
                segment.partial = None
                if words is None:  # it failed: try again when the segment ends
                    segment.recognized_end = None
                elif segment.recognized_end is not None:
                    segment.words = words
            else:
                self._segments.remove(segment)
            if words or not partial:
                self._write(segment, words)
            return segment
        return None

    def duration(self, segment: Segment) -> float:
        """Return the length of a segment, seconds."""
        end = self.now if segment.ended is None else segment.ended
        return (end - segment.began) / self._rate

    def _write(self, segment: Segment, words: tuple[Word, ...] | None) -> None:
        if words is None or not (words or self.duration(segment) < self._cough):
            segment.piece.content, segment.piece.words = f" {UNINTELLIGIBLE}", ()
            return
        said = Speech(np.zeros(0, np.int16), self._rate, words)
        segment.piece.words = said.utterance("user", segment.began / self._rate).words
        segment.piece.content = "".join(f" {word.word}" for word in words)

    def _forget(self) -> None:
        if self._open is not None:
            self._history.forget(self._open.began)
            return
        pending = self.pending
        if pending and pending.since is None and self.now - pending.ended >= self._breath:
            self.pending = pending = None
        start = pending.began if pending else self.now
        self._history.forget(start - self._samples(self._settings.preroll_ms + _LOOKBACK_MS))

    def _start(self, segment: Segment) -> None:
        self._open = segment
        self._segments.append(segment)

    def _finish(self, segment: Segment, end: int) -> Recognize:
        segment.final, segment.partial, segment.words = self._job(), None, None
        samples = self._history.between(segment.began, end)
        return Recognize(segment.final, samples, partial=False)

    def _tail(self, ended: int) -> int:
        return ended + self._samples(self._settings.tail_ms)

    def _job(self) -> int:
        self._jobs += 1
        return self._jobs

    def _samples(self, milliseconds: int) -> int:
        return self._rate * milliseconds // 1000
