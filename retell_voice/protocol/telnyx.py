"""Telnyx' media streaming over WebSockets, bidirectional in RTP mode: both sides.

::

    Telnyx → server   connected · start · media… · dtmf · mark · error · stop     JSON in text
    server → Telnyx   media · mark · clear                                        JSON in text

As Twilio's, but for these: names are in snake case; the stream's id stands at the top level, and a
server need not say it; the two directions have codecs of their own, and only that of the call is
told (``media_format``); a server is told of its errors on the WebSocket itself; messages may arrive
out of order, and ``chunk`` says in which they belong; closing the WebSocket does not end the call.

The payload is that of an RTP packet without its header. In which order the two bytes of an L16
sample go, sources disagree: little-endian here, ``L16BE`` for the other.

Source: Telnyx' guide "Media Streaming over Websockets" and its AsyncAPI page.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from retell_voice.errors import ConfigError, show
from retell_voice.events import Event
from retell_voice.protocol.codecs import PCMU, Codec
from retell_voice.protocol.lenient import to_json
from retell_voice.protocol.phone import Caller, Shape, object_of, text_of, texts_of
from retell_voice.protocol.stream_server import StreamServer
from retell_voice.protocol.streams import Problem, StreamProvider, Verb

TOKEN = "x-telnyx-streaming-auth-token"  # noqa: S105 - a name
"""Header of the request that opens the WebSocket, and a field of ``connected``."""
RATES = (8000, 16_000, 22_050, 24_000, 48_000)
"""Samples a second of L16: those of Telnyx' SDK; its guide has 16 kHz alone."""
UNSPOKEN = ("G722", "OPUS", "AMR-WB")
"""Codecs of Telnyx' that are not spoken here: compressed across samples, and no source tells how
their frames go into messages."""
_SHORTEST, _LONGEST = 0.02, 30.0
_ERRORS: Mapping[Problem, tuple[int, str]] = {
    "payload": (100004, "invalid_media"),
    "binary": (100003, "malformed_frame"),
    "json": (100003, "malformed_frame"),
    "fields": (100003, "malformed_frame"),
    "event": (100002, "unknown_error"),
}
_WAITING = 5  # messages that may come before one that belongs in front of them


def is_token(given: str, wanted: str) -> bool:
    """Return whether a token is the right one."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


class TelnyxClient(StreamProvider):
    """Telnyx' side.

    Args:
        caller: who calls; ``account`` is Telnyx' user, ``call`` its call control id.
        session: Telnyx' id of the call session.
        sends, receives: codecs of the two directions.
        strict: tell what Telnyx complains of, and ignore what it ignores.
        auth_token: told in ``connected``, as it is in the header ``TOKEN``; None: neither.
        epoch: Unix time at call time 0, seconds.
    """

    provider = "Telnyx"
    verbs: ClassVar[Mapping[str, Verb]] = {"media": "audio", "mark": "mark", "clear": "clear"}
    shapes: ClassVar[Mapping[str, Shape]] = {
        "media": {"media": {"payload": str}, "stream_id?": str},
        "mark": {"mark": {"name": str}, "stream_id?": str},
        "clear": {"stream_id?": str},
    }
    codes: ClassVar[Mapping[Problem, str]] = {
        problem: str(code) for problem, (code, _) in _ERRORS.items()
    }
    queue_limit = math.inf
    after_closing = (
        "the server has closed the WebSocket, which does not end a call: the caller would hear "
        "silence until POST /v2/calls/{call_control_id}/actions/hangup; here the call ends"
    )

    def __init__(
        self,
        caller: Caller,
        *,
        session: str = "",
        sends: Codec = PCMU,
        receives: Codec = PCMU,
        strict: bool = True,
        auth_token: str | None = None,
        epoch: float = 0.0,
    ) -> None:
        super().__init__(caller, sends=sends, receives=receives, strict=strict)
        self._session = session
        self._auth_token = auth_token
        self._epoch = epoch

    def opening(self) -> tuple[str, str]:
        """Return ``connected`` and ``start``."""
        caller, connected = self.caller, {"event": "connected", "version": "1.0.0"}
        token = {} if self._auth_token is None else {"connected": {TOKEN: self._auth_token}}
        start = {
            "user_id": caller.account,
            "call_control_id": caller.call,
            "call_session_id": self._session,
            "from": caller.from_number or "",
            "to": caller.to_number or "",
            "tags": [],
            "client_state": "",
            "custom_parameters": dict(caller.parameters),
            "media_format": {
                "encoding": self._sends.name.removesuffix("BE"),
                "sample_rate": self._sends.rate,
                "channels": 1,
            },
        }
        return to_json({**connected, **token}), self._numbered("start", start=start)

    def audio(self, frame: bytes, at: float = 0.0) -> str:
        """Encode a frame of the caller's audio."""
        media = {
            "track": "inbound",
            "chunk": str(self.next_chunk()),
            "timestamp": str(self.stamp(frame, at)),
            "payload": self.encoded(frame),
        }
        return self._numbered("media", media=media)

    def digit(self, digit: str, at: float = 0.0) -> str:
        """Encode a phone key."""
        moment = datetime.fromtimestamp(self._epoch + at, UTC)
        occurred = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return self._numbered("dtmf", occurred_at=occurred, dtmf={"digit": digit})

    def closing(self) -> tuple[str]:
        """Return ``stop``."""
        stop = {"user_id": self.caller.account, "call_control_id": self.caller.call}
        return (self._numbered("stop", stop=stop),)

    def played(self, name: str) -> str:
        """Return a mark."""
        return self._numbered("mark", mark={"name": name})

    def complained(self, problem: Problem, words: str) -> tuple[str, ...]:
        """Return the error that Telnyx sends."""
        code, title = _ERRORS.get(problem, _ERRORS["event"])
        payload = {"code": code, "title": title, "detail": words}
        stream = self.caller.stream
        return (to_json({"event": "error", "payload": payload, "stream_id": stream}),)

    def check_audio(self, body: Mapping[str, Any], data: bytes) -> str:  # noqa: ARG002 - its length
        """Return what Telnyx has against a piece of this length."""
        seconds = self._receives.seconds(data)
        if _SHORTEST <= seconds <= _LONGEST:
            return ""
        size = "shorter than 20 ms" if seconds < _SHORTEST else "longer than 30 s"
        return f"a piece of audio is {size}, which Telnyx does not take"

    def _numbered(self, event: str, **more: Any) -> str:
        number, stream = str(self.next_number()), self.caller.stream
        return to_json({"event": event, "sequence_number": number, **more, "stream_id": stream})


