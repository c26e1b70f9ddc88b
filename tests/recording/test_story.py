"""Transcripts are written as what changed, and can be put together again."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.events import CallState, StateChanged, Transcript, Utterance, Word
from retell_voice.recording.story import Story, as_json, as_text, unchanged

HELLO = Utterance("agent", "Hello!", (Word("Hello!", 0.5, 1.0),))
UTTERANCES = st.builds(
    Utterance, st.sampled_from(("agent", "user")), st.sampled_from(("a", "b", ""))
)


@given(st.lists(st.lists(UTTERANCES, max_size=4).map(tuple), max_size=6))
def test_the_changes_make_the_whole(versions: list[tuple[Utterance, ...]]) -> None:
    told = Story()
    kept: list[dict[str, object]] = []
    for version in versions:
        said = json.loads(told.tell(Transcript(utterances=version)))
        kept[said["from"] :] = said["utterances"]
        assert kept == json.loads(as_json(version))["utterances"]
        assert told.utterances == version


def test_unchanged() -> None:
    other = Utterance("user", "Hi")
    assert unchanged((), ()) == 0
    assert unchanged((HELLO,), (HELLO, other)) == 1
    assert unchanged((HELLO, other), (HELLO,)) == 1
    assert unchanged((other, HELLO), (HELLO, HELLO)) == 0


def test_other_events_are_as_in_json() -> None:
    said = json.loads(Story().tell(StateChanged(at=1.0, state=CallState.LIVE)))
    assert said == {"event": "state_changed", "at": 1.0, "state": "live"}


@pytest.mark.parametrize("start", [math.nan, math.inf, -math.inf, 1e300, float(10**300)])
def test_a_time_that_is_none_is_left_out_and_what_is_written_is_json(start: float) -> None:
    said = (Utterance("user", "a\ud800", (Word("a", start, start),)),)
    assert as_text(said) == "       user: a\n"
    kept = json.loads(as_json(said), parse_constant=pytest.fail)
    assert kept["utterances"][0]["content"] == "a\ud800"
    told = Story().tell(Transcript(utterances=said))
    assert json.loads(told, parse_constant=pytest.fail)["from"] == 0


def test_text() -> None:
    late = Utterance("user", "line\nbreak", (Word("line", 75.2, 76.0),))
    text = as_text((HELLO, late, Utterance("agent", "no time")))
    assert text.splitlines() == [
        "00:00  agent: Hello!",
        "01:15  user: line break",
        "       agent: no time",
    ]
    assert as_text(()) == ""
