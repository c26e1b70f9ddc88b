"""Where sentences end, and that nothing is lost."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.dialogue.sentences import LONGEST, Sentences


def split(text: str, *, size: int | None = None) -> list[str]:
    sentences = Sentences()
    pieces = [text[at : at + size] for at in range(0, len(text), size)] if size else [text]
    found = [each for piece in pieces for each in sentences.feed(piece)]
    return found + sentences.finish()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello. How are you?", ["Hello. ", "How are you?"]),
        ("It costs 3.50 dollars. OK?", ["It costs 3.50 dollars. ", "OK?"]),
        ("Version 2.0.1 is out.", ["Version 2.0.1 is out."]),
        ("Really?! Yes.", ["Really?! ", "Yes."]),
        ("He said “Stop.” Then he left.", ["He said “Stop.” ", "Then he left."]),
        ('"Really?" he said. "Yes."', ['"Really?" he said. ', '"Yes."']),
        ("(See below.) Next.", ["(See below.) ", "Next."]),
        ("Well... maybe. Wait… What?", ["Well... maybe. ", "Wait… ", "What?"]),
        ("Dr. Hill and Mrs. Day met J. R. Smith.", ["Dr. Hill and Mrs. Day met J. R. Smith."]),
        ("Use fruit, e.g. Apples. Or not.", ["Use fruit, e.g. Apples. ", "Or not."]),
        ("So do I. Then go.", ["So do I. ", "Then go."]),
        ("No. 5 is alive. No. It is not.", ["No. 5 is alive. ", "No. ", "It is not."]),
        ("At 5 p.m. On Monday.", ["At 5 p.m. On Monday."]),
        ("retellai.com is a site. Go.", ["retellai.com is a site. ", "Go."]),
        ("One\n\nTwo\n- three", ["One\n\n", "Two\n", "- three"]),
        ("你好。今天天气好吗？好！", ["你好。", "今天天气好吗？", "好！"]),
        ("「はい。」そうです。", ["「はい。」", "そうです。"]),
        ("no end at all", ["no end at all"]),
        ("", []),
        ("...", ["..."]),
        ("What?Now.", ["What?Now."]),
        ("¿Qué tal? Bien. ¡Adiós!", ["¿Qué tal? ", "Bien. ", "¡Adiós!"]),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    assert split(text) == expected
    assert split(text, size=1) == expected


def test_the_first_is_out_before_the_text_is_complete() -> None:
    sentences = Sentences()
    assert sentences.feed("Let me see. ") == []  # "e.g. " would look the same
    assert sentences.feed("I") == ["Let me see. "]
    assert sentences.finish() == ["I"]


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("Let me check.", ["Let me check."]),
        ("Let me check. ", ["Let me check. "]),
        ("Wait, Dr.", []),
        ("Let me", []),
        ("", []),
        ("First. Then wait", []),
    ],
)
def test_in_a_pause_a_whole_sentence_does_not_wait(text: str, out: list[str]) -> None:
    sentences = Sentences()
    before = sentences.feed(text)
    assert sentences.pause() == out
    assert "".join(before + out + sentences.finish()) == text


def test_what_has_no_end_is_cut_at_a_comma_at_a_space_or_anywhere() -> None:
    commas = ("and then another thing, " * 20).strip()
    pieces = split(commas)
    assert all(len(each) <= LONGEST and each.endswith(", ") for each in pieces[:-1])
    spaces = split("word " * 100)
    assert all(len(each) <= LONGEST and each.endswith(" ") for each in spaces[:-1])
    assert [len(each) for each in split("x" * 450)] == [200, 200, 50]


@pytest.mark.parametrize("text", ["." * 1000, "Wait. " + " " * 1000, "\n" * 1000])
def test_a_sentence_is_not_waited_for_endlessly(text: str) -> None:
    """A model in a loop: what follows the mark may never come."""
    assert len("".join(Sentences().feed(text))) >= 500


@pytest.mark.parametrize("text", ["word ", ".", " "])
def test_a_text_of_any_length_is_cut_at_once(text: str) -> None:
    began = time.process_time()
    assert "".join(split(text * 50_000)) == text * 50_000
    assert time.process_time() - began < 10  # under one; with the square of its length, minutes


TEXTS = st.text(alphabet='aB1 .!?…,\n"”)。Dr', max_size=700)


@given(TEXTS)
def test_the_sentences_joined_are_the_text(text: str) -> None:
    sentences = split(text)
    assert "".join(sentences) == text
    assert all(sentences)


@given(st.lists(TEXTS.map(lambda text: text[:90]), max_size=12))
def test_the_pieces_in_which_it_comes_make_no_difference(pieces: list[str]) -> None:
    sentences = Sentences()
    found = [each for piece in pieces for each in sentences.feed(piece)]
    assert found + sentences.finish() == split("".join(pieces))


@given(st.lists(TEXTS.map(lambda text: text[:90]), max_size=6))
def test_pauses_lose_nothing(pieces: list[str]) -> None:
    sentences = Sentences()
    found = []
    for piece in pieces:
        found += sentences.feed(piece) + sentences.pause()
    assert "".join(found + sentences.finish()) == "".join(pieces)
