"""The custom-LLM WebSocket: both sides, all thirteen messages, JSON in and out.

::

    Retell → LLM server   {"interaction_type": "ping_pong" | "call_details" | "update_only" |
                               "response_required" | "reminder_required", …}
    LLM server → Retell   {"response_type": "config" | "update_agent" | "ping_pong" |
                               "response" | "agent_interrupt" | "tool_call_invocation" |
                               "tool_call_result" | "metadata", …}

Sources: Retell's "LLM WebSocket" reference (docs.retellai.com/api-references/llm-websocket) and
its guides "Set up your server" and "Troubleshooting" (docs.retellai.com/integrate-llm). By them

* a message without ``response_type`` is a ``response``, as the first servers sent it;
* ``content_complete`` is required; with it, ``content`` may be null or missing: nothing to say;
* a ``ping_pong`` counts whatever its ``timestamp``;
* a message with a field missing or of the wrong type is logged and dropped, and the call goes on
  (left to the caller).

Unknown fields are ignored, null counts as absent, a byte order mark is skipped. An integer may be
written as ``3.0``: to JavaScript it is the same. In a transcript, items of an unknown role are left
out; messages of an unknown type are passed on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from retell_voice.errors import ConfigError
from retell_voice.events import Role, Utterance, Word
from retell_voice.protocol.llm_fields import Fields, LlmPayloadError, load_object
from retell_voice.protocol.llm_messages import (
    AgentConfig,
    AgentInterrupt,
    CallDetails,
    Config,
    Dtmf,
    LlmMessage,
    LlmMetadata,
    LlmPingPong,
    PingPong,
    ReminderRequired,
    Response,
    ResponseRequired,
    Said,
    ToolCallInvocation,
    ToolCallResult,
    UnknownLlmMessage,
    UpdateAgent,
    UpdateOnly,
)
from retell_voice.secret import Secret, mask_url

__all__ = [
    "AgentConfig",
    "AgentInterrupt",
    "CallDetails",
    "Config",
    "Dtmf",
    "LlmMessage",
    "LlmMetadata",
    "LlmPayloadError",
    "LlmPingPong",
    "LlmSide",
    "PingPong",
    "ReminderRequired",
    "Response",
    "ResponseRequired",
    "RetellSide",
    "Said",
    "ToolCallInvocation",
    "ToolCallResult",
    "UnknownLlmMessage",
    "UpdateAgent",
    "UpdateOnly",
    "llm_url",
    "transcript_item",
]

_KEPT = 4096
"""Characters of an unknown message that are passed on."""

_SPEAKERS: dict[str, Role] = {"agent_turn": "agent", "user_turn": "user"}
_TURNTAKING: dict[Role, str] = {role: name for name, role in _SPEAKERS.items()}


def llm_url(prefix: str, call_id: str) -> str:
    """Return the URL of one call's custom-LLM WebSocket. It contains the call_id: keep it secret.

    The call_id becomes the last part of the path, a query stays, http and https stand for ws
    and wss (Retell's "Set up your server" and "Troubleshooting").

    Raises:
        ConfigError: the prefix is not the URL of a WebSocket.
    """
    try:
        parts = urlsplit(prefix)
        _ = parts.port  # raises unless it is a number
    except ValueError:
        parts = urlsplit("")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname or parts.fragment:
        raise ConfigError(
            f"{mask_url(prefix)!r} is not the URL of an LLM server",
            "it looks like ws://localhost:8080/llm-websocket; the call_id is appended to it",
        )
    path = f"{parts.path.rstrip('/')}/{quote(call_id, safe='')}"
    return Secret(urlunsplit((scheme, parts.netloc, path, parts.query, "")))


class RetellSide:
    """Retell's side: decodes what the LLM server sends, encodes what Retell sends."""

    def receive(self, text: str | bytes) -> LlmMessage:
        """Decode one message of the LLM server; raises nothing but ``LlmPayloadError``."""
        body = load_object(text)
        kind = Fields(body, "message").string("response_type")
        if kind is None:
            return _response(Fields(body, "response (there is no response_type)"))
        return _decode(_FROM_LLM, kind, text, body)

    def encode(self, message: LlmMessage) -> str:
        """Encode one message to the LLM server."""
        return _encode("interaction_type", _FROM_RETELL, message)


class LlmSide:
    """The developer's side: decodes what Retell sends, encodes what the LLM server sends."""

    def receive(self, text: str | bytes) -> LlmMessage:
        """Decode one message of Retell; raises nothing but ``LlmPayloadError``."""
        body = load_object(text)
        it = Fields(body, "message")
        return _decode(_FROM_RETELL, it.need(it.string, "interaction_type"), text, body)

    def encode(self, message: LlmMessage) -> str:
        """Encode one message to Retell."""
        return _encode("response_type", _FROM_LLM, message)


def _config(it: Fields) -> Config:
    config = it.need(it.inner, "config")
    return Config(
        auto_reconnect=config.flag("auto_reconnect") or False,
        call_details=config.flag("call_details") or False,
        transcript_with_tool_calls=config.flag("transcript_with_tool_calls") or False,
    )


def _update_agent(it: Fields) -> UpdateAgent:
    config = it.need(it.inner, "agent_config")
    return UpdateAgent(
        agent_config=AgentConfig(
            responsiveness=config.share("responsiveness"),
            interruption_sensitivity=config.share("interruption_sensitivity"),
            reminder_trigger_ms=config.rounded("reminder_trigger_ms", least=1),
            reminder_max_count=config.whole("reminder_max_count", least=0),
        )
    )


def _response(it: Fields) -> Response:
    return Response(
        response_id=it.need(it.whole, "response_id"),
        show_transferee_as_caller=it.flag("show_transferee_as_caller"),
        **_speech(it),
    )


def _agent_interrupt(it: Fields) -> AgentInterrupt:
    return AgentInterrupt(interrupt_id=it.need(it.whole, "interrupt_id"), **_speech(it))


def _speech(it: Fields) -> dict[str, Any]:
    content = it.string("content")
    return {
        "content_complete": it.need(it.flag, "content_complete"),
        "content": content or "",
        "no_interruption_allowed": it.flag("no_interruption_allowed"),
        "end_call": it.flag("end_call") or False,
        "transfer_number": it.string("transfer_number"),
        "digit_to_press": it.string("digit_to_press"),
    }


def _invocation(it: Fields) -> ToolCallInvocation:
    return ToolCallInvocation(
        tool_call_id=it.need(it.string, "tool_call_id"),
        name=it.need(it.string, "name"),
        arguments=it.need(it.string, "arguments"),
    )


def _result(it: Fields) -> ToolCallResult:
    return ToolCallResult(
        tool_call_id=it.need(it.string, "tool_call_id"),
        content=it.need(it.string, "content"),
        successful=it.flag("successful"),
    )


def _update_only(it: Fields) -> UpdateOnly:
    turn = it.string("turntaking")
    if turn is not None and turn not in _SPEAKERS:
        raise it.error("turntaking", f"is not one of {', '.join(_SPEAKERS)}")
    return UpdateOnly(turn=None if turn is None else _SPEAKERS[turn], **_transcripts(it))


def _required(kind: type[ResponseRequired | ReminderRequired]) -> Callable[[Fields], LlmMessage]:
    return lambda it: kind(response_id=it.need(it.whole, "response_id"), **_transcripts(it))


def _transcripts(it: Fields) -> dict[str, Any]:
    spoken = it.items("transcript") or []
    with_tools = it.items("transcript_with_tool_calls")
    return {
        "transcript": tuple(said for said in map(_said, spoken) if isinstance(said, Utterance)),
        "transcript_with_tool_calls": None
        if with_tools is None
        else tuple(said for said in map(_said, with_tools) if said is not None),
    }


def _said(item: Fields) -> Said | None:
    match item.need(item.string, "role"):
        case "agent" | "user" as role:
            words = tuple(map(_word, item.items("words") or ()))
            return Utterance(role, item.need(item.string, "content"), words)
        case "tool_call_invocation":
            return _invocation(item)
        case "tool_call_result":
            return _result(item)
        case "dtmf":
            return Dtmf(item.need(item.string, "digit"))
        case _:
            return None


def _word(item: Fields) -> Word:
    return Word(
        word=item.need(item.string, "word"),
        start=float(item.need(item.number, "start")),
        end=float(item.need(item.number, "end")),
    )


_Decoder = Callable[[Fields], LlmMessage]
_Table = dict[str, tuple[type[LlmMessage], _Decoder]]
_FROM_LLM: _Table = {
    "config": (Config, _config),
    "update_agent": (UpdateAgent, _update_agent),
    "ping_pong": (LlmPingPong, lambda it: LlmPingPong(timestamp=it.milliseconds("timestamp"))),
    "response": (Response, _response),
    "agent_interrupt": (AgentInterrupt, _agent_interrupt),
    "tool_call_invocation": (ToolCallInvocation, _invocation),
    "tool_call_result": (ToolCallResult, _result),
    "metadata": (LlmMetadata, lambda it: LlmMetadata(metadata=it.anything("metadata"))),
}
_FROM_RETELL: _Table = {
    "ping_pong": (PingPong, lambda it: PingPong(timestamp=it.need(it.rounded, "timestamp"))),
    "call_details": (
        CallDetails,
        lambda it: CallDetails(call=it.need(it.mapping, "call")),
    ),
    "update_only": (UpdateOnly, _update_only),
    "response_required": (ResponseRequired, _required(ResponseRequired)),
    "reminder_required": (ReminderRequired, _required(ReminderRequired)),
}


def _decode(table: _Table, kind: str, text: str | bytes, body: dict[str, Any]) -> LlmMessage:
    if kind in table:
        _, decoder = table[kind]
        return decoder(Fields(body, kind))
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return UnknownLlmMessage(message=text[:_KEPT])


def _encode(discriminator: str, table: _Table, message: LlmMessage) -> str:
    for name, (kind, _) in table.items():
        if isinstance(message, kind):
            return json.dumps({discriminator: name, **_body(message)}, allow_nan=False)
    raise TypeError(f"{type(message).__name__} is not what this side sends")


def _body(message: LlmMessage) -> dict[str, Any]:
    match message:
        case Config():
            return {"config": _present(message)}
        case UpdateAgent():
            return {"agent_config": _present(message.agent_config)}
        case LlmMetadata():
            return {"metadata": message.metadata}
        case CallDetails():
            return {"call": dict(message.call)}
        case UpdateOnly() | ResponseRequired() | ReminderRequired():
            body = _present(message)
            for name in ("transcript", "transcript_with_tool_calls"):
                if name in body:
                    body[name] = [transcript_item(said) for said in body[name]]
            if (turn := body.pop("turn", None)) is not None:
                body["turntaking"] = _TURNTAKING[turn]
            return body
    return _present(message)


def transcript_item(said: Said) -> dict[str, Any]:
    """Return an item of a transcript as it is in JSON."""
    match said:
        case Utterance():
            return {**_present(said), "words": [_present(word) for word in said.words]}
        case ToolCallInvocation():
            return {"role": "tool_call_invocation", **_present(said)}
        case ToolCallResult():
            return {"role": "tool_call_result", **_present(said)}
        case Dtmf():
            return {"role": "dtmf", "digit": said.digit}


def _present(message: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that are not None."""
    values = ((field.name, getattr(message, field.name)) for field in fields(message))
    return {name: value for name, value in values if value is not None}
