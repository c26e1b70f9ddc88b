"""The Audio WebSocket, dialect ``web``: both sides.

::

    client → server   binary: microphone audio     text: "ping" (if asked for)
    server → client   binary: agent audio          text: "clear", "pong"
                      JSON: {"event_type": "update", "transcript": […], "turntaking": …}
                            {"event_type": "metadata", "metadata": …}
                            {"text": …, "audio": "<base64>"}  (instead of binary audio),
                            known by its "audio", whatever its event_type

Source: Retell's "Audio WebSocket" reference; ``ping``/``pong`` as its browser client used
them: a server that reads JSON only may not survive a ``ping``. Feed whole messages, get lists
of events; a message never raises, however broken.
Audio frames may have any length: a byte that is half a sample waits for the next frame.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode

from retell_voice.events import (
    Event,
    MalformedMessage,
    Metadata,
    Role,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
)
from retell_voice.protocol.lenient import decode_base64, expected, load_json, tidy, to_json
from retell_voice.protocol.messages import AgentAudio, Clear, MicrophoneAudio, Ping, Pong
from retell_voice.protocol.transcript import History
from retell_voice.protocol.utterances import ItemReader
from retell_voice.protocol.whole_samples import WholeSamples
from retell_voice.secret import Secret

CLEAR = "clear"
PING = "ping"
PONG = "pong"

_SPEAKERS: dict[str, Role] = {"agent_turn": "agent", "user_turn": "user"}
_TURNTAKING: dict[Role, str] = {role: name for name, role in _SPEAKERS.items()}
_EXCERPT = 200
_KEPT = 4096
"""Characters of an unknown message that are passed on."""
_MOST_TOLD = 100
"""Things wrong with a transcript that are told in a call."""


def call_url(prefix: str, call_id: str, *, updates: bool, alignment: bool) -> str:
    """Return the URL of one call's Audio WebSocket. It holds the call_id: keep it secret."""
    query = {"enable_update": updates, "enable_audio_alignment": alignment}
    flags = urlencode({name: "true" for name, on in query.items() if on})
    path = f"{prefix.rstrip('/')}/{quote(call_id, safe='')}"
    return Secret(f"{path}?{flags}" if flags else path)


