"""What the dialects of the phone providers have in common.

In all of them the provider dials and the voice server answers. The provider plays what it is sent
one after the other; the server may ask to be told when something has been heard, and may have all
of it dropped. ``Queue`` is that; ``Complaints`` is what a provider's debugger would show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retell_voice.events import Event, MalformedMessage, ProviderComplaint
from retell_voice.protocol.lenient import expected, load_json

EXCERPT = 200
"""Characters of a message that are shown where something is wrong with it."""
KEPT = 4096
"""Characters of an unknown message that are passed on."""
MOST_MARKS = 10_000
"""Marks that may be on their way to being heard."""
_MOST_TOLD = 100
"""Different complaints that are told in a call."""

Shape = Mapping[str, Any]
"""Which fields an object must have: their types, or the shapes of objects in it. Those whose name
ends in ``?`` it may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: what a provider says of a call when it begins.

    Attributes:
        account, call, stream: the provider's ids of them.
        from_number, to_number: phone numbers; None where they are not said.
        parameters: what whoever set the stream up wanted the server to know.
    """

    account: str = ""
    call: str = ""
    stream: str = ""
    from_number: str | None = None
    to_number: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_parameters(self) -> dict[str, str]:
        """The parameters, and the numbers among them: for providers that tell no numbers."""
        numbers = {"from_number": self.from_number, "to_number": self.to_number}
        told = {name: number for name, number in numbers.items() if number is not None}
        return {**told, **self.parameters}


class Queue:
    """What a provider has been sent and has not played yet, by its own clock.

    Args:
        limit: seconds of audio that it holds.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._ends = 0.0
        self._marks: dict[int, Any] = {}
        self._marked = 0

    def add(self, seconds: float, at: float) -> float:
        """Add audio that came at this time; return how many seconds of it there was room for."""
        room = min(max(0.0, self.limit - max(0.0, self._ends - at)), seconds)
        self._ends = max(self._ends, at) + room
        return room

    def mark(self, name: Any) -> int | None:
        """Return a new mark's cue; None: there are too many. A name may be any value but None."""
        if len(self._marks) >= MOST_MARKS:
            return None
        self._marked += 1
        self._marks[self._marked] = name
        return self._marked

    def heard(self, cue: object) -> Any:
        """Return the name of a mark that has been heard; None: it was cleared."""
        return self._marks.pop(cue, None) if isinstance(cue, int) else None

    def clear(self) -> tuple[Any, ...]:
        """Drop everything; return the names of the marks in it."""
        self._ends = 0.0
        names = tuple(self._marks.values())
        self._marks.clear()
        return names


class Complaints:
    """What a provider complains of, each thing once.

    Args:
        provider: its name.
        strict: tell; if not, what cannot be carried out is a ``MalformedMessage``.
    """

    def __init__(self, provider: str, *, strict: bool) -> None:
        self.strict = strict
        self._provider = provider
        self._told: set[tuple[str, str]] = set()

    def tell(
        self, code: str, problem: str, message: str | bytes = "", at: float = 0.0
    ) -> list[Event]:
        """Return a complaint, if there is to be one."""
        key = (code, problem)
        if not self.strict or key in self._told or len(self._told) >= _MOST_TOLD:
            return []
        self._told.add(key)
        shown = excerpt(message)
        return [
            ProviderComplaint(
                provider=self._provider, code=code, problem=problem, excerpt=shown, at=at
            )
        ]

    def refuse(self, code: str, problem: str, message: str | bytes, at: float) -> list[Event]:
        """Return what there is to tell of a message that is not carried out."""
        if self.strict:
            return self.tell(code, f"{problem}; it is ignored", message, at)
        return [MalformedMessage(problem=problem, excerpt=excerpt(message), at=at)]


class MediaClock:
    """Milliseconds of a stream, counted in its audio: it skips where frames were left out."""

    _MOST_BEHIND = 0.25

    def __init__(self) -> None:
        self._began: float | None = None
        self._position = 0.0

    def stamp(self, seconds: float, at: float) -> int:
        """Return when a frame of this length begins that is sent at this time."""
        if self._began is None:
            self._began = at
        if at - self._began - self._position > self._MOST_BEHIND:
            self._position = at - self._began
        stamp = self._position
        self._position += seconds
        return round(stamp * 1000)


def excerpt(message: str | bytes) -> str:
    """Return the beginning of a message, for people."""
    if isinstance(message, bytes):
        return f"{len(message)} bytes, {message[:16].hex(' ')}" if message else ""
    return message[:EXCERPT]


def load_object(message: str | bytes) -> dict[str, Any]:
    """Parse a message that is a JSON object.

    Raises:
        ValueError: it is none; says why, for people.
    """
    if isinstance(message, bytes):
        raise ValueError("a binary message, where all are text")
    body = load_json(message)
    if not isinstance(body, dict):
        raise ValueError(f"the message: {expected('an object', body)}")
    return body


def wrong_fields(body: Mapping[str, Any], shape: Shape, path: str = "") -> list[str]:
    """Return what is missing of a message or of another type, for people."""
    wrong: list[str] = []
    for name, kind in shape.items():
        key, value = name.rstrip("?"), body.get(name.rstrip("?"))
        if value is None and name.endswith("?"):
            continue
        if isinstance(kind, Mapping):
            if isinstance(value, dict):
                wrong += wrong_fields(value, kind, f"{path}{key}.")
            else:
                wrong.append(f"{path}{key} {expected('an object', value)}")
        elif not isinstance(value, kind) or isinstance(value, bool):
            article = "a string" if kind is str else "a number"
            wrong.append(f"{path}{key} {expected(article, value)}")
    return wrong


def extra_fields(body: Mapping[str, Any], shape: Shape, path: str = "") -> list[str]:
    """Return the names of fields that a message should not have."""
    known = {name.rstrip("?"): kind for name, kind in shape.items()}
    extra = [f"{path}{key}" for key in body if key not in known]
    for key, kind in known.items():
        inner = body.get(key)
        if isinstance(kind, Mapping) and isinstance(inner, dict):
            extra += extra_fields(inner, kind, f"{path}{key}.")
    return extra


def text_of(body: Mapping[str, Any], name: str) -> str:
    """Return a field that is a text.

    Raises:
        ValueError: it is missing, or something else.
    """
    value = body.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} {expected('a string', value)}")
    return value


def object_of(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object.

    Raises:
        ValueError: it is missing, or something else.
    """
    value = body.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} {expected('an object', value)}")
    return value


def texts_of(value: Any) -> dict[str, str]:
    """Return those parts of an object that are texts; empty if it is none."""
    if not isinstance(value, dict):
        return {}
    return {name: each for name, each in value.items() if isinstance(each, str)}
