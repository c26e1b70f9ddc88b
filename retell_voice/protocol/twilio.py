"""Twilio's Media Streams, as ``<Connect><Stream>`` has them: both sides.

::

    Twilio → server   connected · start · media… · dtmf · mark · stop     JSON in text
    server → Twilio   media · mark · clear                                JSON in text

Audio is µ-law at 8 kHz, mono, base64. All numbers in messages are strings but those of the media
format. A mark comes back when all audio before it has been played, at once where nothing waits;
``clear`` drops the audio and sends back all marks in it. Twilio ends a stream with ``stop`` and by
closing; a server ends it by closing, and Twilio goes on with what follows in its TwiML.

Source: Twilio's "Media Streams: WebSocket Messages", ``<Stream>``, and the pages of its errors
31901–31951.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from hashlib import sha1
from typing import Any, ClassVar

from retell_voice.events import Event
from retell_voice.protocol.codecs import PCMU
from retell_voice.protocol.lenient import to_json
from retell_voice.protocol.phone import Caller, Shape, object_of, text_of, texts_of
from retell_voice.protocol.stream_server import MarkingServer
from retell_voice.protocol.streams import Problem, StreamProvider, Verb

SIGNATURE = "X-Twilio-Signature"
"""Header of the request that opens the WebSocket."""
LONGEST_PARAMETER = 500
"""Characters of a parameter's name and value together that Twilio takes."""


def signature(auth_token: str, url: str) -> str:
    """Return what Twilio signs a WebSocket's URL with: as written in the TwiML, no parameters."""
    digest = hmac.new(auth_token.encode(), url.encode(), sha1).digest()
    return base64.b64encode(digest).decode("ascii")


def is_signed(given: str, auth_token: str, url: str) -> bool:
    """Return whether a signature is Twilio's for this URL."""
    wanted = signature(auth_token, url)
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


class TwilioClient(StreamProvider):
    """Twilio's side.

    Args:
        caller: who calls; its numbers go with the parameters, as Twilio itself tells none.
        strict: tell what Twilio's debugger would show, and ignore what Twilio ignores.
    """

    provider = "Twilio"
    verbs: ClassVar[Mapping[str, Verb]] = {"media": "audio", "mark": "mark", "clear": "clear"}
    shapes: ClassVar[Mapping[str, Shape]] = {
        "media": {"media": {"payload": str}},
        "mark": {"mark": {"name": str}},
        "clear": {},
    }
    stream_field = "streamSid"
    needs_stream = True
    codes: ClassVar[Mapping[Problem, str]] = {
        "binary": "31950",
        "json": "31951",
        "event": "31951",
        "fields": "31951",
        "stream": "31951",
        "payload": "31951",
        "full": "31931",
    }
    queue_limit = 600.0

    def __init__(self, caller: Caller, *, strict: bool = True) -> None:
        super().__init__(caller, sends=PCMU, receives=PCMU, strict=strict)

    def opening(self) -> tuple[str, str]:
        """Return ``connected`` and ``start``."""
        caller = self.caller
        start = {
            "accountSid": caller.account,
            "streamSid": caller.stream,
            "callSid": caller.call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": caller.all_parameters,
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return to_json(connected), self._numbered("start", start=start)

    def audio(self, frame: bytes, at: float = 0.0) -> str:
        """Encode a frame of the caller's audio."""
        media = {
            "track": "inbound",
            "chunk": str(self.next_chunk()),
            "timestamp": str(self.stamp(frame, at)),
            "payload": self.encoded(frame),
        }
        return self._numbered("media", media=media)

    def digit(self, digit: str, at: float = 0.0) -> str:  # noqa: ARG002 - it has no time
        """Encode a phone key."""
        return self._numbered("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def closing(self) -> tuple[str]:
        """Return ``stop``."""
        stop = {"accountSid": self.caller.account, "callSid": self.caller.call}
        return (self._numbered("stop", stop=stop),)

    def played(self, name: str) -> str:
        """Return a mark."""
        return self._numbered("mark", mark={"name": name})

    def _numbered(self, event: str, **more: Any) -> str:
        number = str(self.next_number())
        head = {"event": event, "sequenceNumber": number, "streamSid": self.caller.stream}
        return to_json({**head, **more})


class TwilioServer(MarkingServer):
    """The server's side.

    Args:
        is_mulaw: whether the call's own audio is µ-law, not 16-bit PCM; 8 kHz either way.
    """

    stream_field = "streamSid"

    def __init__(self, *, is_mulaw: bool = True) -> None:
        super().__init__(sends=PCMU, is_mulaw=is_mulaw, rate=8000)

    def take(self, event: str, body: Mapping[str, Any], at: float) -> list[Event] | None:
        """Decode a message of this event."""
        match event:
            case "connected" | "stop":
                return []
            case "start":
                return self.begun(_caller(body), PCMU)
            case "media":
                media = object_of(body, "media")
                is_own = media.get("track") == "outbound"
                return [] if is_own else self.heard(text_of(media, "payload"), at)
            case "dtmf":
                return self.pressed(object_of(body, "dtmf"), at)
            case "mark":
                return self.marked(text_of(object_of(body, "mark"), "name"), at)
        return None


def _caller(body: Mapping[str, Any]) -> Caller:
    start = object_of(body, "start")
    return Caller(
        account=str(start.get("accountSid") or ""),
        call=str(start.get("callSid") or ""),
        stream=text_of(start if body.get("streamSid") is None else body, "streamSid"),
        parameters=texts_of(start.get("customParameters")),
    )
