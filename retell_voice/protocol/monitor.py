"""The live transcript of a call: the monitor socket, both sides.

::

    server → client   {"type": "transcript_snapshot" | "transcript_updated",
                       "transcripts": […], "pre_session_transcripts": […]}
                      {"type": "call_ended", "event_timestamp": …, "disconnection_reason": …}

An entry replaces the one with the same id; a snapshot may come after the first updates. Entries
are sorted by time, ties by arrival. Source: Retell's browser client 3.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retell_voice.events import (
    Event,
    MalformedMessage,
    Role,
    Transcript,
    TranscriptItem,
    Turn,
    UnknownMessage,
    Utterance,
)
from retell_voice.protocol.gateway import read_transition
from retell_voice.protocol.llm_fields import Fields, LlmPayloadError, load_object

TAKE_OVER = "call_take_over"
"""Why a call ended for its watchers: one of them took it over. For that one it goes on."""

NOT_LIVE = 4004
"""Close code: the call is not live, or not yet."""

_TRIES = 8
_FIRST, _LONGEST, _SPREAD = 0.5, 15.0, 0.25  # seconds between two tries
_EXCERPT = 200
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """The monitor says that the call has ended.

    Attributes:
        reason: Retell's ``disconnection_reason``; empty if not told.
        timestamp: Unix time, seconds; None if not told.
    """

    reason: str = ""
    timestamp: float | None = None


class MonitorClient:
    """Decodes the monitor's messages and keeps the transcript that they add up to."""

    def __init__(self) -> None:
        self._items: dict[str, TranscriptItem] = {}
        self._pre_session: dict[str, TranscriptItem] = {}
        self._speaker: Role | None = None

    @property
    def items(self) -> tuple[TranscriptItem, ...]:
        """The transcript so far."""
        return _in_order(self._items)

    @property
    def pre_session(self) -> tuple[TranscriptItem, ...]:
        """What happened before the session began; its times are on another clock."""
        return _in_order(self._pre_session)

    def receive(self, message: str | bytes, at: float = 0.0) -> list[Event]:
        """Decode one message, whole; never raises.

        Returns:
            ``Transcript`` with ``Turn`` and ``NodeTransition`` where those are news, ``CallEnded``,
            ``UnknownMessage`` or ``MalformedMessage``.
        """
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        try:
            body = load_object(text)
            match body.get("type"):
                case "transcript_snapshot" | "transcript_updated":
                    return self._merge(Fields(body, "the message"), at)
                case "call_ended":
                    return [_ended(Fields(body, "the message"), at)]
        except LlmPayloadError as error:
            return [MalformedMessage(problem=str(error), excerpt=text[:_EXCERPT], at=at)]
        return [UnknownMessage(message=text[:_KEPT], at=at)]

    def _merge(self, fields: Fields, at: float) -> list[Event]:
        # Parsed in full before anything is kept: a malformed message changes nothing.
        spoken = _items(fields, "transcripts")
        before = _items(fields, "pre_session_transcripts")
        events: list[Event] = []
        for item in spoken:
            if item.role == "node_transition" and item.id not in self._items:
                events.append(read_transition(item.fields, at))
            self._items[item.id] = item  # one that is there keeps its place
        self._pre_session |= {item.id: item for item in before}
        items = self.items
        said = tuple(Utterance(_role(item), item.content) for item in items if _is_speech(item))
        events.insert(
            0, Transcript(utterances=said, items=items, pre_session=self.pre_session, at=at)
        )
        if said and said[-1].role != self._speaker:
            self._speaker = said[-1].role
            events.append(Turn(speaker=self._speaker, at=at))
        return events


