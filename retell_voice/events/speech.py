"""What was said, by whom, and how soon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retell_voice.events.base import Event, Role


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript; start and end in seconds from the start of the call."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn of a transcript. ``words`` is empty when the server sent none."""

    role: Role
    content: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class TranscriptItem:
    """One entry of the live transcript of a web call.

    Attributes:
        id: names the entry; one that grows keeps its id.
        role: ``agent``, ``user`` or ``transfer_target`` for speech; ``tool_call_invocation``,
            ``tool_call_result``, ``node_transition``, ``dtmf``, ``sms``, ``injected`` or whatever
            else the server calls it.
        time: seconds on the server's clock of the call; entries from before the session have their
            own clock.
        content: what was said, or what happened, in one line.
        fields: everything the server sent about it.
    """

    id: str
    role: str
    time: float
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Transcript(Event):
    """The transcript of the whole call so far (needs ``updates=True``), even if the server sends
    only its last few utterances.

    Attributes:
        utterances: what agent and user said.
        items: for a web call, everything in order: speech, tool calls, transitions, digits.
        pre_session: the same for what happened before the session began.
    """

    utterances: tuple[Utterance, ...]
    items: tuple[TranscriptItem, ...] = ()
    pre_session: tuple[TranscriptItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn(Event):
    """The turn went to this speaker (needs ``updates=True``)."""

    speaker: Role


@dataclass(frozen=True, slots=True)
class AgentStarted(Event):
    """The first sample of an agent's utterance is being heard."""


@dataclass(frozen=True, slots=True)
class AgentStopped(Event):
    """The agent fell silent: its last sample has been heard, or a ``clear`` cut it short.

    If a server keeps streaming silence or room noise, that is when nothing else has been heard for
    0.8 s.

    Attributes:
        interrupted: True when the server sent ``clear`` while audio was queued or playing.
        discarded: seconds of audio that the ``clear`` threw away unheard.
        silent_since: call time (as ``at``) at which the last sample was heard. The event comes
            later, by the time it takes to tell an end from a gap.
    """

    interrupted: bool = False
    discarded: float = 0.0
    silent_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Response(Event):
    """The agent answers: its first sample is being heard. Sent once each time you spoke while the
    agent was silent and then heard it, after ``AgentStarted``.

    Attributes:
        delay: seconds since the end of your speech, judged by the microphone's audio, to about
            20 ms.
        playout: the part of it between the arrival of the audio and its being heard: jitter buffer
            and speaker; None if that cannot be determined.
        round_trip: the network's part, its last round trip; None if unknown. The rest is the
            server's.
    """

    delay: float
    playout: float | None = None
    round_trip: float | None = None


@dataclass(frozen=True, slots=True)
class BargeIn(Event):
    """You spoke over the agent, and the server cleared; sent after ``AgentStopped``.

    Attributes:
        delay: seconds from the start of your speech to the agent's last sample.
    """

    delay: float


@dataclass(frozen=True, slots=True)
class Alignment(Event):
    """This text is being heard from now on (needs ``alignment=True``).

    Attributes:
        text: what the audio says.
        duration: length of that audio.
    """

    text: str
    duration: float


@dataclass(frozen=True, slots=True)
class Metadata(Event):
    """Metadata that the LLM server sent for the frontend: any JSON value up to 100 levels deep;
    invalid numbers are null."""

    metadata: Any


@dataclass(frozen=True, slots=True)
class NodeTransition(Event):
    """The agent moved to another node of its conversation flow.

    Attributes:
        former, new: names of the nodes, or their ids if they have no names; empty if unknown.
        fields: everything the server sent about it.
    """

    former: str
    new: str
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
