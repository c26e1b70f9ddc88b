"""What the user says in a call: from the detector's boundaries to passages to be recognised.

Pure; its clock is the audio it is given, positions are samples of it.

::

    speech ─▶ ``noticed`` ─▶ begin ─▶ passage, partial recognitions while it is spoken
                  │                       │ it falls silent: its words are looked for
                  ▼ a pause, or ignored   ▼ silence for the endpoint
                nothing                 those words, or the ones looked for now
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import Recognize
from retell_voice.emulator.dialogue.manner import DialogueSettings
from retell_voice.emulator.dialogue.transcript import Piece
from retell_voice.emulator.history import History
from retell_voice.emulator.speech.ports import Speech
from retell_voice.emulator.speech.vad import Detector
from retell_voice.events import Word

UNINTELLIGIBLE = "(unintelligible audio)"
"""What stands in a transcript of Retell's for speech in which no words are recognised."""

_LOOKBACK_MS = 2000  # how long before it is known, or allowed to count, speech may have begun
_BREATH_MS = 400  # a pause in speech too short to count


@dataclass(eq=False)
class Noticed:
    """Speech that is not part of a passage yet, short pauses included.

    Attributes:
        began: where.
        since: where it began again after the last pause; None in a pause.
        ended: where the last pause began.
        spoken: how much speech there was before it, samples.
    """

    began: int
    since: int | None
    ended: int = 0
    spoken: int = 0

    def amount(self, until: int) -> int:
        """Return how much speech there has been if what goes on lasts until then, samples."""
        return self.spoken + (0 if self.since is None else until - self.since)


@dataclass(eq=False)
class Passage:
    """What the user says without a longer pause.

    Attributes:
        began: where, with the little before it that belongs to it.
        piece: its part of the transcript.
        held: said over the agent, which goes on speaking.
        outspoken: the agent began to speak over it, and may go on.
        cut: it interrupted the agent.
        ended: where the last speech of it ended; None while the user speaks.
        looked: up to where its words have been looked for.
        partial, final: number of the recognition of it that is under way.
        whole: ``ended`` when its words were last looked for: if that is where it ends, they are
            its words.
        words: those words, once they are known.
    """

    began: int
    piece: Piece
    held: bool = False
    cut: bool = False
    outspoken: bool = False
    ended: int | None = None
    looked: int = 0
    partial: int | None = None
    final: int | None = None
    whole: int | None = None
    words: tuple[Word, ...] | None = None


