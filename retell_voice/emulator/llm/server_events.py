"""Server events of a call whose agent gets its words from an LLM server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from retell_voice.emulator.server_events import ServerEvent


@dataclass(frozen=True, slots=True)
class UserTyped(ServerEvent):
    """A user turn was typed into the emulator."""

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
        return f"asked the LLM server for {wanted} {self.response_id}"


@dataclass(frozen=True, slots=True)
class ResponseDropped(ServerEvent):
    """A response or agent_interrupt of the LLM server is not spoken.

    Reported once, not for every chunk.

    Attributes:
        number: its response_id or interrupt_id.
        interrupt: whether it is an agent_interrupt.
        why: one line.
        so_far: messages dropped in this call.
        asked: it was requested, but came too late.
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
    """A response or agent_interrupt has not come, or has stopped coming. Reported once for each.

    After ten seconds, or earlier if the next turn or the end of the call puts an end to the wait.

    Attributes:
        number: its response_id or interrupt_id.
        interrupt: whether it is an agent_interrupt.
        begun: some of it has come; ``content_complete`` is what is missing.
        seconds: for how long nothing has come.
        cut_short: what ended the wait early; empty if nothing did.
        other_ids: response_ids of what came instead, and was dropped.
    """

    number: int
    interrupt: bool
    begun: bool
    seconds: float
    cut_short: str = ""
    other_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        name = f"{'agent_interrupt' if self.interrupt else 'response'} {self.number}"
        when = f", {self.cut_short}" if self.cut_short else ""
        if self.begun:
            return (
                f"{name} is not complete: nothing more came for {self.seconds:.3g} s{when}; "
                "its last message needs content_complete: true"
            )
        hint = "" if self.number or self.interrupt else " (the begin message; it may be empty)"
        line = f"{name}{hint} has not come for {self.seconds:.3g} s{when}"
        if self.other_ids:
            line += f"; what came had response_id {', '.join(map(str, self.other_ids))}"
        return line


@dataclass(frozen=True, slots=True)
class LlmStatistics(ServerEvent):
    """At the end of a call: how often the LLM server was asked and answered, and how quickly.

    Attributes:
        asked: requests for a response or a reminder.
        answered: those of which anything came.
        median_ms, p95_ms: from a request to its first words; None without any.
    """

    asked: int
    answered: int
    median_ms: float | None
    p95_ms: float | None

    def __str__(self) -> str:
        line = f"the LLM server answered {self.answered} of {self.asked}"
        if self.median_ms is None or self.p95_ms is None:
            return line
        return f"{line}, in {self.median_ms:.0f} ms (median), 95 % within {self.p95_ms:.0f} ms"


@dataclass(frozen=True, slots=True)
class LlmLinkChanged(ServerEvent):
    """The connection to the LLM server broke and is being redialled, or is back."""

    state: Literal["lost", "back"]
    why: str

    def __str__(self) -> str:
        return f"LLM server {self.state}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class LlmRetrying(ServerEvent):
    """The LLM server was not reached and is tried again. Reported once per connection."""

    why: str

    def __str__(self) -> str:
        return f"{self.why}; retrying"


@dataclass(frozen=True, slots=True)
class LlmFailed(ServerEvent):
    """The LLM server was not reached, or the connection with it is over.

    That ends the call; if the server hung up (``agent_hangup``), once all it sent has been heard.

    Attributes:
        why: the call's ``disconnection_reason``.
        words: what happened, one line.
        hint: what to try; may be empty.
    """

    why: str
    words: str
    hint: str

    def __str__(self) -> str:
        return f"{self.words} ({self.why})" + (f"; {self.hint}" if self.hint else "")


@dataclass(frozen=True, slots=True)
class LlmMessageUnknown(ServerEvent):
    """The LLM server sent a message of an unknown type; it is ignored."""

    message: str

    def __str__(self) -> str:
        return f"unknown message from the LLM server: {self.message}"


@dataclass(frozen=True, slots=True)
class LlmMessageMalformed(ServerEvent):
    """The LLM server sent a malformed message, which is ignored.

    Attributes:
        problem: what is wrong with it; names the field if one is missing or of the wrong type.
        excerpt: its first 200 characters.
    """

    problem: str
    excerpt: str

    def __str__(self) -> str:
        return f"message from the LLM server ignored: {self.problem}: {self.excerpt}"


@dataclass(frozen=True, slots=True)
class AgentReconfigured(ServerEvent):
    """The LLM server changed how the agent behaves; the settings now in force."""

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
    """A tool of the LLM server returned; ``successful`` is None if the server did not say."""

    tool_call_id: str
    content: str
    successful: bool | None = None

    def __str__(self) -> str:
        verb = "failed with" if self.successful is False else "returned"
        return f"tool call {self.tool_call_id} {verb} {self.content}"


@dataclass(frozen=True, slots=True)
class MetadataForwarded(ServerEvent):
    """The LLM server sent metadata, any JSON value, which was forwarded to the caller."""

    metadata: Any

    def __str__(self) -> str:
        return f"metadata: {json.dumps(self.metadata, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class TransferRequested(ServerEvent):
    """The LLM server wants the call transferred; here the call ends instead.

    Attributes:
        number: where to.
        show_transferee_as_caller: whether the transfer would show the caller's number.
    """

    number: str
    show_transferee_as_caller: bool = False

    def __str__(self) -> str:
        shown = ", showing the transferee as caller" if self.show_transferee_as_caller else ""
        return f"transfer to {self.number} requested{shown}"


@dataclass(frozen=True, slots=True)
class DigitPressed(ServerEvent):
    """The LLM server pressed digits of the keypad; no tones are sent."""

    digits: str

    def __str__(self) -> str:
        return f"agent presses {self.digits}"


@dataclass(frozen=True, slots=True)
class SpeechLost(ServerEvent):
    """The ASR or TTS failed: an utterance was not recognised, or a sentence not spoken.

    Attributes:
        part: which of the two.
        why: one line.
    """

    part: Literal["recognition", "synthesis"]
    why: str

    def __str__(self) -> str:
        return f"{self.part} failed: {self.why}"
