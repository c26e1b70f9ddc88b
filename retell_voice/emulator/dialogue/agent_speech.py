"""The agent's voice in a call: answers that arrive in pieces, spoken sentence by sentence.

Pure; time is a number of samples of the caller's audio, given by the caller of each method.

::

    add ─▶ sentences ─▶ to_make ─▶ (synthesis) ─▶ made ─▶ ready ─▶ say ─▶ … heard ─▶ finished
                                                                   cut: what was not heard is gone

One answer is spoken at a time; the next begins when the one before it has been heard. Of what
the caller still has to play it keeps an estimate: what was sent, less the time that went by.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from retell_voice.emulator.dialogue.sentences import Sentences
from retell_voice.emulator.dialogue.transcript import CallTranscript, Line, Piece
from retell_voice.emulator.speech.ports import Speech, spread

_AHEAD = 2  # sentences that are made before they can be said


@dataclass(eq=False)
class Sentence:
    """One sentence; ``speech`` once it is made, None where it could not be."""

    number: int
    text: str
    guarded: bool
    asked: bool = False
    made: bool = False
    speech: Speech | None = None


@dataclass(eq=False, kw_only=True)
class Answer:
    """What the LLM server has the agent say in one go, a ``response`` or an ``agent_interrupt``.

    Attributes:
        number: its response_id or interrupt_id.
        interrupt: which of the two it is.
        news: when something of it came last, or it was asked for.
        begun: something of it has come.
        complete: no more of it will come.
        overdue: it has been told of that no more of it came for long.
        guarded: the user may not interrupt the sentence that is coming.
        end_call, transfer, digits: what is to be done when it has been heard.
        line: of the transcript; None until something of it is said.
    """

    number: int
    interrupt: bool = False
    news: int = 0
    begun: bool = False
    complete: bool = False
    overdue: bool = False
    guarded: bool = False
    end_call: bool = False
    transfer: str | None = None
    digits: str | None = None
    line: Line | None = None
    text: Sentences = field(default_factory=Sentences)
    unsaid: deque[Sentence] = field(default_factory=deque)


@dataclass(frozen=True, eq=False)
class _Said:
    speech: Speech
    piece: Piece
    start: int  # when it is sent, or what is before it has been played
    guarded: bool


class Mouth:
    """The agent's voice.

    Args:
        lag: how much later than it is sent audio is heard, samples; likewise the others.
        ahead: how much is sent before it is heard.
        stalled: an answer is given up when no more of it has come for so long.
    """

    def __init__(self, *, lag: int, ahead: int, stalled: int) -> None:
        self._lag, self._ahead, self._stalled = lag, ahead, stalled
        self._answers: deque[Answer] = deque()
        self._making: dict[int, Sentence] = {}
        self._said: list[_Said] = []  # of the first answer
        self._sentences = 0
        self.playing_until = 0
        """When the caller will have played everything."""

    # -- what is to be said ------------------------------------------------------------------

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What is being said or waited for, in order."""
        return tuple(self._answers)

    def expect(self, answer: Answer, *, first: bool = False) -> None:
        """Await the text of an answer, to be said after the others or before them."""
        if first:
            self._answers.appendleft(answer)
        else:
            self._answers.append(answer)

    def find(self, number: int, *, interrupt: bool) -> Answer | None:
        """Return an answer that has not been finished or dropped."""
        for answer in self._answers:
            if (answer.number, answer.interrupt) == (number, interrupt):
                return answer
        return None

    def add(
        self, answer: Answer, text: str, now: int, *, complete: bool, guarded: bool = False
    ) -> None:
        """Take the next piece of an answer's text; ``guarded`` if it may not be interrupted."""
        answer.begun, answer.news, answer.complete = True, now, complete
        answer.guarded = answer.guarded or guarded
        if whole := answer.text.feed(text):
            self._queue(answer, whole)
            answer.guarded = guarded
        if complete:
            self._queue(answer, answer.text.finish())

    def pause(self, since: int) -> None:
        """Let go of sentences that seem complete, of which no more has come since."""
        for answer in self._answers:
            if answer.news <= since:
                self._queue(answer, answer.text.pause())

    def _queue(self, answer: Answer, texts: list[str]) -> None:
        for text in texts:
            self._sentences += 1
            sentence = Sentence(self._sentences, text, answer.guarded)
            if not any(map(str.isalnum, text)):  # nothing to pronounce
                sentence.asked = sentence.made = True
                sentence.speech = Speech(np.zeros(0, np.int16), 1)
            answer.unsaid.append(sentence)

    # -- making speech of it -----------------------------------------------------------------

    def to_make(self, now: int) -> Iterator[Sentence]:
        """Yield the sentences of which speech is to be made now."""
        if self.playing_until - now > self._ahead:
            return
        unsaid = (sentence for answer in self._answers for sentence in answer.unsaid)
        for sentence, _ in zip(unsaid, range(_AHEAD), strict=False):
            if not sentence.asked:
                sentence.asked = True
                self._making[sentence.number] = sentence
                yield sentence

    def made(self, number: int, speech: Speech | None) -> Sentence | None:
        """Take the speech of a sentence, None when it failed; None if it is not wanted any more."""
        sentence = self._making.pop(number, None)
        if sentence is not None:
            sentence.made = True
            if speech is not None and not speech.words:
                speech = replace(speech, words=spread(sentence.text, 0, speech.duration))
            sentence.speech = speech
        return sentence

    # -- saying it ---------------------------------------------------------------------------

    def ready(self) -> Answer | None:
        """Return the first answer if its next sentence can be said."""
        if self._answers and self._answers[0].unsaid and self._answers[0].unsaid[0].made:
            return self._answers[0]
        return None

    def say(self, transcript: CallTranscript, now: int) -> Speech | None:
        """Say the next sentence of the first answer; return its speech, None if there is none."""
        answer = self._answers[0]
        sentence = answer.unsaid.popleft()
        speech = sentence.speech
        if speech is None or (answer.line is None and not len(speech.samples)):
            return None
        answer.line = answer.line or transcript.agent_line()
        start = max(now, self.playing_until - self._lag)
        words = speech.utterance("agent", start / speech.rate).words
        piece = answer.line.add(sentence.text, words)
        self._said.append(_Said(speech, piece, start, sentence.guarded))
        if len(speech.samples):
            self.playing_until = start + self._lag + len(speech.samples)
        return speech

    def finished(self, now: int) -> Answer | None:
        """Take out and return the first answer if it has been said and heard."""
        if not self._answers or self._answers[0].unsaid or self.sounding(now):
            return None
        answer = self._answers[0]
        needed_by_others = answer.end_call or answer.transfer or len(self._answers) > 1
        if answer.complete or (needed_by_others and answer.begun and self._stalls(answer, now)):
            self._said.clear()
            return self._answers.popleft()
        return None

    def sounding(self, now: int) -> bool:
        """Whether the caller still plays something."""
        return now < self.playing_until

    def guarded(self, now: int) -> bool:
        """Whether what the caller plays now may not be interrupted."""
        played = [said for said in self._said if said.start + self._lag <= now] or self._said[:1]
        return self.sounding(now) and played[-1].guarded

    def busy(self, now: int) -> bool:
        """Whether something is being said, or is about to be."""
        return self.sounding(now) or any(
            answer.unsaid or not (answer.complete or self._stalls(answer, now))
            for answer in self._answers
        )

    def _stalls(self, answer: Answer, now: int) -> bool:
        return now - answer.news >= self._stalled

    # -- falling silent ----------------------------------------------------------------------

    def cut(self, now: int) -> int:
        """Fall silent: leave in the transcript what was heard; return how much was not, samples.

        What has not been said yet stays, see ``drop``.
        """
        unheard = max(0, self.playing_until - now)
        for said in self._said:
            heard = said.speech.until(max(0, now - self._lag - said.start))
            words = len(heard.words)
            if len(heard.samples) < len(said.speech.samples):
                said.piece.content = heard.content if words else ""
                said.piece.words = said.piece.words[:words]
        self._said.clear()
        self.playing_until = min(self.playing_until, now)
        return unheard

    def drop(self, answer: Answer) -> frozenset[int]:
        """Forget an answer; return the numbers of its sentences of which speech is being made."""
        if answer is self._answers[0]:
            self._said.clear()
        self._answers.remove(answer)
        numbers = frozenset(each.number for each in answer.unsaid) & self._making.keys()
        for number in numbers:
            del self._making[number]
        return numbers
