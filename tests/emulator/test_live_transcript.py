"""Entries of a transcript that keep their ids while what is said changes."""

from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.live_transcript import LiveTranscript
from retell_voice.events import TranscriptItem, Utterance, Word
from retell_voice.protocol.llm import Said, ToolCallInvocation, ToolCallResult
from retell_voice.protocol.monitor import MonitorClient, MonitorServer

HELLO, HI = Utterance("agent", "Hello"), Utterance("user", "Hi")


def test_what_grows_keeps_its_id_and_its_time() -> None:
    live = LiveTranscript()
    assert live.update([HELLO], 1.0)
    items, seen = live.since(0)
    assert items == [TranscriptItem("said_0", "agent", 1.0, "Hello")]
    assert not live.update([HELLO], 2.0)
    assert live.since(seen)[0] == []
    longer = Utterance("agent", "Hello there")
    assert live.update([longer, HI], 3.0)
    assert live.since(seen)[0] == [
        TranscriptItem("said_0", "agent", 1.0, "Hello there"),
        TranscriptItem("said_1", "user", 3.0, "Hi"),
    ]


def test_words_tell_when_it_was_said_but_never_out_of_order() -> None:
    live = LiveTranscript()
    said = [
        Utterance("agent", "Hello", (Word("Hello", 5.0, 6.0),)),
        Utterance("user", "Hi", (Word("Hi", 4.0, 4.5),)),
    ]
    live.update(said, 9.0)
    assert [item.time for item in live.since(0)[0]] == [5.0, 5.0]


def test_what_was_taken_back_is_empty_until_something_takes_its_place() -> None:
    live = LiveTranscript()
    live.update([HELLO, Utterance("agent", "I never got to say")], 1.0)
    _, seen = live.since(0)
    assert live.update([HELLO], 2.0)
    items, seen = live.since(seen)
    assert items == [TranscriptItem("said_1", "agent", 1.0, "")]
    assert not live.update([HELLO], 2.5)
    live.update([HELLO, HI], 3.0)
    assert live.since(seen)[0] == [TranscriptItem("said_1", "user", 1.0, "Hi")]


def test_tool_calls_and_what_was_put_in_have_entries_of_their_own() -> None:
    live = LiveTranscript()
    said: list[Said] = [
        HELLO,
        ToolCallInvocation(tool_call_id="1", name="look", arguments="{}"),
        ToolCallResult(tool_call_id="1", content="sunny"),
    ]
    live.update(said, 1.0)
    live.inject("hurry up", 0.5)
    items, _ = live.since(0)
    assert [item.role for item in items] == [
        "injected",
        "agent",
        "tool_call_invocation",
        "tool_call_result",
    ]
    client = MonitorClient()
    client.receive(MonitorServer().transcript(items, snapshot=True))
    assert [item.content for item in client.items] == ["hurry up", "Hello", "look({})", "sunny"]


UTTERANCES = st.lists(
    st.builds(Utterance, st.sampled_from(["agent", "user"]), st.text(min_size=1, max_size=5)),
    max_size=5,
)


@given(st.lists(st.tuples(UTTERANCES, st.booleans()), max_size=8))
def test_a_watcher_always_ends_up_with_what_was_said(
    steps: list[tuple[list[Utterance], bool]],
) -> None:
    live, client, words, seen = LiveTranscript(), MonitorClient(), MonitorServer(), 0
    said: list[Utterance] = []
    for at, (said, looks) in enumerate(steps):
        live.update(said, float(at))
        if looks:
            items, seen = live.since(seen)
            client.receive(words.transcript(items))
    items, _ = live.since(seen)
    client.receive(words.transcript(items))
    shown = [(item.role, item.content) for item in client.items if item.content]
    assert shown == [(each.role, each.content) for each in said]
