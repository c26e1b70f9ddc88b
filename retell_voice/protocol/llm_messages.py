"""The thirteen messages of the custom-LLM WebSocket, see ``protocol.llm``.

Source: Retell's "LLM WebSocket" reference (docs.retellai.com/api-references/llm-websocket).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retell_voice.events import Role, Utterance


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmMessage:
    """Base of all messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(LlmMessage):
    """LLM server → Retell, optional, first: features of this connection.

    Attributes:
        auto_reconnect: exchange ``ping_pong`` every 2 s; after 5 s without, reconnect.
        call_details: send one ``call_details``.
        transcript_with_tool_calls: send that transcript next to the plain one.
    """

    auto_reconnect: bool = False
    call_details: bool = False
    transcript_with_tool_calls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """How the agent behaves; None leaves a setting as it is.

    Attributes:
        responsiveness: 0 (waits long before it answers) to 1.
        interruption_sensitivity: 0 (cannot be interrupted) to 1.
        reminder_trigger_ms: silence of the user before a reminder, more than 0.
        reminder_max_count: reminders in a row; 0 for none.
    """

    responsiveness: float | None = None
    interruption_sensitivity: float | None = None
    reminder_trigger_ms: int | None = None
    reminder_max_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAgent(LlmMessage):
    """LLM server → Retell: change how the agent behaves, from now on."""

    agent_config: AgentConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmPingPong(LlmMessage):
    """LLM server → Retell: keepalive; ``timestamp`` in Unix ms, None if it was not a number."""

    timestamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(LlmMessage):
    """LLM server → Retell: a chunk of what the agent says, in answer to ``response_id``.

    Attributes:
        response_id: the request that it answers; 0 is the begin message.
        content: what to say; may be empty.
        content_complete: no chunk of this response follows.
        no_interruption_allowed: the user cannot interrupt this; None: unspecified.
        end_call: hang up once it has been spoken. Only one of this, ``transfer_number`` and
            ``digit_to_press`` is done, in this order of precedence.
        transfer_number: transfer the call there once it has been spoken.
        show_transferee_as_caller: whether the transfer shows the caller's number.
        digit_to_press: the digit to press once it has been spoken.
    """

    response_id: int
    content: str = ""
    content_complete: bool = False
    no_interruption_allowed: bool | None = None
    end_call: bool = False
    transfer_number: str | None = None
    show_transferee_as_caller: bool | None = None
    digit_to_press: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInterrupt(LlmMessage):
    """LLM server → Retell: say this at once, whoever is speaking; an unrequested ``Response``.

    Attributes:
        interrupt_id: the same for all its chunks; another one discards those before.
    """

    interrupt_id: int
    content: str = ""
    content_complete: bool = False
    no_interruption_allowed: bool | None = None
    end_call: bool = False
    transfer_number: str | None = None
    digit_to_press: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallInvocation(LlmMessage):
    """LLM server → Retell, and an item of a transcript: a tool is being called.

    Attributes:
        tool_call_id: pairs it with its result.
        name: the tool.
        arguments: a JSON object in a string.
    """

    tool_call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallResult(LlmMessage):
    """LLM server → Retell, and an item of a transcript: what the tool returned.

    Attributes:
        tool_call_id: the call it belongs to.
        content: the result, any text.
        successful: whether the tool succeeded; None if unspecified.
    """

    tool_call_id: str
    content: str
    successful: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmMetadata(LlmMessage):
    """LLM server → Retell: any JSON value, forwarded to the frontend."""

    metadata: Any


@dataclass(frozen=True, slots=True)
class Dtmf:
    """An item of a transcript with tool calls: the user pressed a phone key."""

    digit: str


Said = Utterance | ToolCallInvocation | ToolCallResult | Dtmf
"""An item of a transcript with tool calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PingPong(LlmMessage):
    """Retell → LLM server: keepalive; ``timestamp`` in Unix milliseconds."""

    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDetails(LlmMessage):
    """Retell → LLM server: the call as get-call returns it, once, if ``Config`` asks for it."""

    call: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOnly(LlmMessage):
    """Retell → LLM server: the transcript or the turn has changed; no answer is expected.

    Attributes:
        transcript: the whole call so far.
        transcript_with_tool_calls: the same with tool calls, if ``Config`` asks for it.
        turn: who speaks from now on, if that changes.
    """

    transcript: tuple[Utterance, ...] = ()
    transcript_with_tool_calls: tuple[Said, ...] | None = None
    turn: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequired(LlmMessage):
    """Retell → LLM server: answer the user; earlier ``response_id`` are now outdated."""

    response_id: int
    transcript: tuple[Utterance, ...] = ()
    transcript_with_tool_calls: tuple[Said, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReminderRequired(LlmMessage):
    """Retell → LLM server: the user has been silent for long; answered like the above."""

    response_id: int
    transcript: tuple[Utterance, ...] = ()
    transcript_with_tool_calls: tuple[Said, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownLlmMessage(LlmMessage):
    """A message of an unknown type; its first 4096 characters."""

    message: str
