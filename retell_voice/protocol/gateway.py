"""Today's web calls: what is said over HTTP and over the control channel, both sides.

::

    POST   /v3/create-web-call                        → call_id, access_token, transport, …
    POST   …/v1/webrtc/sessions      {identity, sdp}  → {session_id, sdp}          join
    PATCH  …/v1/webrtc/sessions/{id} {candidate}                                   trickle
    PATCH  …/v1/webrtc/sessions/{id} an SDP offer     → an SDP answer              renegotiate
    DELETE …/v1/webrtc/sessions/{id}                                               leave
    control channel, server → client: {"type": "status", "state": "ended" | "replaced"}
                                      {"event_type": "update" | "metadata" | …}

``…`` is ``/webrtc-proxy/{call_id}``. Audio is Opus over RTP, both ways. Source: Retell's browser
client 3.0 and ``retell-sdk`` 6.2. Its gateway does not relay the ``event_type`` messages today.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from retell_voice.events import (
    Event,
    MalformedMessage,
    Metadata,
    NodeTransition,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
)
from retell_voice.protocol.ice import IceServer, read_ice_servers
from retell_voice.protocol.llm_fields import Fields, LlmPayloadError, load_object
from retell_voice.protocol.messages import AgentTalking, CallOver

CALLER = "client"
"""Identity of the caller of a web call; a listener's is its ``participant_id``."""

CONTROL = "control"
"""Label of the data channel that the client opens."""

_EXCERPT = 200
_KEPT = 4096
_TURNS: Mapping[str, Literal["agent", "user"]] = {"agent_turn": "agent", "user_turn": "user"}


class UnreadableAnswer(ValueError):
    """An answer is not what it should be; says what is wrong with it."""


