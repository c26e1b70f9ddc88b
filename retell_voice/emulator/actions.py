"""What an agent wants done: a state machine answers with lists of these, a server carries them out.

To be done in their order. The last four are for an agent whose words come from an LLM server;
what becomes of them is told to the state machine later.
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
    """Something for the server to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Say(Action):
    """Send audio, shape (n,), with the text that begins in it."""

    samples: Samples
    text: str


@dataclass(frozen=True, slots=True)
class Clear(Action):
    """Send ``clear``; audio not sent yet is not to be sent any more."""


@dataclass(frozen=True, slots=True)
class Update(Action):
    """The transcript has changed, and perhaps the turn."""

    transcript: tuple[Utterance, ...]
    turn: Role | None = None


@dataclass(frozen=True, slots=True)
class Announce(Action):
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
    """Tell whoever watches the emulator."""

    kind: type[ServerEvent]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measure(Action):
    """Note how long something took, see ``RegisteredCall.measure``."""

    kind: Latency
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Ask(Action):
    """Send a message to the LLM server."""

    message: LlmMessage


@dataclass(frozen=True, slots=True, eq=False)
class Recognize(Action):
    """Find the words of what the user said.

    Attributes:
        job: by which the words are handed back.
        samples: shape (n,), at the call's rate.
        partial: more of it is being said; False: it may be all, as the user is silent.
    """

    job: int
    samples: Samples
    partial: bool


@dataclass(frozen=True, slots=True)
class Synthesize(Action):
    """Make speech of a sentence.

    Attributes:
        sentence: its number, by which the speech is handed back.
        text: what to say.
    """

    sentence: int
    text: str


@dataclass(frozen=True, slots=True)
class Cancel(Action):
    """The speech of these sentences is not wanted any more."""

    sentences: frozenset[int]
