"""Calls as the REST API knows them: register one, look one up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from retell_voice.audio.format import AudioFormat
from retell_voice.errors import AudioFormatError, NotFound
from retell_voice.net.http import DEFAULT_API_URL
from retell_voice.rest.api import TIMEOUT, Api, check_agent
from retell_voice.rest.fields import inner, number, text
from retell_voice.secret import Secret, as_secret, mask

_DEFAULT_AUDIO = AudioFormat()
_CALL_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~:@=+-]{0,255}")
"""It is printed, and used in URLs and on command lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A call waiting to be joined.

    Attributes:
        call_id: identifies the call and lets its bearer join it; the ``repr`` shows its end.
        agent_id: the agent that answers.
        audio: encoding and rate, both ways, according to the server.
        body: everything the server answered, including the call_id.
    """

    call_id: str
    agent_id: str
    audio: AudioFormat
    body: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "call_id", Secret(self.call_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDetails:
    """What the server knows about a call; None where it does not say.

    Attributes:
        call_id: identifies the call; the ``repr`` shows its end.
        status: ``registered``, ``ongoing``, ``ended`` or ``error``.
        disconnection_reason: Retell's word for why it ended.
        started, ended: Unix time, seconds.
        duration: seconds.
        transcript: what was said, one line per utterance.
        summary, sentiment, successful: from Retell's analysis after the call.
        cost: US cents.
        latency: median from the user's last sound to the agent's first, seconds.
        recording_url: whoever has it can listen; not in the ``repr``.
        body: everything the server answered, including the call_id.
    """

    call_id: str
    agent_id: str | None
    status: str
    disconnection_reason: str | None
    started: float | None
    ended: float | None
    duration: float | None
    transcript: str | None = field(repr=False)
    summary: str | None
    sentiment: str | None
    successful: bool | None
    cost: float | None
    latency: float | None
    recording_url: str | None = field(repr=False)
    body: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "call_id", Secret(self.call_id))


async def register_call(
    agent_id: str,
    *,
    api_key: str,
    audio: AudioFormat = _DEFAULT_AUDIO,
    api_url: str = DEFAULT_API_URL,
    metadata: Mapping[str, Any] | None = None,
    dynamic_variables: Mapping[str, str] | None = None,
    end_call_after_silence_ms: int | None = None,
    agent_version: int | str | None = None,
    direction: Literal["inbound", "outbound"] | None = None,
    from_number: str | None = None,
    to_number: str | None = None,
    plain: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> Registration:
    """Register a call, so that it can be joined.

    On temporary failures (a server error, no network yet), it tries three times.

    Args:
        agent_id: the agent that should answer.
        api_key: Retell's key; never shown.
        audio: encoding and rate of the call, both ways.
        api_url: base of the REST API; ``http://`` to another machine gets a warning in the log.
        metadata: stored with the call, any JSON object.
        dynamic_variables: substituted in the agent's prompt.
        end_call_after_silence_ms: silence of the user that ends the call, at least 10 000.
        agent_version: a number or a tag; a server from the Audio WebSocket's time may not know it.
        direction, from_number, to_number: who calls whom, as the agent is told.
        plain: without Retell's SDK, which need not be installed then.
        timeout: seconds per try.

    Raises:
        ConfigError: the SDK is not installed, or the key or URL is invalid.
        ConnectError: the server was not reached.
        KeyRefused, NotFound, FieldRefused, TooManyRequests: as documented.
        RestError: the server answered with another error, or not with a call.
    """
    api_key = as_secret("api_key", api_key)
    check_agent(agent_id)
    if not isinstance(audio, AudioFormat):
        raise TypeError(f"audio= takes an AudioFormat, not {type(audio).__name__}")
    body = {
        "agent_id": agent_id,
        "audio_websocket_protocol": "web",
        "audio_encoding": str(audio.encoding),
        "sample_rate": audio.rate,
        "metadata": metadata,
        "retell_llm_dynamic_variables": dynamic_variables,
        "end_call_after_silence_ms": end_call_after_silence_ms,
        "agent_version": agent_version,
        "direction": direction,
        "from_number": from_number,
        "to_number": to_number,
    }
    fields = {name: value for name, value in body.items() if value is not None}
    api = Api(api_url, api_key, timeout, what=f"agent {agent_id}", plain=plain)
    answer = await api.request("/register-call", fields)
    return _registration(answer, agent_id, audio, api)


async def get_call(
    call_id: str,
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    plain: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> CallDetails:
    """Look a call up; arguments and errors as for ``register_call``."""
    call_id, api_key = as_secret("call_id", call_id), as_secret("api_key", api_key)
    what = f"call {mask(call_id)}"
    api = Api(api_url, api_key, timeout, what=what, call_id=call_id, plain=plain)
    path = Secret(f"/get-call/{quote(call_id, safe='')}")
    try:
        answer = await api.request(Secret(f"/v2{path}"))
    except NotFound:  # a server from the Audio WebSocket's time has it under its old path
        answer = await api.request(path)
    return read_call(answer, call_id, api)


def _registration(
    answer: Mapping[str, Any], agent_id: str, audio: AudioFormat, api: Api
) -> Registration:
    call_id = answer.get("call_id")
    if not call_id or not isinstance(call_id, str):
        raise api.senseless("the answer has no call_id")
    if not _CALL_ID.fullmatch(call_id):
        raise api.senseless("its call_id has invalid characters")
    try:
        audio = AudioFormat(
            answer.get("audio_encoding", audio.encoding), answer.get("sample_rate", audio.rate)
        )
    except AudioFormatError as error:
        raise api.senseless(str(error)) from None
    return Registration(call_id=call_id, agent_id=agent_id, audio=audio, body=answer)


def read_call(answer: Mapping[str, Any], call_id: str, api: Api) -> CallDetails:
    """Read a call object; raises ``RestError`` if it is not one."""
    status = text(answer, "call_status")
    if status is None:
        raise api.senseless("the answer has no call_status")
    analysis = inner(answer, "call_analysis")
    started, ended = (
        None if (ms := number(answer, f"{name}_timestamp")) is None else ms / 1000
        for name in ("start", "end")
    )
    latency = number(inner(inner(answer, "latency"), "e2e"), "p50")
    successful = analysis.get("call_successful")
    return CallDetails(
        call_id=call_id,
        agent_id=text(answer, "agent_id"),
        status=status,
        disconnection_reason=text(answer, "disconnection_reason"),
        started=started,
        ended=ended,
        duration=None if started is None or ended is None else ended - started,
        transcript=text(answer, "transcript"),
        summary=text(analysis, "call_summary"),
        sentiment=text(analysis, "user_sentiment"),
        successful=successful if isinstance(successful, bool) else None,
        cost=number(inner(answer, "call_cost"), "combined_cost"),
        latency=None if latency is None else latency / 1000,
        recording_url=text(answer, "recording_url"),
        body=answer,
    )
