"""Vonage's Voice API over a WebSocket: both sides.

::

    Vonage → server   websocket:connected · binary… · websocket:dtmf · :cleared · :notify
    server → Vonage   binary… · {"action": "clear"} · {"action": "notify", "payload": …}

Audio is binary: 16-bit little-endian PCM, mono, exactly 20 ms a message, at 8, 16 or 24 kHz.
``connected`` holds the content type and, at the top level, the ``headers`` of the NCCO; it says
nothing of the call unless they do. A notify comes back when all audio before it has been played.
``clear`` drops the audio and is answered; what becomes of a notify in it is not documented: it is
dropped here. There is no ``stop``: either side closes.

Source: Vonage's guide "WebSockets" (2021, and as projects of 2026 quote it).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from retell_voice.errors import show
from retell_voice.events import Event, MalformedMessage, Role, UnknownMessage, Utterance
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.lenient import tidy, to_json
from retell_voice.protocol.messages import (
    AgentAudio,
    Clear,
    Digit,
    Marked,
    MicrophoneAudio,
    Reply,
)
from retell_voice.protocol.phone import (
    KEPT,
    MOST_MARKS,
    Caller,
    Complaints,
    Queue,
    excerpt,
    load_object,
    text_of,
    texts_of,
)
from retell_voice.protocol.whole_samples import WholeSamples

FRAME_MS = 20
LINEAR = Codec("L16", 16_000)
QUEUE = 3072 * FRAME_MS / 1000
"""Seconds of audio that Vonage holds: 3072 messages; 1024 by its older documents."""
LONGEST_HEADERS = 512
"""Bytes of the headers as JSON."""
_DIGIT_MS = 260
_OWN = ("event", "content-type")


def signed_token(secret: str, *, now: float, jti: str) -> str:
    """Return the JWT with which Vonage shows who it is, signed with the account's signature secret.

    Args:
        secret: that secret.
        now: Unix time, seconds.
        jti: another for each call.

    Raises:
        ImportError: there is no PyJWT.
    """
    import jwt  # noqa: PLC0415 - an extra, for this only

    claims = {"iss": "Vonage", "iat": int(now), "jti": jti}
    with warnings.catch_warnings():  # of a secret shorter than JWT recommends: it is Vonage's
        warnings.simplefilter("ignore")
        return jwt.encode(claims, str(secret), algorithm="HS256")


def wrong_token(token: str, secret: str) -> str:
    """Return what is wrong with a JWT, for people; empty: nothing.

    Raises:
        ImportError: there is no PyJWT.
    """
    import jwt  # noqa: PLC0415 - as above

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            jwt.decode(token, str(secret), algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        return str(error)
    return ""


class VonageClient:
    """Vonage's side.

    Args:
        caller: who calls; its numbers go with the parameters, which are the NCCO's headers.
        codec: of both directions, 16-bit PCM.
        strict: tell what Vonage does not take.
    """

    def __init__(self, caller: Caller, *, codec: Codec = LINEAR, strict: bool = True) -> None:
        self.caller = caller
        self._codec = codec
        self._frame = codec.rate * codec.width * FRAME_MS // 1000
        self._samples = WholeSamples(codec.width)
        self._queue = Queue(QUEUE)
        self._complaints = Complaints("Vonage", strict=strict)

    def opening(self) -> tuple[str]:
        """Return ``websocket:connected``."""
        headers = self.caller.all_parameters
        own = {"event": "websocket:connected", "content-type": f"audio/l16;rate={self._codec.rate}"}
        return (to_json({**headers, **own}),)

    def audio(self, frame: bytes, at: float = 0.0) -> bytes:  # noqa: ARG002 - no times on the wire
        """Encode a frame of the caller's audio."""
        return self._codec.encode(frame)

    def digit(self, digit: str, at: float = 0.0) -> str:  # noqa: ARG002 - as above
        """Encode a phone key."""
        return to_json({"event": "websocket:dtmf", "digit": digit, "duration": _DIGIT_MS})

    def heard(self, cue: object) -> str | None:
        """Return what is said when all before a notify has been heard."""
        held = self._queue.heard(cue)
        return None if held is None else to_json({"event": "websocket:notify", "payload": held[0]})

    def ping(self) -> None:
        """There is no heartbeat but WebSocket's own."""

    def closing(self) -> tuple[()]:
        """Nothing is said last."""
        return ()

    def left(self, at: float = 0.0) -> list[Event]:  # noqa: ARG002 - nothing to stamp
        """Nothing is told last."""
        return []

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        """Decode one message of the server."""
        if isinstance(message, bytes):
            return self._audio(message, at)
        try:
            body = load_object(message)
            payload = tidy(body.get("payload"))
        except ValueError as error:
            return self._complaints.refuse("", str(error), message, at)
        match body.get("action"):
            case "clear":
                self._samples.reset()
                self._queue.clear()
                said = to_json({"event": "websocket:cleared"})
                return [Clear(at=at), Reply(message=said, at=at)]
            case "notify" if isinstance(payload, dict):
                return self._notify(payload, message, at)
            case "notify":
                words = "notify: its payload is no object"
            case action if not self._complaints.strict:
                return [UnknownMessage(message=message[:KEPT], at=at)]
            case action:
                words = f"the action {show(action)} is none that Vonage takes (clear, notify)"
        return self._complaints.refuse("", words, message, at)

    def _audio(self, data: bytes, at: float) -> list[Event]:
        events: list[Event] = []
        if len(data) != self._frame:
            words = (
                f"a message of audio that is not {self._frame} bytes long, which is {FRAME_MS} ms "
                f"at {self._codec.rate} Hz, the only length that Vonage takes"
            )
            events += self._complaints.tell("", words, data, at)
        data = self._samples.feed(data)
        if self._complaints.strict:
            room = self._queue.add(self._codec.seconds(data), at)
            fits = round(room * self._codec.rate) * self._codec.width
            if fits < len(data):
                words = f"more than {QUEUE:.0f} s of audio wait to be played: the rest is dropped"
                events += self._complaints.tell("", words, data, at)
                data = data[:fits]
        if data:
            events.append(AgentAudio(data=self._codec.decode(data), at=at))
        return events

    def _notify(self, payload: Any, message: str, at: float) -> list[Event]:
        cue = self._queue.mark((payload,))
        if cue is None:
            words = f"more than {MOST_MARKS} notifies wait to be heard; this one is ignored"
            return [MalformedMessage(problem=words, excerpt=excerpt(message), at=at)]
        return [AgentAudio(data=b"", cue=cue, at=at)]