class MonitorServer:
    """Encodes what the monitor says."""

    def transcript(
        self,
        items: Sequence[TranscriptItem],
        pre_session: Sequence[TranscriptItem] = (),
        *,
        snapshot: bool = False,
    ) -> str:
        """Encode entries: all of them, or those that are new or changed."""
        return json.dumps(
            {
                "type": "transcript_snapshot" if snapshot else "transcript_updated",
                "transcripts": [_item_body(item) for item in items],
                "pre_session_transcripts": [_item_body(item) for item in pre_session],
            }
        )

    def ended(self, reason: str, timestamp: float) -> str:
        """Encode the end of the call, at a Unix time."""
        return json.dumps(
            {
                "type": "call_ended",
                "event_timestamp": round(timestamp * 1000),
                "disconnection_reason": reason,
            }
        )


@dataclass(frozen=True, slots=True)
class Again:
    """Open the socket again after so many seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Over:
    """The call has ended."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The transcript ends here; says why."""

    why: str


class MonitorLink:
    """What to do when the monitor's socket closes.

    ::

        1000                      over
        4004, not live (yet)      again, at most 8 times
        any other 4xxx            lost: the key, the account, too many watchers
        anything else             again, at most 8 times; a message resets the count

    Args:
        draw: returns numbers from 0 to 1; spreads the delays.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._failures = 0
        self._not_live = 0
        self._ended = False

    def received(self, events: Sequence[Event]) -> None:
        """Note that a message came, and what it said."""
        self._failures = self._not_live = 0
        self._ended |= any(isinstance(event, CallEnded) for event in events)

    def closed(self, code: int, reason: str) -> Again | Over | Lost:
        """Return what to do now that the socket is closed; 1006 if it broke or never opened."""
        if self._ended or code == 1000:
            return Over()
        if code == NOT_LIVE:
            self._not_live += 1
            if self._not_live >= _TRIES:
                return Lost("the call is not live")
            return self._again(self._not_live)
        if 4000 <= code <= 4999:
            return Lost(reason or f"the server refused with code {code}")
        self._failures += 1
        if self._failures > _TRIES:
            return Lost(reason or f"the connection broke {_TRIES} times")
        return self._again(self._failures)

    def _again(self, failures: int) -> Again:
        return Again(min(_LONGEST, _FIRST * 2 ** (failures - 1)) + _SPREAD * self._draw())


def _in_order(items: Mapping[str, TranscriptItem]) -> tuple[TranscriptItem, ...]:
    return tuple(sorted(items.values(), key=lambda item: item.time))  # sorting is stable


def _items(fields: Fields, name: str) -> list[TranscriptItem]:
    return [
        TranscriptItem(
            id=read.need(read.identifier, "id"),
            role=role,
            time=read.need(read.number, "time_sec"),
            content=item_content(role, read.body),
            fields=read.body,
        )
        for read in fields.items(name) or ()
        for role in [read.need(read.string, "role")]
    ]


def item_content(role: str, body: Mapping[str, Any]) -> str:
    """Return what an entry of a transcript says, in one line."""

    def text(name: str) -> str:
        value = body.get(name)
        return value if isinstance(value, str) else ""

    match role:
        case "tool_call_invocation":
            return f"{text('name')}({text('arguments')})"
        case "node_transition":
            moved = read_transition(body)
            return f"{moved.former} → {moved.new}"
        case "dtmf":
            return text("digit")
    return text("content")


def _ended(fields: Fields, at: float) -> CallEnded:
    timestamp = fields.number("event_timestamp")
    return CallEnded(
        reason=fields.string("disconnection_reason") or "",
        timestamp=None if timestamp is None else timestamp / 1000,
        at=at,
    )


def _is_speech(item: TranscriptItem) -> bool:
    return item.role in ("agent", "user")


def _role(item: TranscriptItem) -> Role:
    return "agent" if item.role == "agent" else "user"


def _item_body(item: TranscriptItem) -> dict[str, Any]:
    return (
        {"content": item.content}
        | dict(item.fields)
        | {
            "id": item.id,
            "time_sec": item.time,
            "role": item.role,
        }
    )
