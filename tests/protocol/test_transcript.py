"""Transcripts that are whole, and windows on them that slide."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retell_voice.protocol import transcript as transcript_module
from retell_voice.protocol.transcript import History, Item

Line = tuple[str, str]


def items(lines: Sequence[Line]) -> list[Item[Line]]:
    return [Item(role, content, (role, content)) for role, content in lines]


def told(*updates: Sequence[Line]) -> list[Line]:
    """Return what is known after these updates."""
    history: History[Line] = History()
    known: list[Line] = []
    for update in updates:
        known = history.update(items(update))
    return known


def growing(call: Sequence[Line], window: int | None = None) -> list[list[Line]]:
    """Return the updates of a call, its newest utterance growing word by word."""
    updates = []
    for index, (role, content) in enumerate(call):
        words = content.split()
        for count in range(1, len(words) + 1):
            seen = [*call[:index], (role, " ".join(words[:count]))]
            updates.append(seen[-window:] if window else seen)
    return updates


WORDS = st.sampled_from(["yes", "no", "well", "yes yes", "hello", "I", "Berlin"])
CONTENTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)


@st.composite
def calls(draw: st.DrawFn, max_size: int = 14) -> list[Line]:
    roles = draw(st.sampled_from([("agent", "user"), ("user", "agent")]))
    contents = draw(st.lists(CONTENTS, min_size=1, max_size=max_size))
    return [(roles[index % 2], content) for index, content in enumerate(contents)]


@settings(max_examples=1000, deadline=None)
@given(calls(), st.integers(2, 7))
@example([("agent", "yes"), ("user", "yes")] * 5, 2)
@example([("agent", "yes"), ("user", "yes")] * 5, 3)
@example([("agent", "yes yes"), ("user", "yes")] * 5, 2)
def test_a_history_seen_through_a_window_gives_that_history_back(
    call: list[Line], window: int
) -> None:
    history: History[Line] = History()
    known: list[Line] = []
    for seen, whole in zip(growing(call, window), growing(call), strict=True):
        known = history.update(items(seen))
        assert known == whole
    assert known == call


@given(st.lists(calls(6), min_size=1, max_size=6))
def test_what_grows_and_is_told_whole_is_taken_as_it_is(histories: list[list[Line]]) -> None:
    call = [line for history in histories for line in history]
    assert told(*growing(call)) == call


A, B, C, D, E = (
    ("agent", "Hello, how can I help?"),
    ("user", "What time is it?"),
    ("agent", "It is four."),
    ("user", "Thank you."),
    ("agent", "You are welcome."),
)


@pytest.mark.parametrize(
    ("update", "known"),
    [
        ([A, B, C, D], [A, B, C, D]),
        ([A, ("user", "What day is it?"), C, D], None),  # corrected
        ([("agent", "Hallo!"), B, C, D], None),
        ([A, B, C, ("user", "Bye.")], None),
        ([("agent", "HELLO"), ("user", "what"), ("agent", "it"), ("user", "thanks")], None),
        ([A, B, ("agent", "It is"), ("user", "Thank you, bye")], None),  # it was interrupted
        ([A, B, C], None),  # dropped: the last, one between, the first
        ([A, B, D], None),
        ([B, C, D], None),
        ([A], None),
        ([], None),
        ([A, C, B, D], None),  # reordered
        ([B, A, C, D], None),
        ([A, B, D, C], None),
        ([B, C, D, A], None),
        ([D, C, B, A], None),
        ([A, ("agent", "Hm."), B, C, D], None),  # put in between
        ([("user", "Hi."), A, B, C, D], None),
        ([A, B, C, D, E, ("user", "Bye.")], None),
        ([B, C, D, E], [A, B, C, D, E]),  # slid: by one, by two, by three
        ([C, D, E, ("user", "Bye.")], [A, B, C, D, E, ("user", "Bye.")]),
        ([D, E, ("user", "Bye."), A], [A, B, C, D, E, ("user", "Bye."), A]),
        ([B, C, ("user", "Thank you, bye."), E], [A, B, C, ("user", "Thank you, bye."), E]),
        ([B, C, ("user", "Thanks a lot."), E], [A, B, C, ("user", "Thanks a lot."), E]),
    ],
)
def test_servers_that_rewrite_extend_drop_and_reorder_are_told_from_a_window(
    update: list[Line], known: list[Line] | None
) -> None:
    assert told([A, B, C, D], update) == (update if known is None else known)


@pytest.mark.parametrize(
    ("update", "known"),
    [
        ([B, C, D], [A, B, C, D]),
        ([B, C, ("user", "Thanks.")], [A, B, C, ("user", "Thanks.")]),  # corrected, in the window
        ([B, ("agent", "Four."), D], [A, B, ("agent", "Four."), D]),
        ([("user", "Time?"), C, D], [A, ("user", "Time?"), C, D]),
        ([B, C], [A, B, C]),  # dropped
        ([A, B, C], [A, B, C]),  # dropped, and it shows more again
        ([A, B, D], [A, B, D]),
        ([C, D], [A, B, C, D]),  # a window that became smaller
        ([A, B, C, D], [A, B, C, D]),  # all of it, at the end of the call
        ([A, B, C, D, E], [A, B, C, D, E]),
        ([D, E, ("user", "Bye.")], [A, B, C, D, E, ("user", "Bye.")]),
        ([C, D, A], [A, B, C, D, A]),  # said again, whole
        ([E, ("user", "Bye."), E], [A, B, C, D, E, ("user", "Bye."), E]),
        ([], [A]),
    ],
)
def test_what_happens_in_a_window_that_has_slid(update: list[Line], known: list[Line]) -> None:
    assert told([A, B, C], [B, C, D], update) == known


def test_what_the_agent_was_kept_from_saying_leaves_the_window_cut() -> None:
    """Interrupted: the agent's words are cut to what was heard, and the window slides."""
    cut = ("agent", "It is")
    assert told([A, B], [B, C], [cut, ("user", "No")]) == [A, B, cut, ("user", "No")]


def test_a_final_transcription_may_come_with_the_next_utterance() -> None:
    final = ("user", "what time is it")
    assert told([A, ("user", "what thyme")], [final, C]) == [A, final, C]


def test_items_that_are_not_shown_keep_their_place() -> None:
    tool: Item[Line] = Item("tool_call_invocation", "")
    history: History[Line] = History()
    assert history.update([*items([A, B]), tool]) == [A, B]
    assert history.update([*items([B]), tool, *items([C])]) == [A, B, C]
    assert history.update([tool, *items([C, D])]) == [A, B, C, D]


def test_the_oldest_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript_module, "MAX_ITEMS", 5)
    call = [("agent" if number % 2 else "user", f"number {number}") for number in range(20)]
    assert told(*growing(call, 3)) == call[-5:]
    assert told(*([line] * 2 for line in call))[-2:] == [call[-1]] * 2


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=4)))
def test_the_newest_update_is_always_what_is_known_last(updates: list[list[Line]]) -> None:
    history: History[Line] = History()
    for update in updates:
        known = history.update(items(update))
        assert known[len(known) - len(update) :] == update