class VonageServer:
    """The server's side.

    Args:
        codec: of both directions, 16-bit PCM: the call's own audio.

    Attributes:
        caller: who calls, once that has been said; its parameters are the NCCO's headers.
    """

    frame_ms: int | None = FRAME_MS
    shortest_ms = FRAME_MS

    def __init__(self, *, codec: Codec = LINEAR) -> None:
        self.caller: Caller | None = None
        self._codec = codec
        self._samples = WholeSamples(codec.width)

    @property
    def is_ready(self) -> bool:
        """Whether the caller has said its content type."""
        return self.caller is not None

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        """Decode one message of Vonage's."""
        if isinstance(message, bytes):
            data = self._codec.decode(self._samples.feed(message))
            return [MicrophoneAudio(data=data, at=at)] if data else []
        try:
            events = self._text(load_object(message), at)
        except ValueError as error:
            return [MalformedMessage(problem=str(error), excerpt=excerpt(message), at=at)]
        return [UnknownMessage(message=message[:KEPT], at=at)] if events is None else events

    def _text(self, body: Mapping[str, Any], at: float) -> list[Event] | None:
        match body.get("event"):
            case "websocket:connected":
                wanted = f"audio/l16;rate={self._codec.rate}"
                if (given := text_of(body, "content-type").replace(" ", "")) != wanted:
                    raise ValueError(f"audio is {show(given)}, and the call's is {wanted}")
                headers = {name: each for name, each in body.items() if name not in _OWN}
                self.caller = Caller(parameters=texts_of(headers))
                return []
            case "websocket:dtmf":
                inner = body.get("dtmf")
                digit = text_of(inner if isinstance(inner, dict) else body, "digit")
                return [Digit(digit=digit[:KEPT], at=at)]
            case "websocket:notify":
                payload = body.get("payload")
                name = payload.get("mark") if isinstance(payload, dict) else None
                return [Marked(name=name[:KEPT], at=at)] if isinstance(name, str) else []
            case "websocket:cleared":
                return []
        return None

    def audio(self, data: bytes, text: str = "") -> bytes:  # noqa: ARG002 - no text is carried
        """Encode agent audio; a message must be 20 ms long."""
        return self._codec.encode(data)

    def clear(self) -> str:
        """Encode: drop what has not been heard."""
        return to_json({"action": "clear"})

    def mark(self, name: str) -> str:
        """Encode: send this back when all before it has been heard; not after a clear."""
        return to_json({"action": "notify", "payload": {"mark": name}})

    def pong(self) -> None:
        """There is no heartbeat to answer."""

    def update(self, transcript: tuple[Utterance, ...], turn: Role | None = None) -> None:
        """A transcript is not carried."""

    def metadata(self, metadata: Any) -> None:
        """Metadata is not carried."""
