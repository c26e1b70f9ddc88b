"""A live transcript as lines."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.cli.live_transcript import LiveTranscript
from retell_voice.events import MonitorChanged, Transcript, TranscriptItem, Turn
from retell_voice.protocol.monitor import TAKE_OVER, CallEnded
from retell_voice.shown import clean


def item(name: str, role: str, time: float, content: str) -> TranscriptItem:
    return TranscriptItem(name, role, time, content)


def said(*items: TranscriptItem, before: tuple[TranscriptItem, ...] = ()) -> Transcript:
    return Transcript(utterances=(), items=items, pre_session=before)


HELLO = item("a", "agent", 1.2, "Hello")


def test_an_entry_is_a_line_once_another_follows() -> None:
    lines = LiveTranscript()
    assert lines.feed(said(HELLO)) == []
    assert lines.speaking == "00:01  agent: Hello"
    whole = item("a", "agent", 1.2, "Hello Ann")
    assert lines.feed(said(whole)) == []
    answer = item("b", "user", 63.0, "A table\x1b[2J")
    assert lines.feed(said(whole, answer)) == ["00:01  agent: Hello Ann"]
    assert lines.speaking == "01:03  user: A table[2J"
    assert lines.feed(Turn(speaker="user")) == []
    tool = item("c", "tool_call_invocation", 64.0, "book({})")
    assert lines.feed(said(whole, answer, tool)) == [
        "01:03  user: A table[2J",
        "01:04  tool call invocation: book({})",
    ]
    assert lines.speaking == ""
    assert lines.feed(CallEnded(reason="agent_hangup")) == ["the call has ended: agent_hangup"]


def test_what_is_corrected_is_told_again_and_nothing_twice() -> None:
    lines = LiveTranscript()
    bye = item("b", "user", 2, "Bye")
    lines.feed(said(HELLO, bye))
    assert lines.feed(said(HELLO, bye)) == []
    better = item("a", "agent", 1.2, "Hallo")
    assert lines.feed(said(better, bye)) == ["00:01  agent: Hallo (corrected)"]
    assert lines.feed(CallEnded()) == ["00:02  user: Bye", "the call has ended"]
    assert lines.end() == []


def test_what_was_before_and_who_else_speaks() -> None:
    third = item("t", "transfer_target", 1e9, "Support here")
    lines = LiveTranscript()
    before = item("p", "agent", 5, "Please hold")
    assert lines.feed(said(third, before=(before,))) == ["before  agent: Please hold"]
    assert lines.end() == ["  ?    third party: Support here"]


def test_troubles_are_told_once_until_something_comes() -> None:
    lines = LiveTranscript()
    trouble = MonitorChanged(state="retrying", why="it broke")
    (line,) = lines.feed(trouble)
    assert line.endswith("it broke")
    assert lines.feed(MonitorChanged(state="attached")) == lines.feed(trouble) == []
    lines.feed(said())
    assert len(lines.feed(trouble)) == 1
    assert lines.feed(CallEnded(reason=TAKE_OVER)) == [
        "somebody took the call over: there is no more to see of it"
    ]


ITEMS: Any = st.lists(
    st.builds(
        TranscriptItem,
        st.sampled_from("abcd"),
        st.sampled_from(["agent", "user", "dtmf", "other_thing"]),
        st.floats(),
        st.text(max_size=5),
    ),
    max_size=5,
    unique_by=lambda each: each.id,
)


@settings(max_examples=40)
@given(st.lists(ITEMS, max_size=4))
def test_the_last_version_of_every_entry_is_told(updates: list[list[TranscriptItem]]) -> None:
    lines = LiveTranscript()
    told: list[str] = []
    kept: dict[str, TranscriptItem] = {}
    for items in updates:
        kept |= {each.id: each for each in items}
        told += lines.feed(said(*kept.values()))
    told += lines.end()
    for each in kept.values():
        assert any(clean(each.content) in line for line in told)
    assert all("\n" not in line and "\x1b" not in line for line in told)
