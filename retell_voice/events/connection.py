"""What became of the connection, and what came over it that is not speech."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from retell_voice.events.base import CallState, Event
from retell_voice.events.statistics import Statistics

if TYPE_CHECKING:
    from retell_voice.errors import RetellVoiceError


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """The call moved to another state."""

    state: CallState


@dataclass(frozen=True, slots=True)
class MonitorChanged(Event):
    """The connection for a web call's live transcript was opened, broke and is being reopened, or
    is gone for good. The call itself goes on.

    Attributes:
        state: ``attached``, ``retrying`` or ``lost``.
        why: one line; empty when attached.
    """

    state: Literal["attached", "retrying", "lost"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class NetworkChanged(Event):
    """A web call's server has sent no audio for 2 s, or sends again. After 10 s the call is lost.

    Attributes:
        state: ``stalled`` or ``back``.
        silent_for: seconds without a packet.
    """

    state: Literal["stalled", "back"]
    silent_for: float


@dataclass(frozen=True, slots=True)
class UnknownMessage(Event):
    """The server sent a text or JSON message that this client does not know.

    Attributes:
        message: its first 4096 characters.
    """

    message: str


@dataclass(frozen=True, slots=True)
class MalformedMessage(Event):
    """The server sent something that cannot be parsed; the call goes on.

    Attributes:
        problem: what is wrong with it.
        excerpt: its first 200 characters.
    """

    problem: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class DigitSent(Event):
    """A phone key was sent (``Call.press``).

    Attributes:
        digit: one of ``0123456789*#``.
    """

    digit: str


@dataclass(frozen=True, slots=True)
class ProviderComplaint(Event):
    """The phone provider played by this client would have complained about something; the call goes
    on.

    Attributes:
        provider: ``Twilio``, ``Telnyx``, …
        code: the provider's error number, as in its debugger; empty if it has none.
        problem: what is wrong, and what the provider does about it.
        excerpt: first 200 characters of the message; empty if it is not about a message.
    """

    provider: str
    code: str
    problem: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The call is over; always the last event.

    Attributes:
        by: who ended it.
        code: WebSocket close code, None when the connection never had one.
        reason: the text that came with the code, possibly empty.
        error: what to raise or show if this was not a normal end, else None.
        statistics: the final figures.
    """

    by: Literal["you", "server", "network", "device"]
    code: int | None
    reason: str
    error: RetellVoiceError | None = None
    statistics: Statistics = field(default_factory=Statistics)
