"""One utterance of the server's may be several turns."""

from __future__ import annotations

from functools import reduce as fold

import pytest

from retell_voice.cli.plain import Lines
from retell_voice.cli.turns import Turns
from retell_voice.cli.view import View, reduce
from retell_voice.events import AgentStopped, Event, Transcript, Turn, Utterance


def told(at: float, *contents: str) -> Transcript:
    """A transcript; what begins with ">" is yours."""
    said = (Utterance("user" if each[0] == ">" else "agent", each) for each in contents)
    return Transcript(utterances=tuple(said), at=at)


def turns(*events: Event) -> list[tuple[float, str]]:
    after = fold(Turns.after, events, Turns())
    return [(at, each.content) for at, each in zip(after.began, after.said, strict=True)]


HELLO = (Turn(speaker="agent", at=0.0), told(1.0, "Hello."), AgentStopped(silent_since=2.0, at=2.1))


def test_after_a_silence_the_agent_begins_a_new_line() -> None:
    events = (*HELLO, Turn(speaker="agent", at=12.0))
    assert turns(*events) == [(1.0, "Hello.")], "nothing has been said yet"
    grown = told(12.5, "Hello. Are you")
    assert turns(*events, grown) == [(1.0, "Hello."), (12.5, "Are you")]
    more = told(13.0, "Hello. Are you there?")
    assert turns(*events, grown, more) == [(1.0, "Hello."), (12.5, "Are you there?")]
    answer = told(15.0, "Hello. Are you there?", ">Yes")
    assert turns(*events, more, answer)[1:] == [(13.0, "Are you there?"), (15.0, ">Yes")]


def test_the_first_words_may_come_with_the_turn() -> None:
    events = (*HELLO, told(12.0, "Hello. Are"), Turn(speaker="agent", at=12.0))
    assert turns(*events) == [(1.0, "Hello."), (12.0, "Are")]


def test_again_and_again() -> None:
    events: list[Event] = [*HELLO]
    said = "Hello."
    for at in (12.0, 22.0):
        said += " Hm?"
        events += [Turn(speaker="agent", at=at), told(at + 1, said)]
        events += [AgentStopped(silent_since=at + 2, at=at + 2)]
    assert turns(*events) == [(1.0, "Hello."), (13.0, "Hm?"), (23.0, "Hm?")]


@pytest.mark.parametrize(
    "events",
    [
        (told(12.0, "Hello. Late"),),  # no new turn
        (Turn(speaker="user", at=12.0), told(13.0, "Hello. Late")),
        (Turn(speaker="agent", at=1.5), told(13.0, "Hello. Late")),  # before it was silent
    ],
)
def test_otherwise_it_grows(events: tuple[Event, ...]) -> None:
    before = HELLO if events[0].at > 2 else HELLO[:2]
    assert turns(*before, *events) == [(1.0, "Hello. Late")]


def test_a_turn_told_after_its_words_does_not_part_them() -> None:
    events = (*HELLO, told(12.0, "Hello.", "Are"), Turn(speaker="agent", at=12.2))
    assert turns(*events, told(13.0, "Hello.", "Are you")) == [(1.0, "Hello."), (12.0, "Are you")]


def test_words_that_the_server_changes_are_not_parted() -> None:
    events = (*HELLO, Turn(speaker="agent", at=12.0), told(13.0, "Hello. Hm?"))
    assert turns(*events, told(14.0, "Hallo. Hm?")) == [(1.0, "Hallo. Hm?")]
    assert turns(*events, told(14.0)) == []


def test_a_new_turn_is_a_new_line_on_the_screen_and_on_a_pipe() -> None:
    events = (*HELLO, Turn(speaker="agent", at=12.0), told(13.0, "Hello. Hm?"), AgentStopped(at=14))
    view = fold(reduce, events, View())
    assert [each.content for each in view.said] == ["Hello.", "Hm?"]
    assert view.began == (1.0, 13.0)
    lines = Lines()
    printed = [line for event in events for line in lines.feed(event)]
    assert printed == ["00:01  agent: Hello.", "00:13  agent: Hm?"]
