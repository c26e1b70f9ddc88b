"""What a dialect says about audio and the connection; a call consumes these itself.

Everything else a dialect decodes is an event of ``retell_voice.events`` and reaches the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from retell_voice.events import Event


@dataclass(frozen=True, slots=True)
class AgentAudio(Event):
    """Agent audio as encoded on the wire, whole samples only.

    ``text`` is what it says when the server aligns text with audio; the first audio of a
    text carries it. ``cue`` is for the dialect to be told when the first sample is heard.
    """

    data: bytes
    text: str | None = None
    cue: object = None


@dataclass(frozen=True, slots=True)
class Clear(Event):
    """Drop all agent audio that has not been heard yet."""


@dataclass(frozen=True, slots=True)
class Reply(Event):
    """A message that the dialect sends back at once; either side."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class Pong(Event):
    """The answer to a heartbeat."""


@dataclass(frozen=True, slots=True)
class MicrophoneAudio(Event):
    """Near-end audio as a server receives it, whole samples only."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping(Event):
    """A heartbeat as a server receives it."""


@dataclass(frozen=True, slots=True)
class Marked(Event):
    """All that was sent before this mark has been heard, or was cleared: a server is told so."""

    name: str


@dataclass(frozen=True, slots=True)
class Digit(Event):
    """The caller pressed a phone key, one of ``0123456789*#``: a server is told so."""

    digit: str


@dataclass(frozen=True, slots=True)
class AgentPacket(Event):
    """One RTP packet of agent audio: Opus, in the order of arrival.

    Attributes:
        sequence: 16 bits, incremented by one per packet.
        timestamp: 32 bits, of the first sample, at 48 kHz.
        payload: the Opus packet.
        source: the stream (SSRC); each has sequence numbers and timestamps of its own.
    """

    sequence: int
    timestamp: int
    payload: bytes
    source: int = 0


@dataclass(frozen=True, slots=True)
class CallOver(Event):
    """The server says the call is over; what it still sends are the last words.

    ``replaced``: somebody else joined in this caller's place.
    """

    state: Literal["ended", "replaced"]


@dataclass(frozen=True, slots=True)
class AgentTalking(Event):
    """The server says the agent starts or stops talking."""

    talking: bool
