"""A call as lines: nothing said twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.plain import Lines
from retell_voice.cli.view import View
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
    Metadata,
    StateChanged,
    Statistics,
    Transcript,
    Turn,
    Utterance,
)
from retell_voice.protocol.web import WebClient, WebServer


def printed(*events: Event) -> list[str]:
    lines = Lines()
    return [line for event in events for line in lines.feed(event)]


def said(at: float, *texts: str) -> Transcript:
    roles = ("agent", "user")
    return Transcript(
        at=at,
        utterances=tuple(Utterance(roles[i % 2], text) for i, text in enumerate(texts)),  # type: ignore[arg-type]
    )


END = Ended(by="you", code=1000, reason="", at=99.0)


def test_a_transcript_of_the_last_few_utterances_is_printed_whole_and_corrects_nothing() -> None:
    client, server = WebClient(2), WebServer(2)
    call = [Utterance(("agent", "user")[n % 2], f"this is sentence {n}") for n in range(9)]
    told: list[Event] = []
    for number, newest in enumerate(call):
        words = newest.content.split()
        for count in range(1, len(words) + 1):
            grown = Utterance(newest.role, " ".join(words[:count]))
            window = (*call[max(0, number - 4) : number], grown)
            told += client.receive(server.update(window), float(number))
    lines = printed(*told, END)
    assert lines == [
        f"00:0{n}  {('agent', 'you')[n % 2]}: {each.content}" for n, each in enumerate(call)
    ]


def test_an_utterance_is_printed_once_when_the_next_begins_or_the_call_ends() -> None:
    lines = printed(
        said(1, "Hel"),
        said(2, "Hello!"),
        said(3, "Hello!", "Hi"),
        said(4, "Hello!", "Hi there"),
        said(5, "Hello!", "Hi there", "Bye"),
        END,
    )
    assert lines == ["00:01  agent: Hello!", "00:03  you: Hi there", "00:05  agent: Bye"]


def test_what_the_agent_said_is_printed_when_it_falls_silent() -> None:
    lines = Lines()
    assert lines.feed(said(1, "Hello!")) == []
    assert lines.feed(AgentStopped(at=4.0)) == ["00:01  agent: Hello!"]
    assert lines.feed(said(5, "Hello!", "Hi")) == []
    assert lines.feed(AgentStopped(at=6.0)) == []  # it is the user who speaks


def test_a_correction_is_told() -> None:
    lines = printed(said(1, "Helo", "Hi"), said(2, "Hello", "Hi"), said(3, "Hello", "Hi", "x"))
    assert lines == ["00:01  agent: Helo", "00:01  corrected: agent: Hello", "00:01  you: Hi"]


def test_what_began_before_the_last_line_has_the_time_of_that_line() -> None:
    lines = printed(
        said(1, "Hello!"),
        AgentStopped(at=4.0),
        said(5, "Hello!", "Hi"),
        Metadata(at=9.0, metadata=1),
        said(10, "Hello!", "Hi", "So?"),
    )
    assert lines == ["00:01  agent: Hello!", "00:09  metadata: 1", "00:09  you: Hi"]


def test_a_transcript_may_shrink() -> None:
    assert printed(said(1, "a", "b"), said(2), said(3, "a", "b"), END) == [
        "00:01  agent: a",
        "00:01  you: b",
    ]


def test_alignment_is_one_caption_an_utterance() -> None:
    lines = printed(
        Alignment(text="Hello ", duration=1, at=1),
        Alignment(text="there", duration=1, at=2),
        AgentStopped(at=3, interrupted=True),
        AgentStopped(at=4),
        Alignment(text="Bye", duration=1, at=5),
        END,
    )
    assert lines == ["00:03  heard: Hello there (interrupted)", "01:39  heard: Bye"]


def test_states_metadata_warnings() -> None:
    lines = printed(
        StateChanged(state=CallState.CONNECTING),
        StateChanged(state=CallState.LIVE, at=1),
        Levels(near_end=0, far_end=0, at=1),
        Statistics(at=1),
        Metadata(metadata={"a": "\x1b[1m"}, at=2),
        AudioDropped(side="near_end", duration=0.25, at=3),
        DeviceChanged(side="far_end", state="lost", name="Jabra", why="unplugged", at=3),
        DeviceChanged(side="far_end", state="back", name="Jabra\n", at=3),
        DeviceChanged(side="near_end", state="changed", name="Desk", at=3),
        InputFinished(at=4),
        StateChanged(state=CallState.DRAINING, at=5),
        StateChanged(state=CallState.ENDED, at=6),
    )
    assert lines == [
        "00:01  connected",
        '00:02  metadata: {"a": "\\u001b[1m"}',
        "00:03  warning: 0.2 s of your voice was dropped: it could not be sent in time",
        "00:03  warning: the speaker is gone; waiting for it to come back: unplugged",
        "00:03  the speaker is back: Jabra ",
        "00:03  the microphone is now: Desk",
        "00:04  end of the input file",
    ]


def test_last_words_are_announced_only_if_there_are_some() -> None:
    draining = StateChanged(state=CallState.DRAINING, at=5)
    line = "the server has hung up; its last words are playing"
    assert printed(AgentStarted(at=1), AgentStopped(at=2), draining, END) == []
    heard = printed(AgentStarted(at=1), draining, AgentStopped(at=6), END)
    assert heard == [f"00:05  {line}"]
    # What had just arrived is heard a moment later; two utterances are announced once each.
    late = printed(draining, AgentStarted(at=6), Levels(near_end=0, far_end=0, at=7), END)
    assert late == [f"00:06  {line}"]


def test_opening_and_history() -> None:
    view = View(call_id="…cdef", server="host", audio="mulaw 8000 Hz", microphone="m", speaker="s")
    assert Lines().opening(view) == [
        "call …cdef on host, mulaw 8000 Hz",
        "microphone: m; speaker: s",
    ]
    view = View(said=(Utterance("user", "Hi\n"),), began=(61.0,))
    assert Lines().history(view) == ["01:01  you: Hi "]


_ANY = st.one_of(
    st.builds(said, st.floats(0, 90), st.text("ab", max_size=3), st.text("ab", max_size=3)),
    st.builds(AgentStarted, at=st.floats(0, 90)),
    st.builds(AgentStopped, at=st.floats(0, 90), silent_since=st.floats(0, 90)),
    st.builds(Turn, at=st.floats(0, 90), speaker=st.sampled_from(("agent", "user"))),
    st.builds(Alignment, at=st.floats(0, 90), text=st.just("a"), duration=st.floats(0, 9)),
    st.builds(InputFinished, at=st.floats(0, 90)),
)


@given(st.lists(_ANY, max_size=20))
def test_times_never_run_backwards(happened: list[Event]) -> None:
    times = [line[:5] for line in printed(*happened, END)]
    assert times == sorted(times)


def test_remarks_and_events_share_a_clock() -> None:
    lines = Lines()
    assert lines.stamp(7.2) == "00:07"
    assert lines.feed(InputFinished(at=5)) == ["00:07  end of the input file"]
