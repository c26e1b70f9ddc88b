"""What is said, cut and in pieces."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.speech.ports import Speech, spread

HELLO = Speech(np.arange(8000, dtype=np.int16), 8000, spread("Hello you out there", 0.0, 1.0))


def test_words_are_spread_by_their_length() -> None:
    assert [word.word for word in HELLO.words] == ["Hello", "you", "out", "there"]
    assert [word.start for word in HELLO.words] == [0.0, 0.3, 0.5, 0.7]
    assert HELLO.words[-1].end == 1.0


def test_it_is_cut_by_words() -> None:
    assert HELLO.until(4000).content == "Hello you"
    assert HELLO.until(4001).content == "Hello you out"
    assert HELLO.until(0).content == "(0.0 s of speech)"
    assert len(HELLO.until(4000).samples) == 4000


def test_without_words_it_says_how_much() -> None:
    assert Speech(HELLO.samples, 8000).until(4000).content == "(0.5 s of speech)"


@given(st.integers(1, 10_000), st.booleans())
def test_the_pieces_joined_are_the_whole(size: int, known: bool) -> None:
    speech = HELLO if known else Speech(HELLO.samples, 8000)
    samples, texts = zip(*speech.chunks(size), strict=True)
    assert np.array_equal(np.concatenate(samples), speech.samples)
    assert "".join(texts) == speech.content
    assert all(len(each) == size for each in samples[:-1])


def test_in_a_transcript_times_count_from_the_start_of_the_call() -> None:
    said = HELLO.utterance("agent", 10.0)
    assert said.content == "Hello you out there"
    assert (said.words[1].start, said.words[1].end) == (10.3, 10.5)
