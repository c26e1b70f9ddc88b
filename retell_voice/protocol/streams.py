"""Both sides of a phone provider's dialect in JSON, but for its words, which are in a file each.

::

    the provider                                  the voice server
    opening: who calls, and in which codec ─────▶ is_ready, caller
    audio ──────────────────────────────────────▶ MicrophoneAudio
    digit ──────────────────────────────────────▶ Digit
    AgentAudio ◀───────────────────────────────── audio
    heard: once it was, or at once if all was ──▶ Marked
    Clear ◀────────────────────────────────────── clear
       └─ what the provider answers ────────────▶ Marked, or nothing

The provider's side is strict if wanted: it tells what the provider would complain of and does what
the provider would do, which is to ignore most of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from retell_voice.errors import show
from retell_voice.events import Event, MalformedMessage, UnknownMessage
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.lenient import decode_base64
from retell_voice.protocol.messages import (
    AgentAudio,
    Clear,
    Reply,
)
from retell_voice.protocol.phone import (
    KEPT,
    MOST_MARKS,
    Caller,
    Complaints,
    MediaClock,
    Queue,
    Shape,
    excerpt,
    extra_fields,
    load_object,
    wrong_fields,
)
from retell_voice.protocol.whole_samples import WholeSamples

Problem = Literal["binary", "json", "event", "fields", "stream", "payload", "full"]
Verb = Literal["audio", "mark", "clear"]


class StreamProvider(ABC):
    """The provider's side.

    Args:
        caller: who calls.
        sends: codec of what the caller says.
        receives: codec of what the agent says.
        strict: tell what the provider would complain of, and do as it does.
    """

    provider: ClassVar[str]
    verbs: ClassVar[Mapping[str, Verb]]
    """What a server may say, by the name of its event."""
    shapes: ClassVar[Mapping[str, Shape]]
    """Fields of each, beside the event's name and the stream's."""
    stream_field: ClassVar[str] = ""
    """Field that names the stream; empty: there is none."""
    needs_stream: ClassVar[bool] = False
    codes: ClassVar[Mapping[Problem, str]] = {}
    queue_limit: ClassVar[float]
    """Seconds of agent audio that the provider holds; over it, the rest is dropped."""
    after_closing: ClassVar[str] = ""
    """What a server should know that has closed; empty: nothing."""
    cleared_marks: ClassVar[bool] = True
    """Whether marks that a clear drops come back."""

    def __init__(self, caller: Caller, *, sends: Codec, receives: Codec, strict: bool) -> None:
        self.caller = caller
        self._sends = sends
        self._receives = receives
        self._samples = WholeSamples(receives.width)
        self._queue = Queue(self.queue_limit)
        self._clock = MediaClock()
        self._complaints = Complaints(self.provider, strict=strict)
        self._chunks = 0
        self._said = 0

    # What each provider says in its own words

    @abstractmethod
    def opening(self) -> Sequence[str]:
        """Return what begins the stream."""

    @abstractmethod
    def audio(self, frame: bytes, at: float = 0.0) -> str:
        """Encode one frame of the caller's audio."""

    @abstractmethod
    def digit(self, digit: str, at: float = 0.0) -> str:
        """Encode a phone key."""

    @abstractmethod
    def closing(self) -> Sequence[str]:
        """Return what ends the stream."""

    @abstractmethod
    def played(self, name: str) -> str:
        """Return what tells that a mark has been heard, or came back from a clear."""

    def cleared(self) -> Sequence[str]:
        """Return what answers a clear, before the marks if they come back."""
        return ()

    def complained(self, problem: Problem, words: str) -> Sequence[str]:  # noqa: ARG002 - for some
        """Return what the provider tells the server of a message that it ignores."""
        return ()

    # What they have in common

    def heard(self, cue: object) -> str | None:
        """Return what is said when a mark has been heard."""
        name = self._queue.heard(cue)
        return None if name is None else self.played(name)

    def ping(self) -> None:  # noqa: B027 - most have none
        """There is no heartbeat but WebSocket's own."""

    def left(self, at: float = 0.0) -> list[Event]:
        """Return what there is to tell once the server has closed."""
        return self._complaints.tell("", self.after_closing, at=at) if self.after_closing else []

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:  # noqa: PLR0911
        """Decode one message of the server."""
        if isinstance(message, bytes):
            words = f"a binary message: {self.provider} takes text only"
            return self._refuse("binary", words, message, at)
        try:
            body = load_object(message)
        except ValueError as error:
            return self._refuse("json", str(error), message, at)
        event = body.pop("event", None)
        verb = self.verbs.get(event) if isinstance(event, str) else None
        if verb is None or not isinstance(event, str):
            return self._unknown(event, message, at)
        stream = body.pop(self.stream_field, None)
        if wrong := wrong_fields(body, self.shapes[event]):
            return self._refuse("fields", f"{event}: {'; '.join(wrong)}", message, at)
        if self._complaints.strict and (words := self._wrong_stream(stream)):
            return self._refuse("stream", f"{event}: {words}", message, at)
        events: list[Event] = []
        if extra := extra_fields(body, self.shapes[event]):
            words = f"{event}: {', '.join(map(clipped, extra))} is more than {self.provider} knows"
            events += self._complaints.tell(self.codes.get("fields", ""), words, message, at)
        match verb:
            case "audio":
                return events + self._audio(body, message, at)
            case "mark":
                return events + self._mark(self.mark_of(body), message, at)
        return events + self._clear(at)

    def payload_of(self, body: Mapping[str, Any]) -> str:
        """Return the base64 of a message of audio, which has the right shape."""
        return str(body["media"]["payload"])

    def mark_of(self, body: Mapping[str, Any]) -> str:
        """Return the name of a mark, whose message has the right shape."""
        return str(body["mark"]["name"])

    def check_audio(self, body: Mapping[str, Any], data: bytes) -> str:  # noqa: ARG002 - for some
        """Return what else the provider has against a message of audio; empty: nothing."""
        return ""

    def _audio(self, body: Mapping[str, Any], message: str, at: float) -> list[Event]:
        try:
            data = decode_base64(self.payload_of(body))
        except ValueError as error:
            return self._refuse("payload", str(error), message, at)
        events: list[Event] = []
        if words := self.check_audio(body, data):
            events += self._complaints.tell(self.codes.get("fields", ""), words, message, at)
        if data.startswith(b"RIFF"):
            words = "the audio begins with the header of a WAV file, which is heard as a click"
            events += self._complaints.tell(self.codes.get("payload", ""), words, message, at)
        data = self._samples.feed(data)
        if self._complaints.strict:
            room = self._queue.add(self._receives.seconds(data), at)
            fits = round(room * self._receives.rate) * self._receives.width
            if fits < len(data):
                words = (
                    f"more than {self._queue.limit:g} s of audio wait to be played: "
                    f"{self.provider} drops the rest"
                )
                events += self._complaints.tell(self.codes.get("full", ""), words, message, at)
                data = data[:fits]
        if data:
            events.append(AgentAudio(data=self._receives.decode(data), at=at))
        return events

    def _mark(self, name: str, message: str, at: float) -> list[Event]:
        cue = self._queue.mark(name)
        if cue is None:
            words = f"more than {MOST_MARKS} marks wait to be heard; this one is ignored"
            return [MalformedMessage(problem=words, excerpt=excerpt(message), at=at)]
        return [AgentAudio(data=b"", cue=cue, at=at)]

    def _clear(self, at: float) -> list[Event]:
        self._samples.reset()
        names = self._queue.clear()
        said = [*self.cleared(), *(map(self.played, names) if self.cleared_marks else ())]
        return [Clear(at=at), *(Reply(message=each, at=at) for each in said)]

    def _wrong_stream(self, stream: object) -> str:
        if not self.stream_field or (stream is None and not self.needs_stream):
            return ""
        if stream is None:
            return f"{self.stream_field} is missing"
        if stream != self.caller.stream:
            return f"{self.stream_field} {show(stream)} is not that of this stream"
        return ""

    def _unknown(self, event: object, message: str, at: float) -> list[Event]:
        if not self._complaints.strict:
            return [UnknownMessage(message=message[:KEPT], at=at)]
        known = ", ".join(self.verbs)
        words = f"the event {show(event)} is none that {self.provider} takes ({known})"
        return self._refuse("event", words, message, at)

    def _refuse(self, problem: Problem, words: str, message: str | bytes, at: float) -> list[Event]:
        told = self._complaints.refuse(self.codes.get(problem, ""), words, message, at)
        said = self.complained(problem, words) if self._complaints.strict else ()
        return [*told, *(Reply(message=each, at=at) for each in said)]

    def next_number(self) -> int:
        """Return the number of the next message, from 1."""
        self._said += 1
        return self._said

    def next_chunk(self) -> int:
        """Return the number of the next frame, from 1."""
        self._chunks += 1
        return self._chunks

    def stamp(self, frame: bytes, at: float) -> int:
        """Return when a frame of a call's audio begins, ms from the beginning of the stream."""
        width = 1 if self._sends.is_mulaw else 2
        return self._clock.stamp(len(frame) / width / self._sends.rate, at)

    def encoded(self, frame: bytes) -> str:
        """Return a frame of a call's audio in the codec and base64."""
        return b64encode(self._sends.encode(frame)).decode("ascii")


def clipped(name: str) -> str:
    """Return the name of a field, cut where it is long."""
    return name if len(name) <= 60 else f"{name[:59]}…"
