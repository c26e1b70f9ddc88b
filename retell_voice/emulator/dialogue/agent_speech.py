"""What the agent says in a call: answers that stream in, spoken sentence by sentence.

Pure; times are samples of the caller's audio, passed in by the caller of each method.

::

    add ─▶ sentences ─▶ to_synthesize ─▶ (TTS) ─▶ synthesized ─▶ ready ─▶ say ─▶ … ─▶ finished
                                                               cut: drop what was not heard

One answer is spoken at a time; the next begins when the one before it has been heard. How much
the caller still has to play is an estimate: what was sent, minus the time since then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from retell_voice.emulator.dialogue.sentences import Sentences
from retell_voice.emulator.dialogue.transcript import CallTranscript, Line, Piece
from retell_voice.emulator.speech.ports import Speech, spread

_AHEAD = 2  # sentences synthesised before they can be spoken


@dataclass(eq=False)
class Sentence:
    """One sentence; ``speech`` is None until it is synthesised, and for ever if that failed."""

    number: int
    text: str
    protected: bool
    requested: bool = False
    synthesized: bool = False
    speech: Speech | None = None


@dataclass(eq=False, kw_only=True)
class Answer:
    """A ``response`` or an ``agent_interrupt`` of the LLM server.

    Attributes:
        number: its response_id or interrupt_id.
        interrupt: whether it is an ``agent_interrupt``.
        updated_at: when it was asked for, or the last of it came.
        started: some of it has come.
        complete: no more of it will come.
        overdue: it has been reported that nothing more came of it.
        protected: the user must not interrupt the sentence that is coming in.
        end_call, transfer, show_transferee, digits: what to do once it has been heard.
        line: of the transcript; None until some of it is spoken.
    """

    number: int
    interrupt: bool = False
    updated_at: int = 0
    started: bool = False
    complete: bool = False
    overdue: bool = False
    protected: bool = False
    end_call: bool = False
    transfer: str | None = None
    show_transferee: bool = False
    digits: str | None = None
    line: Line | None = None
    text: Sentences = field(default_factory=Sentences)
    unsaid: deque[Sentence] = field(default_factory=deque)


@dataclass(frozen=True, eq=False)
class _Said:
    speech: Speech
    piece: Piece
    start: int  # when it was sent, or when all before it has been played
    protected: bool


class AgentSpeech:
    """The queue of what the agent says.

    Args:
        lag: how much later than it is sent audio is heard, samples; likewise the next two.
        ahead: how much may be sent before it is heard.
        stalled: an answer that has not been added to for so long no longer holds up others.
    """

    def __init__(self, *, lag: int, ahead: int, stalled: int) -> None:
        self._lag, self._ahead, self._stalled = lag, ahead, stalled
        self._answers: deque[Answer] = deque()
        self._synthesizing: dict[int, Sentence] = {}
        self._said: list[_Said] = []  # of the first answer
        self._sentences = 0
        self.playing_until = 0
        """When the caller will have played everything."""

    # -- text --------------------------------------------------------------------------------

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers being spoken or waited for, in order."""
        return tuple(self._answers)

    def expect(self, answer: Answer, *, first: bool = False) -> None:
        """Queue an answer whose text is still to come, after the others or before them."""
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
        self, answer: Answer, text: str, now: int, *, complete: bool, protected: bool = False
    ) -> None:
        """Take the next chunk of an answer; ``protected`` if it must not be interrupted."""
        answer.started, answer.updated_at, answer.complete = True, now, complete
        answer.protected = answer.protected or protected
        if sentences := answer.text.feed(text):
            self._enqueue(answer, sentences)
            answer.protected = protected
        if complete:
            self._enqueue(answer, answer.text.finish())

    def pause(self, since: int) -> None:
        """Release sentences that seem complete and have not been added to since then."""
        for answer in self._answers:
            if answer.updated_at <= since:
                self._enqueue(answer, answer.text.pause())

    def _enqueue(self, answer: Answer, texts: list[str]) -> None:
        for text in texts:
            self._sentences += 1
            sentence = Sentence(self._sentences, text, answer.protected)
            if not any(map(str.isalnum, text)):  # nothing to pronounce
                sentence.requested = sentence.synthesized = True
                sentence.speech = Speech(np.zeros(0, np.int16), 1)
            answer.unsaid.append(sentence)

    # -- synthesis ---------------------------------------------------------------------------

    def to_synthesize(self, now: int) -> Iterator[Sentence]:
        """Yield the sentences to synthesise now."""
        if self.playing_until - now > self._ahead:
            return
        unsaid = (sentence for answer in self._answers for sentence in answer.unsaid)
        for sentence, _ in zip(unsaid, range(_AHEAD), strict=False):
            if not sentence.requested:
                sentence.requested = True
                self._synthesizing[sentence.number] = sentence
                yield sentence

    def synthesized(self, number: int, speech: Speech | None) -> Sentence | None:
        """Take the speech of a sentence, None if that failed; return None if it is not wanted."""
        sentence = self._synthesizing.pop(number, None)
        if sentence is not None:
            sentence.synthesized = True
            if speech is not None and not speech.words:
                speech = replace(speech, words=spread(sentence.text, 0, speech.duration))
            sentence.speech = speech
        return sentence

    # -- speaking ----------------------------------------------------------------------------

    def ready(self) -> Answer | None:
        """Return the first answer if its next sentence can be spoken."""
        if self._answers and self._answers[0].unsaid and self._answers[0].unsaid[0].synthesized:
            return self._answers[0]
        return None

    def say(self, transcript: CallTranscript, now: int) -> Speech | None:
        """Speak the next sentence of the first answer; return its speech, None if it has none."""
        answer = self._answers[0]
        sentence = answer.unsaid.popleft()
        speech = sentence.speech
        if speech is None or (answer.line is None and not len(speech.samples)):
            return None
        answer.line = answer.line or transcript.agent_line()
        start = max(now, self.playing_until - self._lag)
        words = speech.utterance("agent", start / speech.rate).words
        piece = answer.line.add(sentence.text, words)
        self._said.append(_Said(speech, piece, start, sentence.protected))
        if len(speech.samples):
            self.playing_until = start + self._lag + len(speech.samples)
        return speech

    def finished(self, now: int) -> Answer | None:
        """Remove and return the first answer if it has been spoken and heard."""
        if not self._answers or self._answers[0].unsaid or self.playing(now):
            return None
        answer = self._answers[0]
        holds_up = answer.end_call or answer.transfer or len(self._answers) > 1
        if answer.complete or (holds_up and answer.started and self._stalls(answer, now)):
            self._said.clear()
            return self._answers.popleft()
        return None

    def playing(self, now: int) -> bool:
        """Whether the caller is still playing something."""
        return now < self.playing_until

    def protected(self, now: int) -> bool:
        """Whether what the caller is playing must not be interrupted."""
        played = [said for said in self._said if said.start + self._lag <= now] or self._said[:1]
        return self.playing(now) and played[-1].protected

    def busy(self, now: int) -> bool:
        """Whether the agent is speaking or about to."""
        return self.playing(now) or any(
            answer.unsaid or not (answer.complete or self._stalls(answer, now))
            for answer in self._answers
        )

    def _stalls(self, answer: Answer, now: int) -> bool:
        return now - answer.updated_at >= self._stalled

    # -- falling silent ----------------------------------------------------------------------

    def cut(self, now: int) -> int:
        """Fall silent, leaving in the transcript what was heard; return what was not, samples.

        What has not been spoken yet stays, see ``drop``.
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
        """Drop an answer; return the numbers of its sentences that are being synthesised."""
        if answer is self._answers[0]:
            self._said.clear()
        self._answers.remove(answer)
        numbers = frozenset(each.number for each in answer.unsaid) & self._synthesizing.keys()
        for number in numbers:
            del self._synthesizing[number]
        return numbers
