"""Mumbling: as long as speech, in step with its words, always the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.speech.mumble import MumbleTts, mumble

TEXT = (
    "Good morning, this is the front desk of the hotel. How may I help you today? "
    "We have a quiet room with a view of the garden, or a larger one on the street."
)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_it_takes_as_long_as_saying_it(rate: int) -> None:
    said = mumble(TEXT, rate)
    assert len(said.words) == len(TEXT.split())
    assert 150 <= len(said.words) / said.duration * 60 <= 190  # words a minute


def test_its_words_are_where_the_sound_is() -> None:
    said = mumble("One two, three.", 16000)
    loud = np.abs(said.samples) > 200
    for word in said.words:
        assert loud[round(word.start * 16000) : round(word.end * 16000)].mean() > 0.5
    pause = slice(round(said.words[1].end * 16000) + 16, round(said.words[2].start * 16000) - 16)
    assert len(said.samples[pause]) > 1600
    assert not said.samples[pause].any()


def test_it_is_soft_and_does_not_click() -> None:
    samples = mumble(TEXT, 24000).samples.astype(float) / 32768
    assert 0.02 < np.sqrt(np.mean(samples**2)) < 0.1
    assert np.abs(np.diff(samples)).max() < 0.05


async def test_the_same_text_gives_the_same_sound() -> None:
    first, second = (
        await MumbleTts().synthesize(TEXT, 8000),
        await MumbleTts().synthesize(TEXT, 8000),
    )
    assert np.array_equal(first.samples, second.samples)
    assert first.words == second.words


@pytest.mark.parametrize("text", ["", "  ", "…", "—"])
def test_nothing_to_say_makes_no_sound(text: str) -> None:
    said = mumble(text, 8000)
    assert (len(said.samples), said.words) == (0, ())


@given(st.text(max_size=60), st.sampled_from([8000, 11025, 44100]))
def test_whatever_the_text_words_lie_in_order_within_the_sound(text: str, rate: int) -> None:
    said = mumble(text, rate)
    edges = [edge for word in said.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert not edges or edges[-1] <= said.duration + 0.01
    assert [word.word for word in said.words] in (text.split(), text.split()[: len(said.words)])
