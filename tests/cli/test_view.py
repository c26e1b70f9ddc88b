"""The fold from events to what is shown."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce as fold

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.view import (
    SILENCE,
    Meter,
    View,
    clean,
    clock,
    ending,
    reduce,
    summary,
    warn,
)
from retell_voice.errors import CallFailed
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Alignment,
    AudioDropped,
    CallState,
    DeviceChanged,
    Ended,
    Event,
    InputFinished,
    Levels,
    MalformedMessage,
    Metadata,
    MicrophoneSilent,
    StateChanged,
    Statistics,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
)


def after(*events: Event) -> View:
    return fold(reduce, events, View())


def test_state_and_time() -> None:
    view = after(StateChanged(state=CallState.LIVE, at=1.0), Metadata(metadata=1, at=2.5))
    assert (view.state, view.at) == (CallState.LIVE, 2.5)
    assert reduce(view, AgentStarted(at=2.0)).at == 2.5, "an event may tell of the past"


def test_who_speaks() -> None:
    view = after(AgentStarted(at=1.0), Turn(speaker="agent", at=1.0))
    assert view.agent_speaking
    assert view.turn == "agent"
    view = reduce(view, Levels(near_end=-20, far_end=-20, at=1.1))
    assert view.you_speaking
    view = reduce(view, Levels(near_end=-70, far_end=-20, at=1.4))
    assert view.you_speaking, "a pause between words"
    view = reduce(view, Levels(near_end=-70, far_end=-20, at=1.6))
    assert not view.you_speaking
    assert not reduce(view, AgentStopped(at=2.0)).agent_speaking
    assert not after(Levels(near_end=-60, far_end=0)).you_speaking


def test_meters_rise_at_once_fall_slowly_and_hold_their_peak() -> None:
    view = after(Levels(near_end=-10.0, far_end=-100.0, at=1.0))
    assert view.near_end == Meter(-10.0, -10.0, 1.0)
    view = after(
        Levels(near_end=-10.0, far_end=-100.0, at=1.0),
        Statistics(at=1.4),  # other events between do not slow the fall
        Levels(near_end=-100.0, far_end=-50.0, at=1.5),
    )
    assert view.near_end.level == pytest.approx(-25.0)
    assert view.near_end.peak == -10.0
    assert view.far_end.level == -50.0
    view = reduce(view, Levels(near_end=-100.0, far_end=-100.0, at=2.6))
    assert view.near_end.level == view.near_end.peak == pytest.approx(-58.0)
    assert reduce(view, Levels(near_end=-200.0, far_end=0, at=99.0)).near_end.level == SILENCE


def test_the_input_is_over_and_the_agent_has_been_silent() -> None:
    view = after(AgentStarted(at=1.0), InputFinished(at=2.0))
    assert not replace(view, at=99.0).all_said(3.0), "the agent is still speaking"
    view = reduce(view, AgentStopped(at=5.5, silent_since=5.0))
    assert not replace(view, at=7.9).all_said(3.0)
    assert replace(view, at=8.0).all_said(3.0)
    assert not replace(after(AgentStopped(at=1.0)), at=99.0).all_said(3.0), "the input is not over"
    late = after(AgentStopped(at=1.0, silent_since=1.0), InputFinished(at=4.0))
    assert not replace(late, at=6.0).all_said(3.0)
    assert replace(late, at=7.0).all_said(3.0)


def test_a_device_goes_and_another_comes() -> None:
    for side, field in (("near_end", "microphone"), ("far_end", "speaker")):
        view = after(DeviceChanged(side=side, state="lost", name="Jabra", why="unplugged", at=1.0))
        assert view.warnings == (f"00:01 the {field} is gone, the call waits for it: unplugged",)
        view = reduce(view, DeviceChanged(side=side, state="back", name="Built-in", at=2.0))
        assert getattr(view, field) == "Built-in"
        assert view.warnings[1] == f"00:02 the {field} is back: Built-in"
    assert "no permission" in str(warn(MicrophoneSilent(name="Jabra")))


def test_transcript_and_caption_hold_nothing_that_steers_a_terminal() -> None:
    view = after(
        Transcript(utterances=(Utterance("agent", "a\x1b[2J\nb\u202e\x07 ü – 👍"),)),
        Alignment(text="x\x1b]0;title\x07y", duration=1.0),
    )
    assert view.utterances[0].content == "a[2J b ü – 👍"
    assert view.caption == "x]0;titley"
    assert reduce(view, Alignment(text=" z", duration=1.0)).caption == "x]0;titley z"
    assert reduce(view, AgentStarted()).caption == ""
    assert len(reduce(view, Alignment(text="long" * 999, duration=1.0)).caption) == 300


@given(st.text())
def test_clean_texts_are_printable(text: str) -> None:
    cleaned = clean(text)
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in cleaned)
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned


def test_the_last_warnings_are_kept() -> None:
    view = after(
        AudioDropped(side="near_end", duration=0.5, at=61.0),
        AudioDropped(side="far_end", duration=2.0, at=62.0),
        UnknownMessage(message="hm" * 99, at=63.0),
        MalformedMessage(problem="no JSON", excerpt="{", at=64.0),
    )
    assert len(view.warnings) == 3
    assert (
        view.warnings[0] == "01:02 2.0 s of the agent lost: too much of it was waiting to be played"
    )
    assert view.warnings[2] == "01:04 the server sent something broken: no JSON"
    assert warn(AgentStarted()) is None


def test_ended() -> None:
    error = CallFailed("it broke", code=1011)
    figures = Statistics(frames_sent=7)
    ended = Ended(by="server", code=1011, reason="oops", error=error, statistics=figures, at=9.0)
    view = after(AgentStarted(), Levels(near_end=0, far_end=0), ended)
    assert view.state is CallState.ENDED
    assert view.statistics.frames_sent == 7
    assert not view.agent_speaking
    assert view.near_end == view.far_end == Meter()


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (Ended(by="you", code=1000, reason=""), "you hung up (1000)"),
        (
            Ended(by="server", code=1011, reason="no\x1b money"),
            "the server closed the call (1011: no money)",
        ),
        (Ended(by="network", code=None, reason=""), "the connection was lost"),
        (Ended(by="device", code=1000, reason="bye"), "a device was lost (1000: bye)"),
    ],
)
def test_code_and_reason_always_show(ended: Ended, text: str) -> None:
    assert ending(ended) == text


def test_summary() -> None:
    assert summary(View()) == []
    figures = Statistics(
        frames_sent=50,
        heard=3.21,
        discarded=0.5,
        underruns=2,
        frames_dropped=1,
        playout_target=0.04,
        clear_to_silence_p50=0.0213,
        round_trip=0.0421,
    )
    view = after(Ended(by="you", code=1000, reason="", statistics=figures, at=75.0))
    assert summary(view) == [
        "01:15  you hung up (1000)",
        "       sent 50 frames, heard 3.2 s of the agent, 0.5 s cut short",
        "       frames dropped 1, underruns 2",
        "       jitter buffer 40 ms, silent 21 ms after a clear, round trip 42.1 ms",
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (59.99, "00:59"), (3661, "61:01")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
