"""Events as JSON: all fields, valid whatever they hold."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from retell_voice import events
from retell_voice.errors import CallFailed
from retell_voice.events import CallState, Ended, Event, Metadata, StateChanged, Transcript
from retell_voice.recording.jsonl import line, name

KINDS: list[type[Event]] = [
    each for each in vars(events).values() if isinstance(each, type) and issubclass(each, Event)
]


def read(event: Event) -> dict[str, Any]:
    text = line(event)
    assert text.isascii()
    assert "\n" not in text
    read: dict[str, Any] = json.loads(text)
    return read


def test_names() -> None:
    assert name(StateChanged) == "state_changed"
    assert name(Ended) == "ended"
    assert len({name(kind) for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_has_all_its_fields(kind: type[Event]) -> None:
    values = {
        each.name: 1.0
        for each in dataclasses.fields(kind)
        if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
    }
    if kind is Transcript:
        values = {"utterances": ()}  # type: ignore[dict-item]
    fields = {each.name for each in dataclasses.fields(kind)}
    assert set(read(kind(**values))) == {"event", *fields}


def test_a_transcript() -> None:
    said = events.Utterance("agent", "Grüße\n\ud800", (events.Word("Grüße", 0.5, 1.25),))
    assert read(Transcript(utterances=(said,), at=1.5)) == {
        "event": "transcript",
        "at": 1.5,
        "utterances": [
            {
                "role": "agent",
                "content": "Grüße\n\ud800",
                "words": [{"word": "Grüße", "start": 0.5, "end": 1.25}],
            }
        ],
        "items": [],
        "pre_session": [],
    }


def test_an_error_is_an_object() -> None:
    ended = Ended(by="server", code=1011, reason="no", error=CallFailed("broke off", "try again"))
    assert read(ended)["error"] == {
        "type": "CallFailed",
        "message": "broke off",
        "hint": "try again",
    }
    assert read(Ended(by="you", code=1000, reason=""))["error"] is None
    assert read(ended)["statistics"]["frames_sent"] == 0


def test_states_are_words_and_no_number_is_beyond_json() -> None:
    assert read(StateChanged(state=CallState.DRAINING))["state"] == "draining"
    odd = {"a": [math.nan, -math.inf, 1e-9], 5: {"b": True, "c": None}}
    assert read(Metadata(metadata=odd))["metadata"] == {
        "a": [None, None, 0.0],
        "5": {"b": True, "c": None},
    }
