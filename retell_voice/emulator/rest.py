"""The two REST calls of Retell that belong to the Audio WebSocket. Pure: no sockets, no clock.

::

    POST {prefix}/register-call             201, or 400 401 422 429
    GET  {prefix}/get-call/{call_id}        200, or 401 404         (also under /v2)

Anything else is 404, a wrong method 405. Every error is a JSON object with ``status``,
``message`` and ``error_message``; a 422 names the field.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from retell_voice.audio.format import MAX_RATE, MIN_RATE, AudioFormat, Encoding
from retell_voice.emulator.calls import RegisteredCall

MIN_SILENCE_MS = 10_000
"""Least ``end_call_after_silence_ms`` (Retell, "Register Call")."""


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """One HTTP response with a JSON body."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpError(Exception):
    """A request that is refused, with the status and the words for it."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.reply = error_reply(status, message, headers)


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error in the form of Retell's REST API."""
    body = {"status": "error", "message": message, "error_message": message}
    return Reply(status, body, headers or {})


class Rest:
    """Answers REST requests.

    Args:
        register: keeps a new call; False when there are too many.
        find: looks a call up by its call_id.
        api_key: the only key accepted; None: any that is not empty.
        prefix: path before every route, for example ``/retell``; empty for none.
    """

    def __init__(
        self,
        register: Callable[[RegisteredCall], bool],
        find: Callable[[str], RegisteredCall | None],
        *,
        api_key: str | None = None,
        prefix: str = "",
    ) -> None:
        self._register = register
        self._find = find
        self._api_key = api_key
        self._prefix = prefix

    def respond(self, request: Request) -> Reply:
        """Answer one request; never raises for anything a client can send."""
        try:
            return self._route(request)
        except HttpError as error:
            return error.reply

    def _route(self, request: Request) -> Reply:
        match self.segments(request.target):
            case ["register-call"]:
                self._admit(request, "POST")
                return self._register_call(request.body)
            case ["get-call", call_id] | ["v2", "get-call", call_id]:
                self._admit(request, "GET")
                return self._get_call(call_id)
            case ["audio-websocket", _]:
                raise HttpError(
                    426, "the Audio WebSocket takes WebSocket connections", Upgrade="websocket"
                )
            case _:
                raise HttpError(404, "there is nothing at this path")

    def segments(self, target: str) -> list[str]:
        """Return the decoded parts of a request target's path below the prefix; [] if not."""
        try:
            path = urlsplit(target).path
        except ValueError:
            return []
        if not path.startswith(f"{self._prefix}/"):
            return []
        return [unquote(part) for part in path[len(self._prefix) + 1 :].split("/")]

    def _admit(self, request: Request, method: str) -> None:
        if request.method != method:
            raise HttpError(405, f"this path takes {method}, not {request.method}", Allow=method)
        scheme, _, key = request.headers.get("authorization", "").strip().partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise HttpError(401, "the Authorization header must be 'Bearer YOUR_API_KEY'")
        wanted = self._api_key
        if wanted is not None and not hmac.compare_digest(key.encode(), wanted.encode()):
            raise HttpError(401, "this API key is not known")

    def _register_call(self, body: bytes) -> Reply:
        call = parse_registration(body)
        if not self._register(call):
            raise HttpError(429, "too many calls are registered or ongoing")
        return Reply(201, call.registration())

    def _get_call(self, call_id: str) -> Reply:
        call = self._find(call_id)
        if call is None:
            raise HttpError(404, "there is no call of this call_id")
        return Reply(200, call.details())


def parse_registration(body: bytes) -> RegisteredCall:
    """Read the body of ``POST /register-call``; fields it does not know are ignored.

    Raises:
        HttpError: 400 when it is not a JSON object, 422 naming the field that is wrong.
    """
    try:
        fields = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise HttpError(400, "the body is not a JSON object")
    read = _Fields(fields)
    protocol = read.choice("audio_websocket_protocol", ("web", "twilio"), required=True)
    encoding = read.choice("audio_encoding", tuple(map(str, Encoding)), required=True)
    rate = read.integer("sample_rate", MIN_RATE, MAX_RATE, required=True)
    if protocol == "twilio" and encoding == "mulaw" and rate != 8000:
        _wrong("sample_rate", "must be 8000 for twilio and mulaw")
    return RegisteredCall(
        agent_id=read.string("agent_id", required=True) or _wrong("agent_id", "must not be empty"),
        protocol=protocol,
        audio=AudioFormat(Encoding(encoding), rate),
        end_call_after_silence_ms=read.integer("end_call_after_silence_ms", MIN_SILENCE_MS),
        from_number=read.string("from_number"),
        to_number=read.string("to_number"),
        direction=read.choice("direction", ("inbound", "outbound")),
        metadata=read.object("metadata"),
        dynamic_variables=read.strings("retell_llm_dynamic_variables"),
        drop_call_if_machine_detected=read.boolean("drop_call_if_machine_detected"),
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _wrong(name: str, what: str) -> NoReturn:
    raise HttpError(422, f"{name} {what}")


class _Fields:
    """Reads the fields of a JSON object; null counts as absent."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def _get(self, name: str, kind: type, what: str, required: bool = False) -> Any:
        value = self._fields.get(name)
        if value is None:
            return _wrong(name, "is required") if required else None
        # bool is an int to Python and is not a number to JSON.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            _wrong(name, f"must be {what}")
        return value

    def string(self, name: str, required: bool = False) -> Any:
        return self._get(name, str, "a string", required)

    def boolean(self, name: str) -> bool:
        return bool(self._get(name, bool, "true or false"))

    def object(self, name: str) -> Any:
        return self._get(name, dict, "an object")

    def integer(
        self, name: str, least: int, most: int | None = None, required: bool = False
    ) -> Any:
        value = self._get(name, int, "a whole number", required)
        if value is not None and (value < least or (most is not None and value > most)):
            _wrong(name, f"must be {least}–{most}" if most else f"must be at least {least}")
        return value

    def choice(self, name: str, values: tuple[str, ...], required: bool = False) -> Any:
        value = self._get(name, str, "a string", required)
        if value is not None and value not in values:
            _wrong(name, f"must be one of {', '.join(values)}")
        return value

    def strings(self, name: str) -> Any:
        value = self.object(name)
        if value is not None and not all(isinstance(each, str) for each in value.values()):
            _wrong(name, "must be an object whose values are strings")
        return value
