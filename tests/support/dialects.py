"""Conversations in a phone provider's dialect, as tables: who says what, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hypothesis import strategies as st

from retell_voice.events import Event
from retell_voice.protocol.messages import Reply

Row = tuple[Literal["provider", "server"], Mapping[str, Any] | str | bytes, Sequence[Any]]
"""Who says it; the message, JSON as an object; the events it is to the other side."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3)
    ),
    max_leaves=8,
)


def replay(provider: Any, server: Any, rows: Sequence[Row]) -> None:
    """Feed each message to the other side and compare what it makes of it."""
    for number, (who, message, expected) in enumerate(rows):
        said = json.dumps(message) if isinstance(message, Mapping) else message
        side = server if who == "provider" else provider
        events = side.receive(said, float(number))
        assert [_shown(each) for each in events] == list(expected), f"row {number}: {message!r}"
        assert {each.at for each in events} <= {float(number)}


def read(side: Any, message: Any, at: float = 0.0) -> list[Any]:
    """Return events whose fields a test knows by itself; a message may be an object of JSON."""
    return list(side.receive(json.dumps(message) if isinstance(message, dict) else message, at))


def take_anything(sides: Sequence[Any], said: Sequence[str | bytes]) -> None:
    """Let sides receive messages that may be no messages: all become events, replies are JSON."""
    for side in sides:
        for message in said:
            for event in side.receive(message, 1.0):
                assert isinstance(event, Event)
                assert event.at == 1.0
                if isinstance(event, Reply):
                    json.loads(event.message)


def carry(client: Any, server: Any, pieces: Sequence[bytes]) -> None:
    """Send audio both ways, a message each, and compare."""
    for message in client.opening():
        server.receive(message)
    there = [read(server, client.audio(each))[0].data for each in pieces]
    back = [read(client, server.audio(each))[-1].data for each in pieces]
    assert there == back == list(pieces)


def _shown(event: Any) -> Any:
    """Return a reply as the object that it is, everything else without its time."""
    if isinstance(event, Reply):
        return {"reply": json.loads(event.message)}
    fields = {name: getattr(event, name) for name in event.__dataclass_fields__ if name != "at"}
    return type(event)(**fields)


def reply(event: str, **more: Any) -> dict[str, Any]:
    """Return what ``replay`` shows of a reply."""
    return {"reply": {"event": event, **more}}


def messages(known: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[Any]:
    """Return messages that are nearly what a side understands, and others that are not at all.

    Args:
        known: names of fields, and values that they may have.
    """
    values = JSON | st.sampled_from([each for some in known.values() for each in some])
    inner = st.dictionaries(st.sampled_from([*known]), values, max_size=5)
    bodies = st.dictionaries(st.sampled_from([*known]), values | inner, max_size=6)
    return bodies.map(json.dumps) | JSON.map(json.dumps) | st.text() | st.binary()