class TelnyxServer(StreamServer):
    """The server's side; puts audio in order by its ``chunk``.

    Args:
        sends: codec of the agent's voice, as it was asked for when the stream was set up.
        is_mulaw: whether the call's own audio is µ-law, not 16-bit PCM.
        big_endian: L16 of the caller is big-endian.
    """

    shortest_ms = round(1000 * _SHORTEST)

    def __init__(
        self, *, sends: Codec = PCMU, is_mulaw: bool = True, big_endian: bool = False
    ) -> None:
        super().__init__(sends=sends, is_mulaw=is_mulaw, rate=sends.rate)
        self._big_endian = big_endian
        self._next = 1
        self._early: dict[int, str] = {}

    def take(self, event: str, body: Mapping[str, Any], at: float) -> list[Event] | None:
        """Decode a message of this event."""
        match event:
            case "connected" | "stop" | "error":
                return []
            case "start":
                start = object_of(body, "start")
                return self.begun(_caller(body, start), self._codec_of(start))
            case "media":
                media = object_of(body, "media")
                return [] if media.get("track") == "outbound" else self._in_order(media, at)
            case "dtmf":
                return self.pressed(object_of(body, "dtmf"), at)
            case "mark":
                return self.marked(text_of(object_of(body, "mark"), "name"), at)
        return None

    def audio(self, data: bytes, text: str = "") -> str:  # noqa: ARG002 - no text is carried
        """Encode agent audio."""
        return self.said("media", media={"payload": self.payload(data)})

    def clear(self) -> str:
        """Encode: drop what has not been heard, and send back all marks."""
        return self.said("clear")

    def mark(self, name: str) -> str:
        """Encode: send this back when all before it has been heard."""
        return self.said("mark", mark={"name": name})

    def _codec_of(self, start: Mapping[str, Any]) -> Codec:
        form = object_of(start, "media_format")
        name, rate = text_of(form, "encoding"), form.get("sample_rate")
        name = "L16BE" if name == "L16" and self._big_endian else name
        if name not in ("PCMU", "PCMA", "L16", "L16BE") or type(rate) is not int:
            raise ValueError(
                f"audio in {show(name)} at {show(rate)} Hz cannot be read here, but PCMU, PCMA, L16"
            )
        try:
            return Codec(name, rate)  # type: ignore[arg-type]  # it is one of those
        except ConfigError as error:
            raise ValueError(str(error)) from None

    def _in_order(self, media: Mapping[str, Any], at: float) -> list[Event]:
        payload, chunk = text_of(media, "payload"), media.get("chunk")
        text = str(chunk)[:12]
        if type(chunk) not in (str, int) or not (text.isascii() and text.isdecimal()):
            return self.heard(payload, at)  # it does not say where it belongs
        number = int(text)
        if number < self._next:  # what came after it has been heard already
            return []
        self._early[number] = payload
        if len(self._early) > _WAITING:
            self._next = min(self._early)
        events: list[Event] = []
        while (due := self._early.pop(self._next, None)) is not None:
            self._next += 1
            events += self.heard(due, at)
        return events


def _caller(body: Mapping[str, Any], start: Mapping[str, Any]) -> Caller:
    return Caller(
        account=str(start.get("user_id") or ""),
        call=str(start.get("call_control_id") or ""),
        stream=str(body.get("stream_id") or ""),
        from_number=_number(start.get("from")),
        to_number=_number(start.get("to")),
        parameters=texts_of(start.get("custom_parameters")),
    )


def _number(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