class Ears:
    """Follows the user.

    Args:
        rate: samples a second.
        detector: finds the user's speech, quickly: how much of it counts is decided here.
        settings: the lengths that never change in a call.
    """

    def __init__(self, rate: int, detector: Detector, settings: DialogueSettings) -> None:
        self._rate = rate
        self._detector = detector
        self._settings = settings
        self._breath = self._samples(_BREATH_MS)
        self._cough = (settings.cough_ms + settings.preroll_ms) / 1000
        self._history = History()
        self._jobs = 0
        self._open: Passage | None = None
        self._passages: list[Passage] = []  # the open one, and those being recognised
        self.now = 0
        self.noticed: Noticed | None = None
        """Speech that is not part of a passage."""
        self.silent_since = 0
        """Where the last passage ended."""

    @property
    def passages(self) -> tuple[Passage, ...]:
        """What is being said or recognised."""
        return tuple(self._passages)

    @property
    def spoken_until(self) -> int:
        """Where the last sound of what is being said ended, as far as is known."""
        return self._detector.spoken_until

    @property
    def busy(self) -> bool:
        """Whether the user speaks, or what was said is not known yet."""
        return bool(self._passages) or self.noticed is not None

    @property
    def have_the_floor(self) -> bool:
        """Whether the agent is to be silent because of what is being said or recognised."""
        return any(not passage.held for passage in self._passages)

    def hold(self) -> None:
        """The agent speaks over what is being said."""
        for passage in self._passages:
            passage.held = passage.outspoken = True

    def release(self) -> None:
        """The agent no longer speaks over what is being said."""
        for passage in self._passages:
            passage.held = passage.outspoken = False

    @property
    def insisting(self) -> Passage | None:
        """What is being said over an agent that could not be interrupted when it began."""
        passage = self._open
        if passage and passage.held and not passage.outspoken and passage.ended is None:
            return passage
        return None

    def hear(self, samples: Samples) -> None:
        """Take microphone audio, shape (n,)."""
        self._history.append(samples)
        self.now += len(samples)
        for boundary in self._detector.process(samples):
            if self._open is not None:
                self._open.ended = None if boundary.speaking else boundary.at
            elif boundary.speaking:
                self._notice(boundary.at)
            elif self.noticed is not None:
                self.noticed.spoken = self.noticed.amount(boundary.at)
                self.noticed.since, self.noticed.ended = None, boundary.at
        self._forget()

    def _notice(self, at: int) -> None:
        if self.noticed is None:
            self.noticed = Noticed(at, at)
        else:
            self.noticed.since = at

    def ignore(self) -> None:
        """Take no notice of what the user says now, until a pause."""
        self.noticed = None

    def begin(
        self, noticed: Noticed, piece: Piece, *, held: bool = False, cut: bool = False
    ) -> None:
        """Make a passage of what was noticed."""
        self.noticed = None
        began = max(0, noticed.began - self._samples(self._settings.preroll_ms))
        ended = noticed.ended if noticed.since is None else None
        self._start(Passage(began, piece, held, cut, ended=ended, looked=began))

    def too_long(self) -> Passage | None:
        """Return what is being said if it has become too long to be recognised in one go."""
        passage = self._open
        if passage is None or passage.ended is not None:
            return None
        longest = self._samples(self._settings.longest_ms)
        return passage if self.now - passage.began >= longest else None

    def part(self, passage: Passage, piece: Piece) -> Recognize:
        """End a passage that has become too long; ``piece`` is for what follows."""
        self._start(replace(passage, began=self.now, piece=piece, partial=None, looked=self.now))
        passage.ended = self.now
        return self._finish(passage, self.now)

    def to_recognize(self, endpoint: int) -> Recognize | None:
        """Return what is to be recognised now; ``endpoint`` samples of silence end a passage."""
        passage = self._open
        if passage is None:
            return None
        if passage.ended is not None and self.now - passage.ended >= endpoint:
            return self._end(passage, passage.ended)
        if passage.partial or not self._settings.partial_ms:
            return None
        if passage.ended is None:
            due, end = passage.looked + self._samples(self._settings.partial_ms), self.now
        else:
            due = end = self._tail(passage.ended)
        if self.now < due or (passage.ended is not None and passage.whole == passage.ended):
            return None
        return self._look(passage, end)

    def _end(self, passage: Passage, ended: int) -> Recognize | None:
        self._open = None
        self.silent_since = ended
        if passage.whole != ended:
            return self._finish(passage, self._tail(ended))
        passage.final, passage.partial = passage.partial or self._job(), None
        return None

    def _look(self, passage: Passage, end: int) -> Recognize:
        passage.partial, passage.looked = self._job(), self.now
        passage.whole, passage.words = passage.ended, None
        samples = self._history.between(passage.began, end)
        return Recognize(passage.partial, samples, partial=passage.ended is None)

    def known(self) -> tuple[int, tuple[Word, ...]] | None:
        """Return a final recognition whose words were known before, with them."""
        for passage in self._passages:
            if passage.final is not None and passage.words is not None:
                return passage.final, passage.words
        return None

    def recognized(self, job: int, words: tuple[Word, ...] | None) -> Passage | None:
        """Take words, None when they could not be found; return their passage.

        It is one of ``passages`` no more if these are its last. None: the words are not wanted.
        Times of the words are seconds from the first sample that was to be recognised.
        """
        for passage in self._passages:
            if job not in (passage.partial, passage.final):
                continue
            partial = job == passage.partial
            if partial:
                passage.partial = None
                if words is None:  # it failed, and is tried again when it is needed
                    passage.whole = None
                elif passage.whole is not None:
                    passage.words = words
            else:
                self._passages.remove(passage)
            if words or not partial:
                self._write(passage, words)
            return passage
        return None

    def duration(self, passage: Passage) -> float:
        """Return how long a passage is, seconds."""
        end = self.now if passage.ended is None else passage.ended
        return (end - passage.began) / self._rate

    def _write(self, passage: Passage, words: tuple[Word, ...] | None) -> None:
        if words is None or not (words or self.duration(passage) < self._cough):
            passage.piece.content, passage.piece.words = f" {UNINTELLIGIBLE}", ()
            return
        said = Speech(np.zeros(0, np.int16), self._rate, words)
        passage.piece.words = said.utterance("user", passage.began / self._rate).words
        passage.piece.content = "".join(f" {word.word}" for word in words)

    def _forget(self) -> None:
        if self._open is not None:
            self._history.forget(self._open.began)
            return
        noticed = self.noticed
        if noticed and noticed.since is None and self.now - noticed.ended >= self._breath:
            self.noticed = noticed = None
        start = noticed.began if noticed else self.now
        self._history.forget(start - self._samples(self._settings.preroll_ms + _LOOKBACK_MS))

    def _start(self, passage: Passage) -> None:
        self._open = passage
        self._passages.append(passage)

    def _finish(self, passage: Passage, end: int) -> Recognize:
        passage.final, passage.partial, passage.words = self._job(), None, None
        samples = self._history.between(passage.began, end)
        return Recognize(passage.final, samples, partial=False)

    def _tail(self, ended: int) -> int:
        return ended + self._samples(self._settings.tail_ms)

    def _job(self) -> int:
        self._jobs += 1
        return self._jobs

    def _samples(self, milliseconds: int) -> int:
        return self._rate * milliseconds // 1000
