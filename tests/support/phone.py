"""A dialect as phone providers speak it, both sides: JSON, marks, a beginning and an end.

It is no provider's; it has what theirs have and ``web`` has not.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from retell_voice.events import Event, MalformedMessage, Role, UnknownMessage, Utterance
from retell_voice.protocol.messages import AgentAudio, Clear, Marked, MicrophoneAudio, Reply

FRAME_MS = 40


def _say(event: str, **more: Any) -> str:
    return json.dumps({"event": event, **more})


def _read(message: str | bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(message))
    except ValueError:
        return {}


class PhoneClient:
    """The provider's side."""

    def __init__(self, stream: str = "s1") -> None:
        self._stream = stream
        self._frames = 0
        self._marks: dict[int, str] = {}
        self._marked = 0

    def opening(self) -> list[str]:
        return [_say("connected"), _say("start", stream=self._stream)]

    def audio(self, frame: bytes, at: float = 0.0) -> str:
        self._frames += 1
        return _say("media", chunk=self._frames, at=at, payload=b64encode(frame).decode())

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        match _read(message):
            case {"event": "media", "payload": payload}:
                return [AgentAudio(data=b64decode(payload), at=at)]
            case {"event": "mark", "name": name}:
                self._marked += 1
                self._marks[self._marked] = name
                return [AgentAudio(data=b"", cue=self._marked, at=at)]
            case {"event": "clear"}:
                cleared, self._marks = self._marks, {}
                return [
                    Clear(at=at),
                    *(Reply(message=_say("mark", name=name)) for name in cleared.values()),
                ]
            case {}:
                return [MalformedMessage(problem="no JSON", excerpt="", at=at)]
        return [UnknownMessage(message=str(message), at=at)]

    def heard(self, cue: object) -> str | None:
        name = self._marks.pop(cue, None)  # type: ignore[call-overload]
        return None if name is None else _say("mark", name=name)

    def digit(self, digit: str, at: float = 0.0) -> str:
        return _say("dtmf", digit=digit)

    def ping(self) -> None: ...

    def left(self, at: float = 0.0) -> list[Event]:
        return []

    def closing(self) -> list[str]:
        return [_say("stop")]


class PhoneServer:
    """The voice server's side."""

    frame_ms = FRAME_MS
    shortest_ms = 0

    def __init__(self) -> None:
        self.stream: str | None = None

    @property
    def is_ready(self) -> bool:
        return self.stream is not None

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        match _read(message):
            case {"event": "connected" | "stop"}:
                return []
            case {"event": "start", "stream": stream}:
                self.stream = stream
                return []
            case {"event": "media", "payload": payload}:
                return [MicrophoneAudio(data=b64decode(payload), at=at)]
            case {"event": "mark", "name": name}:
                return [Marked(name=name, at=at)]
            case {"event": "hello"}:
                return [Reply(message=_say("hello", stream=self.stream))]
        return [UnknownMessage(message=str(message), at=at)]

    def audio(self, data: bytes, text: str = "") -> str:
        return _say("media", stream=self.stream, payload=b64encode(data).decode())

    def clear(self) -> str:
        return _say("clear", stream=self.stream)

    def mark(self, name: str) -> str:
        return _say("mark", stream=self.stream, name=name)

    def pong(self) -> None: ...

    def update(self, transcript: tuple[Utterance, ...], turn: Role | None = None) -> None: ...

    def metadata(self, metadata: Any) -> None: ...
