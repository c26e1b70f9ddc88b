"""Exotel's Voicebot streams: both sides.

::

    Exotel → server   connected · start · media… · dtmf · mark · stop     JSON in text
    server → Exotel   media · mark · clear                                JSON in text

Twilio's shapes in snake case; audio is raw 16-bit little-endian PCM in base64, at 8, 16 or 24 kHz,
and comes every 100 ms. What a server sends must be 3.2 to 100 kB long and a multiple of 320 bytes.
All numbers are strings. A query in the URL is allowed.

Source: Exotel's page on the WebSocket protocol of its Voicebot applet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from retell_voice.errors import ConfigError, show
from retell_voice.events import Event
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.lenient import to_json
from retell_voice.protocol.phone import Caller, Shape, object_of, text_of, texts_of
from retell_voice.protocol.stream_server import MarkingServer
from retell_voice.protocol.streams import StreamProvider, Verb

FRAME_MS = 100
LINEAR = Codec("L16", 8000)
_STEP, _SHORTEST, _LONGEST = 320, 3200, 100_000
_DIGIT_MS = "200"


class ExotelClient(StreamProvider):
    """Exotel's side.

    Args:
        caller: who calls.
        codec: of both directions, 16-bit PCM.
        strict: tell what Exotel does not take, and ignore what it cannot use.
    """

    provider = "Exotel"
    verbs: ClassVar[Mapping[str, Verb]] = {"media": "audio", "mark": "mark", "clear": "clear"}
    shapes: ClassVar[Mapping[str, Shape]] = {
        "media": {
            "media": {"payload": str, "chunk?": (str, int), "timestamp?": (str, int)},
            "sequence_number?": (str, int),
        },
        "mark": {"mark": {"name": str}, "sequence_number?": (str, int)},
        "clear": {"sequence_number?": (str, int)},
    }
    stream_field = "stream_sid"
    needs_stream = True
    queue_limit = math.inf

    def __init__(self, caller: Caller, *, codec: Codec = LINEAR, strict: bool = True) -> None:
        super().__init__(caller, sends=codec, receives=codec, strict=strict)

    def opening(self) -> tuple[str, str]:
        """Return ``connected`` and ``start``."""
        caller = self.caller
        start = {
            "stream_sid": caller.stream,
            "call_sid": caller.call,
            "account_sid": caller.account,
            "from": caller.from_number or "",
            "to": caller.to_number or "",
            "custom_parameters": dict(caller.parameters),
            "media_format": {
                "encoding": "audio/x-raw",
                "sample_rate": str(self._sends.rate),
                "bit_rate": "16",
            },
        }
        return to_json({"event": "connected"}), self._numbered("start", start=start)

    def audio(self, frame: bytes, at: float = 0.0) -> str:
        """Encode a frame of the caller's audio."""
        media = {
            "chunk": str(self.next_chunk()),
            "timestamp": str(self.stamp(frame, at)),
            "payload": self.encoded(frame),
        }
        return self._numbered("media", media=media)

    def digit(self, digit: str, at: float = 0.0) -> str:  # noqa: ARG002 - it has no time
        """Encode a phone key."""
        return self._numbered("dtmf", dtmf={"digit": digit, "duration": _DIGIT_MS})

    def closing(self) -> tuple[str]:
        """Return ``stop``."""
        stop = {"call_sid": self.caller.call, "account_sid": self.caller.account}
        return (self._numbered("stop", stop={**stop, "reason": "callended"}),)

    def played(self, name: str) -> str:
        """Return a mark."""
        return self._numbered("mark", mark={"name": name})

    def check_audio(self, body: Mapping[str, Any], data: bytes) -> str:  # noqa: ARG002 - its length
        """Return what Exotel has against a piece of this length."""
        if _SHORTEST <= len(data) <= _LONGEST and len(data) % _STEP == 0:
            return ""
        return (
            f"a piece of audio that is not {_SHORTEST} to {_LONGEST} bytes long and a multiple of "
            f"{_STEP}: Exotel plays it with gaps, or not at all"
        )

    def _numbered(self, event: str, **more: Any) -> str:
        number, stream = str(self.next_number()), self.caller.stream
        return to_json({"event": event, "sequence_number": number, "stream_sid": stream, **more})


class ExotelServer(MarkingServer):
    """The server's side.

    Args:
        codec: of both directions, 16-bit PCM: the call's own audio.
    """

    stream_field = "stream_sid"

    def __init__(self, *, codec: Codec = LINEAR) -> None:
        super().__init__(sends=codec, is_mulaw=False, rate=codec.rate)
        bytes_a_frame = codec.rate * codec.width * FRAME_MS // 1000
        self.frame_ms = FRAME_MS * math.ceil(_SHORTEST / bytes_a_frame)

    def take(self, event: str, body: Mapping[str, Any], at: float) -> list[Event] | None:
        """Decode a message of this event."""
        match event:
            case "connected" | "stop":
                return []
            case "start":
                start = object_of(body, "start")
                return self.begun(_caller(body, start), _codec_of(start))
            case "media":
                return self.heard(text_of(object_of(body, "media"), "payload"), at)
            case "dtmf":
                return self.pressed(object_of(body, "dtmf"), at)
            case "mark":
                return self.marked(text_of(object_of(body, "mark"), "name"), at)
        return None


def _caller(body: Mapping[str, Any], start: Mapping[str, Any]) -> Caller:
    return Caller(
        account=str(start.get("account_sid") or ""),
        call=str(start.get("call_sid") or ""),
        stream=text_of(start if body.get("stream_sid") is None else body, "stream_sid"),
        from_number=str(start.get("from") or "") or None,
        to_number=str(start.get("to") or "") or None,
        parameters=texts_of(start.get("custom_parameters")),
    )


def _codec_of(start: Mapping[str, Any]) -> Codec:
    rate = str(object_of(start, "media_format").get("sample_rate"))[:6]
    if not (rate.isascii() and rate.isdecimal()):
        raise ValueError(f"media_format.sample_rate {show(rate)} is no rate")
    try:
        return Codec("L16", int(rate))
    except ConfigError as error:
        raise ValueError(str(error)) from None
