import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from retell_voice.events import (
    MalformedMessage,
    NodeTransition,
    Transcript,
    TranscriptItem,
    Turn,
    UnknownMessage,
    Utterance,
)
from retell_voice.protocol.monitor import (
    NOT_LIVE,
    Again,
    CallEnded,
    Lost,
    MonitorClient,
    MonitorLink,
    MonitorServer,
    Over,
)

server = MonitorServer()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def item(id_: str, time: float, content: str = "x", role: str = "agent") -> TranscriptItem:
    return TranscriptItem(id_, role, time, content)


def updated(*items: dict[str, Any], **more: Any) -> str:
    return json.dumps({"type": "transcript_updated", "transcripts": items} | more)


def transcript(events: Any) -> Transcript:
    assert isinstance(events[0], Transcript)
    return events[0]


def test_entries_are_merged_by_id_and_sorted_by_time() -> None:
    client = MonitorClient()
    client.receive(server.transcript([item("b", 2.0, "Hel", "user")]))
    client.receive(server.transcript([item("b", 2.0, "Hello", "user"), item("c", 2.0, "tie")]))
    events = client.receive(server.transcript([item("a", 1.0, "Hi")], snapshot=True), 4.0)
    assert [(each.id, each.content) for each in client.items] == [
        ("a", "Hi"),
        ("b", "Hello"),
        ("c", "tie"),
    ]
    assert transcript(events) == Transcript(
        utterances=(
            Utterance("agent", "Hi"),
            Utterance("user", "Hello"),
            Utterance("agent", "tie"),
        ),
        items=client.items,
        at=4.0,
    )


def test_turns_are_told_when_they_change() -> None:
    client = MonitorClient()
    say = lambda *items: [  # noqa: E731
        event for event in client.receive(server.transcript(items)) if isinstance(event, Turn)
    ]
    assert say(item("a", 1.0)) == [Turn(speaker="agent")]
    assert say(item("a", 1.0, "longer")) == []
    assert say(item("t", 2.0, role="tool_call_result")) == []
    assert say(item("b", 3.0, role="user")) == [Turn(speaker="user")]


def test_what_happened_before_the_session_stays_apart() -> None:
    client = MonitorClient()
    tool = item("t", 99.0, "done", "tool_call_result")
    events = client.receive(server.transcript([item("a", 1.0)], [tool]))
    assert transcript(events).items == (item("a", 1.0),)
    assert transcript(events).pre_session == (tool,)


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ({"role": "transfer_target", "content": "Hello"}, "Hello"),
        (
            {"role": "tool_call_invocation", "name": "look", "arguments": '{"a":1}'},
            'look({"a":1})',
        ),
        ({"role": "tool_call_result", "content": "7", "successful": True}, "7"),
        (
            {"role": "node_transition", "former_node_name": "A", "new_node_id": "b"},
            "A → b",
        ),
        ({"role": "dtmf", "digit": "3"}, "3"),
        ({"role": "sms", "content": "code", "multimedia": []}, "code"),
        ({"role": "injected", "content": "be kind"}, "be kind"),
        ({"role": "of_tomorrow"}, ""),
    ],
)
def test_every_role_is_shown_as_what_it_is(body: dict[str, Any], content: str) -> None:
    (found,) = transcript(MonitorClient().receive(updated(body | {"id": 7, "time_sec": 1}))).items
    assert (found.id, found.role, found.content) == ("7", body["role"], content)
    assert found.fields["role"] == body["role"]


def test_a_transition_is_told_once() -> None:
    client = MonitorClient()
    moved = {"id": "n", "time_sec": 1, "role": "node_transition", "new_node_name": "Pay"}
    assert NodeTransition(former="", new="Pay", at=2.0) in client.receive(updated(moved), 2.0)
    assert len(client.receive(updated(moved))) == 1


def test_the_end_is_told() -> None:
    client = MonitorClient()
    assert client.receive(server.ended("agent_hangup", 1.5), 3.0) == [
        CallEnded(reason="agent_hangup", timestamp=1.5, at=3.0)
    ]
    assert client.receive('{"type": "call_ended"}') == [CallEnded()]


