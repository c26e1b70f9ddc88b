"""What the voice server's sides of all phone dialects have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar

from retell_voice.events import Event, MalformedMessage, Role, UnknownMessage, Utterance
from retell_voice.protocol.codecs import Codec, transcode
from retell_voice.protocol.lenient import decode_base64, to_json
from retell_voice.protocol.messages import Digit, Marked, MicrophoneAudio
from retell_voice.protocol.phone import KEPT, Caller, excerpt, load_object, text_of
from retell_voice.protocol.whole_samples import WholeSamples


class StreamServer(ABC):
    """The voice server's side: what a provider says is read as far as it has a meaning.

    Args:
        sends: codec of what the agent says.
        is_mulaw: whether the call's own audio is µ-law, not 16-bit PCM.
        rate: of the call's own audio, Hz.

    Attributes:
        caller: who calls, once that has been said.
    """

    frame_ms: int | None = None
    shortest_ms = 0

    def __init__(self, *, sends: Codec, is_mulaw: bool, rate: int) -> None:
        self.caller: Caller | None = None
        self._sends = sends
        self._near = sends
        self._is_mulaw = is_mulaw
        self._rate = rate
        self._samples = WholeSamples(sends.width)
        self._is_rate_told = False

    @property
    def is_ready(self) -> bool:
        """Whether the stream has begun."""
        return self.caller is not None

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        """Decode one message of the provider."""
        try:
            body = load_object(message)
            event = body.get("event")
            events = self.take(event, body, at) if isinstance(event, str) else None
        except ValueError as error:
            return [MalformedMessage(problem=str(error), excerpt=excerpt(message), at=at)]
        return [UnknownMessage(message=str(message)[:KEPT], at=at)] if events is None else events

    @abstractmethod
    def take(self, event: str, body: Mapping[str, Any], at: float) -> list[Event] | None:
        """Decode a message of this event; None: it is not known.

        Raises:
            ValueError: a field is missing or of another type; says which.
        """

    def said(self, event: str, **more: Any) -> str:
        """Return a message of this event."""
        return to_json({"event": event, **more})

    def payload(self, data: bytes) -> str:
        """Return the agent's audio, as the call has it, in the codec and base64."""
        audio = self._sends.encode(
            transcode(data, is_mulaw=self._is_mulaw, to_mulaw=self._sends.is_mulaw)
        )
        return b64encode(audio).decode("ascii")

    def begun(self, caller: Caller, near: Codec) -> list[Event]:
        """Take the beginning of the stream; ``near`` is the codec of what the caller says."""
        self.caller = caller
        self._near = near
        self._samples = WholeSamples(near.width)
        return []

    def heard(self, payload: str, at: float) -> list[Event]:
        """Take audio of the caller.

        Raises:
            ValueError: it is no base64, or at another rate than the call; that is said once, and
                what follows is dropped.
        """
        if self._near.rate != self._rate:
            if self._is_rate_told:
                return []
            self._is_rate_told = True
            raise ValueError(f"audio at {self._near.rate} Hz in a call at {self._rate} Hz")
        data = self._near.decode(self._samples.feed(decode_base64(payload)))
        data = transcode(data, is_mulaw=self._near.is_mulaw, to_mulaw=self._is_mulaw)
        return [MicrophoneAudio(data=data, at=at)] if data else []

    def pressed(self, body: Mapping[str, Any], at: float) -> list[Event]:
        """Take a phone key: the field ``digit``.

        Raises:
            ValueError: it is missing or no text.
        """
        return [Digit(digit=text_of(body, "digit")[:KEPT], at=at)]

    def marked(self, name: str, at: float) -> list[Event]:
        """Take a mark that came back."""
        return [Marked(name=name[:KEPT], at=at)]

    def pong(self) -> None:  # noqa: B027 - most have none
        """There is no heartbeat to answer."""

    def update(self, transcript: tuple[Utterance, ...], turn: Role | None = None) -> None:  # noqa: B027 - most have none
        """A transcript is not carried."""

    def metadata(self, metadata: Any) -> None:  # noqa: B027 - most have none
        """Metadata is not carried."""


class MarkingServer(StreamServer):
    """One whose messages name the stream, and whose clear and mark do no more than that."""

    stream_field: ClassVar[str]
    """Field that names the stream."""

    def audio(self, data: bytes, text: str = "") -> str:  # noqa: ARG002 - no text is carried
        """Encode agent audio."""
        return self._on_stream("media", media={"payload": self.payload(data)})

    def clear(self) -> str:
        """Encode: drop what has not been heard, and send back all marks."""
        return self._on_stream("clear")

    def mark(self, name: str) -> str:
        """Encode: send this back when all before it has been heard."""
        return self._on_stream("mark", mark={"name": name})

    def _on_stream(self, event: str, **more: Any) -> str:
        stream = "" if self.caller is None else self.caller.stream
        return self.said(event, **{self.stream_field: stream}, **more)
