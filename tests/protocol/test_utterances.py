from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.events import Utterance, Word
from retell_voice.protocol.transcript import Item
from retell_voice.protocol.utterances import ItemReader, read_item

HELLO = Word("Hello", 0.5, 1.0)


def item(**fields: Any) -> dict[str, Any]:
    hello = {"word": "Hello", "start": 0.5, "end": 1}
    return {"role": "agent", "content": "Hello there", "words": [hello], **fields}


def test_a_good_item_is_read_whole() -> None:
    wrong: list[str] = []
    said = Utterance("agent", "Hello there", (HELLO,))
    assert read_item(item(), wrong) == Item("agent", "Hello there", said)
    assert wrong == []
    nothings: tuple[Any, ...] = (None, [], ())
    for nothing in nothings:
        assert read_item(item(words=nothing), wrong).said == Utterance("agent", "Hello there")
    assert wrong == []


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ({"word": "there", "start": None, "end": 2}, "start is missing"),
        ({"word": "there", "start": 1}, "end is missing"),
        ({"word": None, "start": 1, "end": 2}, "word is missing"),
        ({"start": 1, "end": 2}, "word is missing"),
        ({"word": "there", "start": "1", "end": 2}, "start expected a number, got str"),
        ({"word": "there", "start": True, "end": 2}, "start expected a number, got bool"),
        ({"word": "there", "start": 1, "end": float("inf")}, "end is no number of seconds"),
        ({"word": "there", "start": 10**400, "end": 2}, "start is no number of seconds"),
        (17, "expected an object, got int"),
        (None, "is missing"),
    ],
)
def test_a_word_that_cannot_be_read_costs_only_itself(word: object, problem: str) -> None:
    wrong: list[str] = []
    said = item(words=[{"word": "Hello", "start": 0.5, "end": 1}, word])
    assert read_item(said, wrong).said == Utterance("agent", "Hello there", (HELLO,))
    assert wrong == [f"a word: {problem}"]


def test_content_that_is_missing_is_made_of_the_words() -> None:
    wrong: list[str] = []
    assert read_item(item(content=None), wrong).said == Utterance("agent", "Hello", (HELLO,))
    assert wrong == []


def test_items_of_others_keep_their_role_and_content_for_their_place() -> None:
    wrong: list[str] = []
    tool = {"role": "tool_call_result", "content": "42", "words": 17}
    assert read_item(tool, wrong) == Item("tool_call_result", "42")
    assert wrong == ["the role of an utterance is neither agent nor user, but 'tool_call_result'"]


def test_what_an_update_repeats_is_the_same_object_and_what_changed_is_not() -> None:
    reader = ItemReader()
    first, wrong = reader.read([item(), item(role="x"), item(content="Hel")])
    assert len(wrong) == 1
    second, wrong = reader.read([item(), item(role="x"), item(content="Hello"), item()])
    assert len(wrong) == 1
    assert [old is new for old, new in zip(first, second, strict=False)] == [True, True, False]
    assert [each.content for each in second] == [
        "Hello there",
        "Hello there",
        "Hello",
        "Hello there",
    ]


def test_items_too_deep_to_compare_are_read_again() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    reader = ItemReader()
    for _ in range(2):
        items, wrong = reader.read([item(more=deep)])
        assert items[0].content == "Hello there"
        assert wrong == []
    while deep:
        deep = deep.pop()  # level by level: all at once is too deep, too


KEYS = st.sampled_from(["role", "content", "words", "word", "start", "end"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["agent", "user", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(JSON)
def test_no_item_ever_raises(value: Any) -> None:
    wrong: list[str] = []
    found = read_item(value, wrong)
    assert (found.said is None) <= bool(wrong)
