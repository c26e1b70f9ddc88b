"""Plivo's audio streams, as ``<Stream bidirectional="true">`` has them: both sides.

::

    Plivo → server   start · media… · dtmf · playedStream · clearedAudio     JSON in text
    server → Plivo   playAudio · checkpoint · clearAudio                     JSON in text

Numbers are numbers. There is no ``connected``, and no ``stop`` that can be relied on: the close is
the end. A checkpoint comes back as ``playedStream`` when all before it has been played; a clear is
answered with ``clearedAudio``, and the checkpoints in it are dropped. What whoever set the stream
up wants to be known is ``extra_headers``: ``name=value;name=value``. L16 is little-endian.

Source: Plivo's "Audio Streaming" as open serializers and their tests have it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from retell_voice.errors import ConfigError, show
from retell_voice.events import Event
from retell_voice.protocol.codecs import PCMU, Codec
from retell_voice.protocol.lenient import to_json
from retell_voice.protocol.phone import Caller, Shape, object_of, text_of
from retell_voice.protocol.stream_server import StreamServer
from retell_voice.protocol.streams import StreamProvider, Verb

_TYPES = {"PCMU": "audio/x-mulaw", "L16": "audio/x-l16"}
_NAMES = {kind: name for name, kind in _TYPES.items()}


class PlivoClient(StreamProvider):
    """Plivo's side.

    Args:
        caller: who calls; its numbers go with the parameters, which are the extra headers.
        codec: of both directions.
        strict: tell what Plivo does not take, and ignore it.
        epoch: Unix time at call time 0, seconds.
    """

    provider = "Plivo"
    verbs: ClassVar[Mapping[str, Verb]] = {
        "playAudio": "audio",
        "checkpoint": "mark",
        "clearAudio": "clear",
    }
    shapes: ClassVar[Mapping[str, Shape]] = {
        "playAudio": {"media": {"contentType": str, "sampleRate": int, "payload": str}},
        "checkpoint": {"name": str},
        "clearAudio": {},
    }
    stream_field = "streamId"
    queue_limit = math.inf
    cleared_marks = False

    def __init__(
        self, caller: Caller, *, codec: Codec = PCMU, strict: bool = True, epoch: float = 0.0
    ) -> None:
        super().__init__(caller, sends=codec, receives=codec, strict=strict)
        self._epoch = epoch
        self._extra = {"extra_headers": _joined(caller.all_parameters)}

    def opening(self) -> tuple[str]:
        """Return ``start``."""
        start = {
            "callId": self.caller.call,
            "streamId": self.caller.stream,
            "accountId": self.caller.account,
            "tracks": ["inbound"],
            "mediaFormat": {
                "encoding": _TYPES[self._sends.name],
                "sampleRate": self._sends.rate,
            },
        }
        number = self.next_number()
        return (
            to_json({"event": "start", "sequenceNumber": number, "start": start, **self._extra}),
        )

    def audio(self, frame: bytes, at: float = 0.0) -> str:
        """Encode a frame of the caller's audio."""
        media = {
            "track": "inbound",
            "timestamp": str(round(self._epoch * 1000) + self.stamp(frame, at)),
            "chunk": self.next_chunk(),
            "payload": self.encoded(frame),
        }
        return self._numbered("media", media=media, **self._extra)

    def digit(self, digit: str, at: float = 0.0) -> str:
        """Encode a phone key."""
        moment = str(round((self._epoch + at) * 1000))
        dtmf = {"track": "inbound", "digit": digit, "timestamp": moment}
        return self._numbered("dtmf", dtmf=dtmf, **self._extra)

    def closing(self) -> tuple[()]:
        """Nothing is said last that a server could rely on."""
        return ()

    def played(self, name: str) -> str:
        """Return that a checkpoint has been reached."""
        return self._numbered("playedStream", name=name)

    def cleared(self) -> tuple[str]:
        """Return the answer to a clear."""
        return (self._numbered("clearedAudio"),)

    def mark_of(self, body: Mapping[str, Any]) -> str:
        """Return the name of a checkpoint."""
        return str(body["name"])

    def check_audio(self, body: Mapping[str, Any], data: bytes) -> str:  # noqa: ARG002 - its type
        """Return whether the audio is said to be another than the stream's."""
        media, codec = body["media"], self._receives
        given = media["contentType"].partition(";")[0], media["sampleRate"]
        wanted = _TYPES[codec.name], codec.rate
        if given == wanted:
            return ""
        return f"audio that is {show(given)} in a stream of {wanted}: it is noise there"

    def _numbered(self, event: str, **more: Any) -> str:
        number, stream = self.next_number(), self.caller.stream
        return to_json({"event": event, "sequenceNumber": number, "streamId": stream, **more})


class PlivoServer(StreamServer):
    """The server's side.

    Args:
        codec: of both directions.
        is_mulaw: whether the call's own audio is µ-law, not 16-bit PCM.
    """

    def __init__(self, *, codec: Codec = PCMU, is_mulaw: bool = True) -> None:
        super().__init__(sends=codec, is_mulaw=is_mulaw, rate=codec.rate)

    def take(self, event: str, body: Mapping[str, Any], at: float) -> list[Event] | None:
        """Decode a message of this event."""
        match event:
            case "stop" | "clearedAudio":
                return []
            case "start":
                start = object_of(body, "start")
                return self.begun(_caller(body, start), _codec_of(start))
            case "media":
                media = object_of(body, "media")
                is_own = media.get("track") == "outbound"
                return [] if is_own else self.heard(text_of(media, "payload"), at)
            case "dtmf":
                return self.pressed(object_of(body, "dtmf"), at)
            case "playedStream":
                return self.marked(text_of(body, "name"), at)
        return None

    def audio(self, data: bytes, text: str = "") -> str:  # noqa: ARG002 - no text is carried
        """Encode agent audio."""
        kind, rate = _TYPES[self._sends.name], self._sends.rate
        media = {"contentType": kind, "sampleRate": rate, "payload": self.payload(data)}
        return self.said("playAudio", media=media)

    def clear(self) -> str:
        """Encode: drop what has not been heard, and the checkpoints in it."""
        return self.said("clearAudio", streamId=self._stream)

    def mark(self, name: str) -> str:
        """Encode: tell me when all before this has been heard."""
        return self.said("checkpoint", streamId=self._stream, name=name)

    @property
    def _stream(self) -> str:
        return "" if self.caller is None else self.caller.stream


def _joined(parameters: Mapping[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parameters.items())


def _parted(text: object) -> dict[str, str]:
    if not isinstance(text, str):
        return {}
    pairs = (each.partition("=") for each in text.strip("{}").split(";"))
    return {name.strip(): value.strip() for name, mark, value in pairs if mark}


def _caller(body: Mapping[str, Any], start: Mapping[str, Any]) -> Caller:
    return Caller(
        account=str(start.get("accountId") or ""),
        call=str(start.get("callId") or ""),
        stream=text_of(start, "streamId"),
        parameters=_parted(body.get("extra_headers")),
    )


def _codec_of(start: Mapping[str, Any]) -> Codec:
    form = object_of(start, "mediaFormat")
    kind, rate = text_of(form, "encoding"), form.get("sampleRate")
    if kind not in _NAMES or type(rate) is not int:
        raise ValueError(f"audio in {show(kind)} at {show(rate)} Hz cannot be read here")
    try:
        return Codec(_NAMES[kind], rate)  # type: ignore[arg-type]  # it is one of the names
    except ConfigError as error:
        raise ValueError(str(error)) from None
