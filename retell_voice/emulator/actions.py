"""What an agent's state machine wants done: it returns lists of these, a runner carries them out.

In order. The last four are for an agent whose words come from an LLM server; their results go
back to the state machine later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retell_voice.audio.format import Samples
from retell_voice.emulator.calls import Latency
from retell_voice.emulator.server_events import ServerEvent
from retell_voice.events import Role, Utterance
from retell_voice.protocol.llm import LlmMessage


@dataclass(frozen=True, slots=True)
class Action:
    """Base class."""


@dataclass(frozen=True, slots=True, eq=False)
class Say(Action):
    """Send audio, shape (n,), with the text that begins in it."""

    samples: Samples
    text: str


@dataclass(frozen=True, slots=True)
class Clear(Action):
    """Send ``clear``, and none of the audio that is still queued."""


@dataclass(frozen=True, slots=True)
class Update(Action):
    """Send the transcript and, if it has changed, the turn."""

    transcript: tuple[Utterance, ...]
    turn: Role | None = None


@dataclass(frozen=True, slots=True)
class SendMetadata(Action):
    """Send metadata, any JSON value."""

    metadata: Any


@dataclass(frozen=True, slots=True)
class HangUp(Action):
    """Close the call; always the last action."""

    reason: str
    why: str
    code: int = 1000


@dataclass(frozen=True, slots=True)
class Report(Action):
    """Emit a server event."""

    kind: type[ServerEvent]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measure(Action):
    """Record a latency, see ``RegisteredCall.measure``."""

    kind: Latency
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Ask(Action):
    """Send a message to the LLM server."""

    message: LlmMessage


@dataclass(frozen=True, slots=True, eq=False)
class Recognize(Action):
    """Recognise speech.

    Attributes:
        job: number to hand the words back with.
        samples: shape (n,), at the call's rate.
        partial: the user is still speaking; False: the user is silent, this may be all.
    """

    job: int
    samples: Samples
    partial: bool


@dataclass(frozen=True, slots=True)
class Synthesize(Action):
    """Synthesise a sentence.

    Attributes:
        sentence: number to hand the speech back with.
        text: what to say.
    """

    sentence: int
    text: str


@dataclass(frozen=True, slots=True)
class Cancel(Action):
    """Cancel the synthesis of these sentences."""

    sentences: frozenset[int]