class WebClient:
    """The client's side of the dialect.

    Args:
        sample_width: bytes a sample of the call's encoding takes.
        text_heartbeat: send the text ``ping`` as well.
    """

    def __init__(self, sample_width: int, *, text_heartbeat: bool = False) -> None:
        self._samples = WholeSamples(sample_width)
        self._text_heartbeat = text_heartbeat
        self._reader = ItemReader()
        self._history: History[Utterance] = History()
        self._told: set[str] = set()  # what was wrong with items of the transcript

    def opening(self) -> tuple[()]:
        """Nothing is said first."""
        return ()

    def audio(self, frame: bytes, at: float = 0.0) -> bytes:  # noqa: ARG002 - no times on the wire
        """Encode a frame of microphone audio."""
        return frame

    def heard(self, cue: object) -> None:
        """No message comes with a cue."""

    def digit(self, digit: str, at: float = 0.0) -> None:
        """Keys of a telephone are not carried."""

    def ping(self) -> str | None:
        """Return the heartbeat, if there is one of text."""
        return PING if self._text_heartbeat else None

    def closing(self) -> tuple[()]:
        """Nothing is said last."""
        return ()

    def left(self, at: float = 0.0) -> list[Event]:  # noqa: ARG002 - nothing to stamp
        """Nothing is told last."""
        return []

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        """Decode one message from the server.

        Args:
            message: a binary or text message, whole.
            at: time to stamp the events with.
        """
        if isinstance(message, bytes):
            return self._audio(message, None, at)
        if message == CLEAR:
            self._samples.reset()
            return [Clear(at=at)]
        if message == PONG:
            return [Pong(at=at)]
        if not message.lstrip().startswith("{"):
            return [UnknownMessage(message=message[:_KEPT], at=at)]
        try:
            return self._json(load_json(message), message, at)
        except ValueError as error:
            return [MalformedMessage(problem=str(error), excerpt=message[:_EXCERPT], at=at)]

    def _audio(self, data: bytes, text: str | None, at: float) -> list[Event]:
        data = self._samples.feed(data)
        return [AgentAudio(data=data, text=text, at=at)] if data or text else []

    def _json(self, body: dict[str, Any], message: str, at: float) -> list[Event]:
        kind, audio = body.get("event_type"), body.get("audio")
        has_audio = audio is not None or (kind is None and "audio" in body)
        events: list[Event] = []
        if has_audio:
            data = decode_base64(_string(audio)) if audio is not None else b""
            events += self._audio(data, _string(body.get("text") or ""), at)
        match kind:
            case "update":
                events += self._update(body, message, at)
            case "metadata" if "metadata" in body:
                events.append(Metadata(metadata=tidy(body["metadata"]), at=at))
            case "metadata":
                raise ValueError("metadata is missing")
            case _ if not has_audio:
                events.append(UnknownMessage(message=message[:_KEPT], at=at))
        return events

    def _update(self, body: dict[str, Any], message: str, at: float) -> list[Event]:
        """Decode what is good in an update; the rest is told, what comes with each of them once."""
        events: list[Event] = []
        wrong: list[str] = []
        again: list[str] = []
        spoken, turn = body.get("transcript"), body.get("turntaking")
        if isinstance(spoken, list):
            items, again = self._reader.read(spoken)
            said = self._history.update(items)
            if said or not again:
                events.append(Transcript(utterances=tuple(said), at=at))
        elif spoken is not None:
            wrong.append(f"transcript: {expected('a list', spoken)}")
        if turn in tuple(_SPEAKERS):  # it may be anything, and no key of a dict
            events.append(Turn(speaker=_SPEAKERS[turn], at=at))
        elif turn is not None:
            again.append(f"turntaking is neither {' nor '.join(_SPEAKERS)}")
        for problem in again:
            if problem not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(problem)
                wrong.append(problem)
        if wrong:
            problem = "; ".join(wrong)
            events.append(MalformedMessage(problem=problem, excerpt=message[:_EXCERPT], at=at))
        return events


class WebServer:
    """The server's side of the dialect: decodes the client, encodes what the server says.

    Args:
        sample_width: bytes a sample of the call's encoding takes.
        alignment: send audio as base64 with its text instead of binary.
    """

    frame_ms = None
    shortest_ms = 0
    is_ready = True

    def __init__(self, sample_width: int, *, alignment: bool = False) -> None:
        self._samples = WholeSamples(sample_width)
        self._alignment = alignment

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        """Decode one message from the client."""
        if isinstance(message, bytes):
            data = self._samples.feed(message)
            return [MicrophoneAudio(data=data, at=at)] if data else []
        if message == PING:
            return [Ping(at=at)]
        return [UnknownMessage(message=message[:_KEPT], at=at)]

    def audio(self, data: bytes, text: str = "") -> str | bytes:
        """Encode agent audio, with the text it says if alignment is on."""
        if not self._alignment:
            return data
        return to_json({"text": text, "audio": b64encode(data).decode("ascii")})

    def clear(self) -> str:
        """Encode: drop what has not been heard."""
        return CLEAR

    def mark(self, name: str) -> None:
        """What is heard cannot be asked."""

    def pong(self) -> str:
        """Encode the answer to a heartbeat."""
        return PONG

    def update(self, transcript: tuple[Utterance, ...], turn: Role | None = None) -> str:
        """Encode the transcript so far and, where the speaker changes, whose turn it is."""
        body: dict[str, Any] = {
            "event_type": "update",
            "transcript": [
                {
                    "role": said.role,
                    "content": said.content,
                    "words": [
                        {"word": word.word, "start": word.start, "end": word.end}
                        for word in said.words
                    ],
                }
                for said in transcript
            ],
        }
        if turn is not None:
            body["turntaking"] = _TURNTAKING[turn]
        return to_json(body)

    def metadata(self, metadata: Any) -> str:
        """Encode metadata for the frontend; any JSON value.

        Raises:
            ValueError: it is nested more than 100 levels deep.
        """
        return to_json({"event_type": "metadata", "metadata": tidy(metadata)})


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(expected("a string", value))
    return value
