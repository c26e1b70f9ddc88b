"""What an emulator tells you of a call whose agent gets its words from an LLM server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from retell_voice.emulator.server_events import ServerEvent


@dataclass(frozen=True, slots=True)
class UserTyped(ServerEvent):
    """A user turn was typed at the emulator."""

    content: str

    def __str__(self) -> str:
        return f"user types: {self.content}"


@dataclass(frozen=True, slots=True)
class LlmAsked(ServerEvent):
    """The LLM server was asked for a response, or for a reminder after silence."""

    response_id: int
    reminder: bool

    def __str__(self) -> str:
        wanted = "reminder" if self.reminder else "response"
        return f"asks the LLM server for {wanted} {self.response_id}"


@dataclass(frozen=True, slots=True)
class ResponseDropped(ServerEvent):
    """What the LLM server sends for a response or an agent_interrupt is not spoken.

    Told once where it sends it in many pieces.

    Attributes:
        number: its response_id or interrupt_id.
        interrupt: which of the two it is.
        why: one line.
        so_far: messages of this call that were dropped.
        asked: it was asked for once, and came too late.
    """

    number: int
    interrupt: bool
    why: str
    so_far: int
    asked: bool = True

    def __str__(self) -> str:
        kind = "agent_interrupt" if self.interrupt else "response"
        return f"{kind} {self.number} dropped: {self.why}"


@dataclass(frozen=True, slots=True)
class ResponseOverdue(ServerEvent):
    """Nothing, or nothing more, has come of a response or an agent_interrupt. Told once of each.

    Attributes:
        number: its response_id or interrupt_id.
        interrupt: which of the two it is.
        begun: something of it had come; what is missing is ``content_complete``.
        seconds: for how long.
    """

    number: int
    interrupt: bool
    begun: bool
    seconds: float

    def __str__(self) -> str:
        kind = "agent_interrupt" if self.interrupt else "response"
        if self.begun:
            return (
                f"{kind} {self.number} is not complete, and no more of it has come for "
                f"{self.seconds:g} s: its last message needs content_complete: true"
            )
        hint = "" if self.number else ", the begin message; its content may be empty"
        return f"for {self.seconds:g} s nothing has come of {kind} {self.number}{hint}"


@dataclass(frozen=True, slots=True)
class LlmLinkChanged(ServerEvent):
    """The connection to the LLM server broke and is dialled again, or is back."""

    state: Literal["lost", "back"]
    why: str

    def __str__(self) -> str:
        return f"LLM server {self.state}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class LlmRetrying(ServerEvent):
    """The LLM server was not reached and is tried again. Told once each time it is dialled."""

    why: str

    def __str__(self) -> str:
        return f"{self.why}; trying again"


@dataclass(frozen=True, slots=True)
class LlmFailed(ServerEvent):
    """The LLM server was not reached, or the conversation with it is over.

    So is the call, if it hung up (``agent_hangup``) when what it has sent has been heard.

    Attributes:
        why: Retell's word for it, the call's ``disconnection_reason``.
        words: what happened, one line.
        hint: what to try; empty when there is nothing to suggest.
    """

    why: str
    words: str
    hint: str

    def __str__(self) -> str:
        return f"{self.words} ({self.why})" + (f"; {self.hint}" if self.hint else "")


@dataclass(frozen=True, slots=True)
class LlmMessageUnknown(ServerEvent):
    """The LLM server sent a message that is not known; it is ignored."""

    message: str

    def __str__(self) -> str:
        return f"unknown message from the LLM server: {self.message}"


@dataclass(frozen=True, slots=True)
class LlmMessageMalformed(ServerEvent):
    """The LLM server sent a message with a field missing or of the wrong type; it is ignored.

    Attributes:
        problem: what is wrong with it; names the field.
        excerpt: its first 200 characters.
    """

    problem: str
    excerpt: str

    def __str__(self) -> str:
        return f"message from the LLM server ignored: {self.problem}: {self.excerpt}"


@dataclass(frozen=True, slots=True)
class AgentReconfigured(ServerEvent):
    """The LLM server set how the agent behaves; what it now is."""

    responsiveness: float
    interruption_sensitivity: float
    reminder_trigger_ms: int
    reminder_max_count: int

    def __str__(self) -> str:
        return (
            f"agent set to responsiveness {self.responsiveness:g}, "
            f"interruption_sensitivity {self.interruption_sensitivity:g}, "
            f"{self.reminder_max_count} reminders after {self.reminder_trigger_ms} ms"
        )


@dataclass(frozen=True, slots=True)
class ToolCalled(ServerEvent):
    """The LLM server called a tool; arguments are JSON."""

    tool_call_id: str
    name: str
    arguments: str

    def __str__(self) -> str:
        return f"tool {self.name} called with {self.arguments}"


@dataclass(frozen=True, slots=True)
class ToolReturned(ServerEvent):
    """A tool of the LLM server returned."""

    tool_call_id: str
    content: str

    def __str__(self) -> str:
        return f"tool call {self.tool_call_id} returned {self.content}"


@dataclass(frozen=True, slots=True)
class MetadataForwarded(ServerEvent):
    """The LLM server sent metadata, any JSON value, and the caller was sent it."""

    metadata: Any

    def __str__(self) -> str:
        return f"metadata: {json.dumps(self.metadata, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class TransferRequested(ServerEvent):
    """The LLM server wants the call transferred; it ends when what goes with it was heard."""

    number: str

    def __str__(self) -> str:
        return f"transfer to {self.number} requested"


@dataclass(frozen=True, slots=True)
class DigitPressed(ServerEvent):
    """The LLM server pressed digits of the keypad, which nobody hears."""

    digits: str

    def __str__(self) -> str:
        return f"agent presses {self.digits}"


@dataclass(frozen=True, slots=True)
class SpeechLost(ServerEvent):
    """An engine failed: something said was not recognised, or a sentence not spoken.

    Attributes:
        part: which of the two.
        why: one line.
    """

    part: Literal["recognition", "synthesis"]
    why: str

    def __str__(self) -> str:
        return f"{self.part} failed: {self.why}"
