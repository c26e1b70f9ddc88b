"""Captions follow the voice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.captions import Captions

ONE = Captions().heard("Hello there, friend! ", 10.0, 2.1)  # 21 characters: ten a second


def test_word_by_word() -> None:
    assert ONE.parts(9.0) == ("", "Hello ", "there, friend! ")
    assert ONE.parts(10.5) == ("", "Hello ", "there, friend! ")
    assert ONE.parts(10.65) == ("Hello ", "there, ", "friend! ")
    assert ONE.parts(11.5) == ("Hello there, ", "friend! ", "")
    assert ONE.parts(12.2) == ("Hello there, friend! ", "", "")


def test_the_next_piece_ends_the_one_before() -> None:
    two = ONE.heard("Bye now", 12.0, 1.0)
    assert two.parts(12.0) == ("Hello there, friend! ", "Bye ", "now")
    assert two.stopped(13.2, interrupted=False).text(13.0) == "Hello there, friend! Bye now"


def test_an_interruption_cuts_what_was_not_heard() -> None:
    cut = ONE.stopped(10.65, interrupted=True)
    assert cut.parts(99.0) == ("Hello ", "there, ", "")
    assert cut.text(99.0) == "Hello there,"


def test_pieces_without_length_or_words() -> None:
    assert Captions().heard("at once", 1.0, 0.0).parts(1.0) == ("at once", "", "")
    assert Captions().heard("  ", 1.0, 5.0).parts(2.0) == ("  ", "", "")
    assert Captions().text(1.0) == ""


def test_a_long_utterance_is_bounded() -> None:
    captions = Captions()
    for index in range(5000):
        captions = captions.heard(f"word{index} ", float(index), 1.0)
    assert len(captions.before) <= 10_000
    assert captions.text(9999.0).endswith("word4998 word4999")


@given(st.text(), st.floats(0.01, 10), st.floats(-1, 20))
def test_the_parts_make_up_the_whole(text: str, duration: float, now: float) -> None:
    assert "".join(Captions("so ").heard(text, 0.0, duration).parts(now)) == "so " + text
