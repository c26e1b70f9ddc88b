"""A stage for a ``Dialogue``: a caller, engines and an LLM server that keep the caller's time.

What is said is a number: samples of the value 3 are ``TEXTS[3]``, spoken at four words a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import (
    Action,
    Ask,
    Recognize,
    Report,
    Say,
    Synthesize,
    Update,
)
from retell_voice.emulator.dialogue.machine import Dialogue
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE, DialogueSettings
from retell_voice.emulator.server_events import ServerEvent
from retell_voice.emulator.speech.ports import Speech, spread
from retell_voice.emulator.speech.vad import Boundary, Gate
from retell_voice.events import Word
from retell_voice.protocol.llm import (
    AgentInterrupt,
    LlmMessage,
    ReminderRequired,
    Response,
    ResponseRequired,
)

RATE = 8000
FRAME = RATE // 50
TEXTS = [
    "",
    "",  # a cough: sound without words
    "what time is it",
    "stop please",
    "my name is Mike",
    "and it is spelled with a K",
]
COUGH, TIME, STOP, MIKE, SPELLED = range(1, 6)
LONG = "This is a long answer that takes some time to say. And there is more of it. And more."
"""What an agent may say for 4.75 s."""

Kind = TypeVar("Kind", bound=Action)


def words_of(samples: Samples) -> tuple[Word, ...]:
    """The words of which at least the beginning is in the samples."""
    loud = np.flatnonzero(samples)
    if not len(loud):
        return ()
    found = []
    for value in dict.fromkeys(samples[loud].tolist()):
        mine = np.flatnonzero(samples == value)
        start = int(mine[0]) / RATE
        text = TEXTS[value].split()
        for count, word in enumerate(text):
            at = start + count / 4
            if at < (int(mine[-1]) + 1) / RATE:
                found.append(Word(word, at, at + 0.25))
    return tuple(found)


def speech_of(text: str) -> Speech:
    """A sentence at four words a second."""
    length = len(text.split()) / 4
    return Speech(np.full(int(length * RATE), 1000, np.int16), RATE, spread(text, 0, length))


class Loud:
    """A detector for which every sample that is not zero is speech."""

    def __init__(self, onset: int = 5, release: int = 5) -> None:
        self._gate = Gate(onset, release)  # frames: 100 ms each
        self._rest = np.zeros(0, np.int16)
        self._position = 0

    @property
    def spoken_until(self) -> int:
        return self._gate.ended

    def process(self, samples: Samples) -> list[Boundary]:
        samples = np.concatenate((self._rest, samples))
        found = []
        while len(samples) >= FRAME:
            end = self._position + FRAME
            boundary = self._gate.step(bool(samples[:FRAME].any()), self._position, end)
            self._position, samples = end, samples[FRAME:]
            found += [boundary] if boundary else []
        self._rest = samples
        return found


def complete(response_id: int, content: str, **more: Any) -> Response:
    return Response(response_id=response_id, content=content, content_complete=True, **more)


def chunk(response_id: int, content: str, **more: Any) -> Response:
    return Response(response_id=response_id, content=content, **more)


def interrupt(interrupt_id: int, content: str, complete: bool = True, **more: Any) -> LlmMessage:
    return AgentInterrupt(
        interrupt_id=interrupt_id, content=content, content_complete=complete, **more
    )


Server = Callable[[LlmMessage], Iterable[LlmMessage]]


def mute(message: LlmMessage) -> list[LlmMessage]:
    """An LLM server that answers nothing."""
    return []


def echo(message: LlmMessage) -> list[LlmMessage]:
    """One that says back what the user said last."""
    match message:
        case ResponseRequired(response_id=number, transcript=transcript):
            said = [each.content for each in transcript if each.role == "user"]
            return [complete(number, f"You said {said[-1]}." if said else "I am here.")]
        case ReminderRequired(response_id=number):
            return [complete(number, "Are you still there?")]
    return []


@dataclass
class Stage:
    """Plays a call to a dialogue and keeps what it does, and when.

    The engines take ``listening`` and ``speaking`` seconds of the caller's audio.
    """

    settings: DialogueSettings = DEFAULT_DIALOGUE
    server: Server = echo
    frame: int = FRAME
    listening: float = 0.1
    speaking: float = 0.1
    log: list[tuple[float, Action]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dialogue = Dialogue(RATE, Loud(), self.settings)
        self._due: deque[tuple[float, Callable[[], list[Action]]]] = deque()
        self._take(self.dialogue.start())

    @property
    def now(self) -> float:
        return self.dialogue.now / RATE

    def hear(self, samples: Samples) -> list[Action]:
        before = len(self.log)
        for start in range(0, len(samples), self.frame):
            self._deliver()
            self._take(self.dialogue.receive(samples[start : start + self.frame]))
        self._deliver()
        return self.since(before)

    def wait(self, seconds: float) -> list[Action]:
        return self.hear(np.zeros(round(seconds * RATE), np.int16))

    def say(self, text: int, seconds: float | None = None) -> list[Action]:
        seconds = len(TEXTS[text].split()) / 4 if seconds is None else seconds
        return self.hear(np.full(round(seconds * RATE), text, np.int16))

    def llm(self, *messages: LlmMessage) -> list[Action]:
        before = len(self.log)
        for message in messages:
            self._take(self.dialogue.answered(message))
        return self.since(before)

    def greet(self, text: str = "Hello, this is your agent.", then: float = 3.0) -> None:
        self.llm(complete(0, text))
        self.wait(then)

    def do(self, actions: list[Action]) -> list[Action]:
        before = len(self.log)
        self._take(actions)
        return self.since(before)

    def since(self, before: int) -> list[Action]:
        return [action for _, action in self.log[before:]]

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [action for _, action in self.log if isinstance(action, kind)]

    def when(self, kind: type[Action], count: int = 0) -> float:
        return [at for at, action in self.log if isinstance(action, kind)][count]

    def asked(self) -> list[ResponseRequired | ReminderRequired]:
        """What the LLM server has to answer."""
        asked = [action.message for action in self.all(Ask)]
        return [each for each in asked if isinstance(each, ResponseRequired | ReminderRequired)]

    @property
    def lines(self) -> list[str]:
        said = self.dialogue.transcript.utterances
        return [f"{each.role}: {each.content}" for each in said]

    def _take(self, actions: list[Action]) -> None:
        for action in actions:
            self.log.append((self.now, action))
            match action:
                case Ask():
                    for message in self.server(action.message):
                        self._later(0.0, partial(self.dialogue.answered, message))
                case Recognize(job=job, samples=samples):
                    heard = partial(self.dialogue.recognized, job, words_of(samples))
                    self._later(self.listening, heard)
                case Synthesize(sentence=number, text=text):
                    made = partial(self.dialogue.synthesized, number, speech_of(text))
                    self._later(self.speaking, made)

    def _later(self, seconds: float, what: Callable[[], list[Action]]) -> None:
        self._due.append((self.now + seconds, what))

    def _deliver(self) -> None:
        for _ in range(len(self._due)):
            due, what = self._due.popleft()
            if due > self.now:
                self._due.append((due, what))
            else:
                self._take(what())


def said(actions: Iterable[Action]) -> str:
    """The texts of what is sent, joined."""
    return "".join(action.text for action in actions if isinstance(action, Say))


def reports(actions: Iterable[Action], kind: type[ServerEvent]) -> list[dict[str, Any]]:
    """The details of what is told of one kind."""
    told = (action for action in actions if isinstance(action, Report))
    return [dict(each.details) for each in told if each.kind is kind]


def turns(stage: Stage) -> list[str]:
    """Whose turn it became, in order."""
    return [each.turn for each in stage.all(Update) if each.turn]


def kinds(actions: Iterable[Action]) -> list[str]:
    """Names of the actions, runs of the same as one."""
    names: list[str] = []
    for action in actions:
        match action:
            case Update(turn=turn):
                name = f"Update {turn}" if turn else "Update"
            case Report(kind=kind):
                name = kind.__name__
            case Ask(message=message):
                name = type(message).__name__
            case _:
                name = type(action).__name__
        if names[-1:] != [name]:
            names.append(name)
    return names
