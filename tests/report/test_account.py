"""From lines of JSON to series along time, and what is said of lines that are none."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice import events
from retell_voice.cli import view
from retell_voice.errors import ConfigError
from retell_voice.recording import jsonl
from retell_voice.report.account import read, spoken
from retell_voice.report.figures import figures, outcome
from retell_voice.report.page import Recorded, page
from retell_voice.shown import clock

STATISTICS = events.Statistics(at=1.0, playout_depth=0.5, playout_target=0.04)
CALL = [
    events.StateChanged(at=0.1, state=events.CallState.LIVE),
    events.Levels(at=0.5, near_end=-20.0, far_end=-100.0),
    events.Levels(at=0.6, near_end=-25.0, far_end=-10.0),
    events.Levels(at=0.7, near_end=-90.0, far_end=-10.0),
    events.AgentStarted(at=0.6),
    STATISTICS,
    events.AgentStopped(at=1.5, interrupted=True, discarded=2.0, silent_since=1.4),
    events.BargeIn(at=1.4, delay=0.2),
    events.Response(at=0.6, delay=0.1),
    events.AudioDropped(at=1.6, side="near_end", duration=0.5),
    events.AgentStarted(at=2.0),
    events.Statistics(at=2.0, underruns=2, round_trip=0.03, clear_to_silence_p50=0.02),
    events.Ended(
        at=3.0, by="you", code=1000, reason="", statistics=events.Statistics(at=3.0, underruns=2)
    ),
]


def text(told: list[events.Event]) -> str:
    return "".join(f"{jsonl.line(each)}\n" for each in told)


def test_a_call_becomes_series() -> None:
    account = read(text(CALL), "x")
    assert account.end == 3.0
    assert account.near == [(0.5, -20.0), (0.6, -25.0), (0.7, -90.0)]
    assert account.you == [pytest.approx((0.1, 0.6))]
    assert account.agent == [(0.6, 1.4), (2.0, 3.0)]
    assert account.clears == [1.4]
    assert account.barge_ins == [(1.4, 0.2)]
    assert account.responses == [(0.6, 0.1)]
    assert account.depth[0] == (1.0, 0.5)
    assert account.target[0] == (1.0, 0.04)
    assert account.underruns == [2.0]
    assert account.round_trip == [(2.0, 0.03)]
    assert account.silence == [(2.0, 0.02)]
    assert account.losses == [(1.6, "0.50 s of your audio dropped")]
    assert not account.truncated
    assert outcome(account) == "Ended by you, code 1000."
    shown = dict(figures(account))
    assert shown["length"] == "00:03"
    assert shown["you interrupted the agent"] == "once"
    assert shown["you spoke"] == "0 s, 22 %"
    assert shown["gaps concealed"] == "2"


def test_another_device_that_was_asked_for_is_no_loss() -> None:
    told = [
        events.DeviceChanged(at=1.0, side="far_end", state=state, name="Headset")
        for state in ("changed", "lost", "back")
    ]
    account = read(text([*CALL[:1], *told]), "x")
    assert account.losses == [(1.0, "Headset lost"), (1.0, "Headset back")]


def test_transcripts_whole_or_as_changes() -> None:
    whole = {"event": "transcript", "at": 1, "utterances": [{"content": "a"}, {"content": "b"}]}
    change = {"event": "transcript", "at": 2, "from": 1, "utterances": [{"content": "c"}]}
    account = read("\n".join(map(json.dumps, (whole, change))), "x")
    assert [each["content"] for each in account.utterances] == ["a", "c"]
    assert account.seen == [1.0, 1.0]


@given(st.integers(1, len(text(CALL)) - 1))
def test_a_file_that_was_cut_off_is_read_up_to_there(size: int) -> None:
    first = text(CALL).index("\n") + 1
    if size < first - 1:
        with pytest.raises(ConfigError):
            read(text(CALL)[:size], "x")
    else:
        account = read(text(CALL)[:size], "x")
        assert account.truncated is (size < len(text(CALL)) - 1)
        assert "incomplete" in outcome(account) or not account.truncated


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "contains no events"),
        ("\n\n", "contains no events"),
        ("hello\n", "line 1: 'hello' is not JSON"),
        ("RIFF$\0\0WAVE\n", "this is no text, so not the events of a call"),
        ('{"event": "x"}\nhello\n{"event": "x"}\n', "line 2: 'hello' is not JSON"),
        ("[1]\n", "line 1: not an event"),
        ('{"at": 1}\n', "line 1: not an event"),
        ('{"event": "levels"}\n', "line 1: 'levels' is malformed"),
        ('{"event": "levels", "near_end": "x", "far_end": 0}\n', "malformed"),
        ('{"event": "x", "at": 1e999}\n', "malformed"),
        ('{"event": "x", "at": null}\n', "malformed"),
        ('{"event": "x", "at": true}\n', "malformed"),
        ('{"event": "x", "at": 1' + "0" * 400 + "}\n", "malformed (at is out of range)"),
        ('{"event": "x", "at": ' + "9" * 5000 + "}\n", "is not JSON"),
        ('{"event": "levels", "near_end": NaN, "far_end": 0}\n', "near_end is out of range"),
        ('{"event": "transcript", "from": Infinity, "utterances": []}\n', "from is out of range"),
        ('{"event": "audio_dropped", "side": [], "duration": 1}\n', "malformed"),
        ('{"event": "ended"}\n', "malformed"),
        ('{"event": "transcript", "utterances": [1]}\n', "malformed"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_file_of_events(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(lines, "file")
    assert str(caught.value).startswith("file")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0.5, 1e300, math.inf, math.nan, 10**400, "", "\ud800", "<b>", [], {}, [[1]]]
)
KEYS = {key for each in CALL for key in json.loads(jsonl.line(each))} | {
    *("from", "utterances", "words", "role", "content", "start", "name", "why", "message"),
    *("rate", "encoding", "started"),
}
OBJECTS = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(sorted(KEYS)), inner, max_size=6)
    ),
    max_leaves=8,
)
KINDS = ["call", "recording", "levels", "agent_started", "agent_stopped", "transcript"]
KINDS += ["statistics", "audio_dropped", "device_changed", "recording_stopped", "ended", "metadata"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(KINDS),
            st.dictionaries(st.sampled_from(sorted(KEYS)), OBJECTS, max_size=8),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_events_become_a_page_or_one_line(
    told: list[tuple[str, dict[str, object], bool]],
) -> None:
    """Objects of any kind, whole but for what is odd in them, as a file may hold them."""
    whole = {json.loads(jsonl.line(each))["event"]: json.loads(jsonl.line(each)) for each in CALL}
    lines = [
        json.dumps({**(whole.get(kind, {}) if known else {}), **odd, "event": kind})
        for kind, odd, known in told
    ]
    with contextlib.suppress(ConfigError):
        account = read("\n".join(lines) + "\n", "x")
        page(Recorded("x", account)).encode("utf-8", "replace")


def test_what_is_deep_or_long_does_not_end_a_report() -> None:
    deep = "[" * 900 + "]" * 900
    lines = [
        f'{{"event": "recording", "server": {deep}, "rate": {"9" * 400}}}',
        f'{{"event": "metadata", "metadata": [NaN, 1e999, {deep}]}}',
        '{"event": "transcript", "utterances": [{"role": ' + deep + ', "content": '
        f'{"9" * 400}, "words": [{{"start": {"9" * 400}}}]}}]}}',
    ]
    account = read("\n".join(lines), "x")
    assert "…" in page(Recorded("x", account))


def test_a_recording_of_windows_is_put_together() -> None:
    said = [{"role": ("agent", "user")[number % 2], "content": f"{number}!"} for number in range(9)]
    windows = [
        {"event": "transcript", "at": number, "utterances": said[max(0, number - 3) : number]}
        for number in range(1, 10)
    ]
    assert read("\n".join(map(json.dumps, windows)), "x").utterances == said
    # As it was recorded: from the first utterance that changed on.
    changes = [{**each, "from": 0} for each in windows]
    assert read("\n".join(map(json.dumps, changes)), "x").utterances == said


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(given_text: str) -> None:
    with contextlib.suppress(ConfigError):
        read(given_text, "x")


def test_an_error_is_named() -> None:
    error = {"type": "CallFailed", "message": "server: it closed", "hint": ""}
    ended = {"event": "ended", "by": "server", "code": 1011, "reason": "x", "error": error}
    ended["statistics"] = json.loads(jsonl.line(events.Statistics()))
    assert "server: it closed" in outcome(read(json.dumps(ended) + "\n", "x"))


def test_a_call_that_never_began_says_why() -> None:
    account = read('{"event": "error", "type": "ConnectError", "message": "refused"}\n', "x")
    assert outcome(account) == "It ended with an error: refused"
    assert not account.truncated


LEVELS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.4, 0.5, 2.0]), st.sampled_from([-20.0, -70.0]))
)


@given(LEVELS)
def test_a_report_counts_speech_as_the_screen_does(heard: list[tuple[float, float]]) -> None:
    at, levels, screen = 0.0, [], view.View()
    for pause, level in heard:
        at += pause
        levels.append((at, level))
        screen = view.reduce(screen, events.Levels(at=at, near_end=level, far_end=-100.0))
    spans = spoken(levels)
    assert sum(end - begin for begin, end in spans) == pytest.approx(screen.you.seconds)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


def test_clock() -> None:
    assert [clock(each) for each in (0, 59.9, 60, 3725)] == ["00:00", "00:59", "01:00", "62:05"]