class NotGateway(UnreadableAnswer):
    """The call runs on LiveKit, as web calls used to; that is not supported."""

    def __init__(self) -> None:
        super().__init__("the call runs on LiveKit, not on Retell's WebRTC gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What lets its bearer join one call, once.

    Attributes:
        call_id: names the call; a secret.
        access_token: a secret.
        identity: who joins: the caller, or a listener.
        ice_servers: those the server suggests.
        expires_at: Unix time, seconds, at which the token expires; None if not told.
    """

    call_id: str = field(repr=False)
    access_token: str = field(repr=False)
    identity: str = CALLER
    ice_servers: tuple[IceServer, ...] = ()
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """The gateway's answer to a join."""

    session_id: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A trickled candidate: its SDP attribute, and the media section it belongs to."""

    candidate: str
    mid: str | None = None
    index: int | None = None


def sessions_path(call_id: str, session_id: str | None = None) -> str:
    """Return the path of a call's sessions, or of one of them. It holds the call_id: a secret."""
    path = f"/webrtc-proxy/{quote(call_id, safe='')}/v1/webrtc/sessions"
    return path if session_id is None else f"{path}/{quote(session_id, safe='')}"


def create_body(
    agent_id: str,
    *,
    agent_version: int | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    dynamic_variables: Mapping[str, str] | None = None,
    agent_override: Mapping[str, Any] | None = None,
    current_node_id: str | None = None,
    current_state: str | None = None,
) -> dict[str, Any]:
    """Return the body of create-web-call, without what is None."""
    body = {
        "agent_id": agent_id,
        "agent_version": agent_version,
        "metadata": metadata,
        "retell_llm_dynamic_variables": dynamic_variables,
        "agent_override": agent_override,
        "current_node_id": current_node_id,
        "current_state": current_state,
    }
    return {name: value for name, value in body.items() if value is not None}


def read_admission(body: Mapping[str, Any], call_id: str | None = None) -> Admission:
    """Read the answer to create-web-call, or to listen-live-call.

    Args:
        body: the JSON object.
        call_id: the call; needed for listen-live-call, whose answer does not name it.

    Raises:
        NotGateway: the call runs on LiveKit.
        UnreadableAnswer: something is missing or of the wrong type.
    """
    fields = Fields(dict(body), "the answer")
    try:
        if body.get("transport") != "gateway":
            if body.get("transport") in (None, "livekit") and body.get("access_token"):
                raise NotGateway
            raise UnreadableAnswer("transport is not 'gateway'")
        identity = CALLER if call_id is None else fields.need(fields.string, "participant_id")
        expires_at = fields.number("expires_at")
        return Admission(
            call_id=_filled(fields, "call_id") if call_id is None else call_id,
            access_token=_filled(fields, "access_token"),
            identity=identity,
            ice_servers=read_ice_servers(body.get("ice_servers")),
            expires_at=None if expires_at is None else expires_at / 1000,
        )
    except LlmPayloadError as error:
        raise UnreadableAnswer(str(error)) from None


def admission_body(admission: Admission) -> dict[str, Any]:
    """Return what ``read_admission`` reads, for a program that joins a call made elsewhere."""
    body: dict[str, Any] = {
        "call_id": admission.call_id,
        "access_token": admission.access_token,
        "transport": "gateway",
        "ice_servers": [server.body() for server in admission.ice_servers],
    }
    if admission.identity != CALLER:
        body["participant_id"] = admission.identity
    if admission.expires_at is not None:
        body["expires_at"] = round(admission.expires_at * 1000)
    return body


def join_body(identity: str, sdp: str) -> dict[str, str]:
    """Return the body of a join."""
    return {"identity": identity, "sdp": sdp}


def read_join(body: str | bytes) -> tuple[str, str]:
    """Return identity and SDP offer of a join; raises ``UnreadableAnswer``."""
    fields = _object(body, "the request")
    return _filled(fields, "identity"), _filled(fields, "sdp")


def read_joined(body: str | bytes) -> Joined:
    """Read the answer to a join; raises ``UnreadableAnswer``."""
    fields = _object(body, "the answer")
    return Joined(_filled(fields, "session_id"), _filled(fields, "sdp"))


def trickle_body(candidate: Candidate) -> dict[str, Any]:
    """Return the body that sends a candidate."""
    return {
        "candidate": {
            "candidate": candidate.candidate,
            "sdpMid": candidate.mid,
            "sdpMLineIndex": candidate.index,
        }
    }


def read_trickle(body: str | bytes) -> Candidate | None:
    """Return the candidate a client sends; None for the end of candidates.

    Raises:
        UnreadableAnswer: it is neither.
    """
    fields = _object(body, "the request")
    try:
        inner = fields.inner("candidate")
        if inner is None:
            return None
        text = inner.string("candidate") or ""
        candidate = Candidate(
            candidate=text.removeprefix("a=").removeprefix("candidate:"),
            mid=inner.string("sdpMid"),
            index=inner.whole("sdpMLineIndex", 0),
        )
    except LlmPayloadError as error:
        raise UnreadableAnswer(str(error)) from None
    if not candidate.candidate:
        return None
    if candidate.mid is None and candidate.index is None:
        raise UnreadableAnswer("the request: the candidate names no media section")
    return candidate


def status_message(state: Literal["ended", "replaced"]) -> str:
    """Return the message of the control channel that ends a call."""
    return json.dumps({"type": "status", "state": state})


def read_control(message: str | bytes, at: float = 0.0) -> list[Event]:
    """Decode one message of the control channel, whole; never raises.

    Args:
        message: text, as it should be, or bytes of it.
        at: time to stamp the events with.
    """
    text = message if isinstance(message, str) else message.decode("utf-8", "replace")
    try:
        body = load_object(text)
        return _control(Fields(body, "the message"), body, text, at)
    except LlmPayloadError as error:
        return [MalformedMessage(problem=str(error), excerpt=text[:_EXCERPT], at=at)]


def _control(fields: Fields, body: dict[str, Any], text: str, at: float) -> list[Event]:
    if body.get("type") == "status" and body.get("state") in ("ended", "replaced"):
        return [CallOver(state=body["state"], at=at)]
    match body.get("event_type"):
        case "update":
            return _update(body, text, at)
        case "metadata":
            return [Metadata(metadata=fields.anything("metadata"), at=at)]
        case "agent_start_talking" | "agent_stop_talking" as kind:
            return [AgentTalking(talking=kind == "agent_start_talking", at=at)]
        case "node_transition":
            return [read_transition(body, at)]
        case _:
            return [UnknownMessage(message=text[:_KEPT], at=at)]


def read_transition(body: Mapping[str, Any], at: float = 0.0) -> NodeTransition:
    """Read a transition, of the control channel or of the transcript; never raises."""

    def name(which: str) -> str:
        found = body.get(f"{which}_node_name") or body.get(f"{which}_node_id")
        return found if isinstance(found, str) else ""

    return NodeTransition(former=name("former"), new=name("new"), fields=body, at=at)


def _update(body: dict[str, Any], text: str, at: float) -> list[Event]:
    """Keep what is good of an update, and tell of the rest."""
    events: list[Event] = []
    spoken, turn = body.get("transcript"), body.get("turntaking")
    odd = not isinstance(spoken, list | None) or not isinstance(turn, str | None)
    if isinstance(spoken, list):
        said: list[Utterance] = []
        for item in spoken:
            match item:
                case {"role": "agent" | "user" as role, "content": str() as content}:
                    said.append(Utterance(role, content))
                case {"role": str() as role} if role not in ("agent", "user"):
                    pass  # a digit, a tool call: nothing that is said
                case _:
                    odd = True
        events.append(Transcript(utterances=tuple(said), at=at))
    if isinstance(turn, str) and turn in _TURNS:
        events.append(Turn(speaker=_TURNS[turn], at=at))
    if odd:
        problem = "parts of the update cannot be read"
        events.append(MalformedMessage(problem=problem, excerpt=text[:_EXCERPT], at=at))
    return events


def _object(body: str | bytes, what: str) -> Fields:
    try:
        return Fields(load_object(body), what)
    except LlmPayloadError as error:
        raise UnreadableAnswer(f"{what} is {error}") from None


def _filled(fields: Fields, name: str) -> str:
    try:
        value = fields.need(fields.string, name)
    except LlmPayloadError as error:
        raise UnreadableAnswer(str(error)) from None
    if not value:
        raise UnreadableAnswer(str(fields.error(name, "is empty")))
    return value
