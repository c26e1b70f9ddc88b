"""The fold from events to what is shown."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import reduce as fold

import pytest

from retell_voice.cli.controls import Side
from retell_voice.cli.view import SILENCE, Meter, Note, View, reduce
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
    LatencyChanged,
    Levels,
    MalformedMessage,
    Metadata,
    MicrophoneSilent,
    MonitorChanged,
    NetworkChanged,
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


def test_a_device_goes_and_another_comes() -> None:
    fields: dict[Side, str] = {"near_end": "microphone", "far_end": "speaker"}
    for side, field in fields.items():
        view = after(DeviceChanged(side=side, state="lost", name="Jabra", why="unplugged", at=1.0))
        gone = f"the {field} is gone; waiting for it to come back: unplugged"
        assert [each.text for each in view.notes] == [gone]
        assert view.lost == {side}
        view = reduce(view, DeviceChanged(side=side, state="back", name="Built-in", at=2.0))
        assert getattr(view, field) == "Built-in"
        assert [each.text for each in view.notes] == [f"the {field} is back: Built-in"]
        assert not view.lost
        view = reduce(view, DeviceChanged(side=side, state="changed", name="Desk\x1b", at=3.0))
        assert getattr(view, field) == "Desk"
        assert [each.text for each in view.notes] == [f"the {field} is now: Desk"]


@pytest.mark.parametrize(
    ("warning", "over", "left"),
    [
        (MonitorChanged(state="retrying", why="x"), MonitorChanged(state="attached"), 0),
        (
            NetworkChanged(state="stalled", silent_for=2.0),
            NetworkChanged(state="back", silent_for=3.0),
            1,
        ),
        (MicrophoneSilent(name="x"), Levels(near_end=-80.0, far_end=SILENCE), 0),
        (MicrophoneSilent(name="x"), Levels(near_end=SILENCE, far_end=-20.0), 1),
        (
            LatencyChanged(side="far_end", why="gaps"),
            LatencyChanged(side="near_end", why="gaps"),
            2,
        ),
        (LatencyChanged(side="far_end", why="gaps"), LatencyChanged(side="far_end", why="calm"), 1),
        (UnknownMessage(message="x"), UnknownMessage(message="y"), 2),
    ],
)
def test_a_warning_goes_when_it_no_longer_holds(warning: Event, over: Event, left: int) -> None:
    assert len(after(warning).notes) == 1
    assert len(after(warning, over).notes) == left


def test_what_follows_a_file_that_is_over_is_no_file() -> None:
    view = after(InputFinished(at=1.0), AgentStopped(at=1.0))
    assert view.input_finished_at == 1.0
    view = reduce(view, DeviceChanged(side="near_end", state="changed", name="Desk", at=2.0))
    assert view.input_finished_at is None


def test_transcript_and_caption_hold_nothing_that_steers_a_terminal() -> None:
    view = after(
        Transcript(utterances=(Utterance("agent", "a\x1b[2J\nb\u202e\x07 ü – 👍"),)),
        Alignment(text="x\x1b]0;title\x07y", duration=1.0),
    )
    assert view.said[0].content == "a[2J b ü – 👍"
    assert view.captions.text(9.0) == "x]0;titley"
    view = reduce(view, Alignment(text=" z", duration=1.0, at=1.0))
    assert view.captions.text(9.0) == "x]0;titley z"
    assert reduce(view, AgentStarted()).captions.text(9.0) == ""


def test_an_utterance_that_grows_is_one_and_keeps_its_time() -> None:
    hello, bye = Utterance("agent", "Hello"), Utterance("user", "Bye")
    view = after(
        Transcript(utterances=(hello,), at=1.0),
        Transcript(utterances=(replace(hello, content="Hello you"),), at=2.0),
        Transcript(utterances=(hello, bye), at=3.0),
    )
    assert view.said == (hello, bye)
    assert view.began == (1.0, 3.0)
    assert after(Transcript(utterances=(hello, bye)), Transcript(utterances=())).began == ()


def test_without_a_transcript_what_was_heard_is_the_conversation() -> None:
    spoken = (
        AgentStarted(at=1.0),
        Alignment(text="Hello there you", duration=1.5, at=1.0),
    )
    view = after(*spoken, AgentStopped(at=2.8, silent_since=2.5))
    assert view.said == (Utterance("agent", "Hello there you"),)
    cut = after(*spoken, AgentStopped(at=1.7, silent_since=1.7, interrupted=True))
    assert cut.said == (Utterance("agent", "Hello there"),)
    assert len(reduce(view, Transcript(utterances=())).said) == 0
    known = Transcript(utterances=(Utterance("agent", "Hello there you"),))
    assert len(after(known, *spoken, AgentStopped(at=2.8, silent_since=2.5)).said) == 1


def test_it_is_your_turn_when_the_agent_has_fallen_silent() -> None:
    agent = (Turn(speaker="agent", at=1.0), AgentStarted(at=1.2))
    assert after(*agent).turn == "agent"
    assert after(*agent, AgentStopped(at=3.3, silent_since=3.0)).turn == "user"
    later = Turn(speaker="agent", at=3.1)
    assert after(*agent, later, AgentStopped(at=3.3, silent_since=3.0)).turn == "agent"
    assert after(AgentStarted(), AgentStopped()).turn is None, "nobody speaks of turns"


def test_time_passes_until_the_end() -> None:
    view = after(AgentStarted(at=1.0))
    assert view.passed(2.0).at == 3.0
    assert view.passed(-2.0).at == 1.0
    ended = reduce(view, Ended(by="you", code=1000, reason="", at=5.0))
    assert ended.passed(9.0) is ended


def test_how_long_each_has_spoken() -> None:
    view = after(
        AgentStarted(at=1.0),
        Levels(near_end=-70, far_end=-20, at=3.0),
        Levels(near_end=-20, far_end=-20, at=3.1),
        Levels(near_end=-20, far_end=-20, at=3.2),
    )
    assert view.agent.seconds == pytest.approx(2.2)
    assert view.you.seconds == pytest.approx(0.2)
    view = reduce(view, AgentStopped(at=3.3, silent_since=3.0, interrupted=True))
    assert view.agent.seconds == pytest.approx(2.0)
    view = reduce(view, Levels(near_end=-70, far_end=-100, at=3.9))
    view = reduce(view, Levels(near_end=-20, far_end=-100, at=4.0))
    assert view.you.seconds == pytest.approx(0.3)


def test_a_long_transcript_is_taken_in_quickly() -> None:
    """The server repeats the whole of it with every word."""
    event = Transcript(utterances=tuple(Utterance("agent", "word " * 50) for _ in range(1000)))
    view = after(event)
    begun = time.process_time()
    for _ in range(20):
        view = reduce(view, event)
    assert time.process_time() - begun < 0.5


def test_the_last_notes_are_kept() -> None:
    view = after(
        AudioDropped(side="near_end", duration=0.5, at=61.0),
        AudioDropped(side="far_end", duration=2.0, at=62.0),
        UnknownMessage(message="hm" * 99, at=63.0),
        MalformedMessage(problem=f"no JSON: {'so it is ' * 9}.", excerpt="{", at=64.0),
    )
    assert len(view.notes) == 3
    assert view.notes[0] == Note(62.0, "2.0 s of the agent was dropped: the playout queue is full")
    assert view.notes[2].text == f"the server sent a malformed message: no JSON: {'so it is ' * 9}."
    assert len(view.fresh_notes) == 3
    assert [note.at for note in replace(view, at=93.5).fresh_notes] == [64.0]


def test_ended() -> None:
    error = CallFailed("it broke", code=1011)
    figures = Statistics(frames_sent=7)
    ended = Ended(by="server", code=1011, reason="oops", error=error, statistics=figures, at=9.0)
    view = after(AgentStarted(), Levels(near_end=0, far_end=0), ended)
    assert view.state is CallState.ENDED
    assert view.statistics.frames_sent == 7
    assert not view.agent_speaking
    assert view.near_end == view.far_end == Meter()