@pytest.mark.parametrize("message", ["{}", '{"type": "later"}', '{"type": ["call_ended"]}'])
def test_what_is_not_known_is_passed_on(message: str) -> None:
    assert MonitorClient().receive(message, 1.0) == [UnknownMessage(message=message, at=1.0)]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "[]",
        b"\xff",
        updated({"time_sec": 1, "role": "user"}),
        updated({"id": True, "time_sec": 1, "role": "user"}),
        updated({"id": "a", "role": "user"}),
        updated({"id": "a", "time_sec": 1}),
        '{"type": "transcript_updated", "transcripts": {}}',
        updated(pre_session_transcripts=[3]),
        '{"type": "call_ended", "event_timestamp": "now"}',
    ],
)
def test_what_cannot_be_read_is_told_and_changes_nothing(message: str | bytes) -> None:
    client = MonitorClient()
    client.receive(server.transcript([item("a", 1.0)]))
    (event,) = client.receive(message, 9.0)
    assert isinstance(event, MalformedMessage)
    assert client.items == (item("a", 1.0),)


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_no_message_raises(message: str | bytes) -> None:
    MonitorClient().receive(message)


items = st.builds(
    item,
    st.sampled_from("abcdef"),
    st.integers(0, 5).map(float),
    st.text(max_size=5),
    st.sampled_from(["agent", "user", "tool_call_result", "dtmf"]),
)


@given(st.lists(st.lists(items, max_size=4), max_size=6))
def test_the_last_word_of_each_id_stands_in_order(batches: list[list[TranscriptItem]]) -> None:
    client = MonitorClient()
    for batch in batches:
        client.receive(server.transcript(batch))
    said = [each for batch in batches for each in batch]
    newest = {each.id: each for each in said}
    first = {each.id: at for at, each in reversed(list(enumerate(said)))}
    assert [each.id for each in client.items] == sorted(
        newest, key=lambda id_: (newest[id_].time, first[id_])
    )
    assert {each.id: each.time for each in client.items} == {
        id_: each.time for id_, each in newest.items()
    }


@pytest.mark.parametrize(
    ("code", "reason", "what"),
    [
        (1000, "call_ended", Over()),
        (1000, "", Over()),
        (4001, "bad key", Lost("bad key")),
        (4008, "", Lost("the server refused with code 4008")),
        (NOT_LIVE, "", Again(0.5)),
        (1006, "", Again(0.5)),
        (1011, "oops", Again(0.5)),
    ],
)
def test_what_a_close_code_means(code: int, reason: str, what: Again | Over | Lost) -> None:
    assert MonitorLink(lambda: 0.0).closed(code, reason) == what


def test_tries_are_further_and_further_apart_and_then_over() -> None:
    link = MonitorLink(lambda: 1.0)
    delays = [link.closed(1006, "") for _ in range(8)]
    assert delays == [Again(wait + 0.25) for wait in (0.5, 1, 2, 4, 8, 15, 15, 15)]
    assert link.closed(1006, "reset") == Lost("reset")


def test_a_message_counts_tries_anew() -> None:
    link = MonitorLink(lambda: 0.0)
    for _ in range(20):
        for _ in range(8):
            assert isinstance(link.closed(1006, ""), Again)
        link.received([UnknownMessage(message="{}")])


def test_a_call_that_never_becomes_live_is_given_up() -> None:
    link = MonitorLink(lambda: 0.0)
    for _ in range(7):
        assert isinstance(link.closed(NOT_LIVE, ""), Again)
    assert link.closed(NOT_LIVE, "") == Lost("the call is not live")


def test_after_the_end_no_close_is_a_failure() -> None:
    link = MonitorLink(lambda: 0.0)
    link.received([CallEnded()])
    assert link.closed(1006, "") == Over()


class Links(RuleBasedStateMachine):
    """However it goes, the number of tries without a message is bounded."""

    def __init__(self) -> None:
        super().__init__()
        self.link = MonitorLink(lambda: 0.5)
        self.tries = 0

    @rule()
    def received(self) -> None:
        self.link.received([])
        self.tries = 0

    @rule(code=st.integers(1000, 4999), reason=st.text(max_size=3))
    def closed(self, code: int, reason: str) -> None:
        what = self.link.closed(code, reason)
        if isinstance(what, Again):
            self.tries += 1
            assert 0.5 <= what.delay <= 15.25
        elif isinstance(what, Lost):
            assert what.why

    @invariant()
    def bounded(self) -> None:
        assert self.tries <= 15


TestLinks = Links.TestCase
