from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.speech import babble

from retell_voice.audio.format import Samples
from retell_voice.audio.speech_spans import SpeechSpans

RATE = 8000


def noise(dbfs: float, seconds: float, rate: int = RATE) -> Samples:
    drawn = np.random.default_rng(5).normal(0, 32768 * 10 ** (dbfs / 20), round(seconds * rate))
    return drawn.round().clip(-32768, 32767).astype(np.int16)


def heard(*parts: Samples, rate: int = RATE, block: int = 80) -> SpeechSpans:
    spans = SpeechSpans(rate)
    samples = np.concatenate(parts)
    for at in range(0, len(samples), block):
        spans.listen(samples[at : at + block], 100 + at / rate)
    return spans


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
@pytest.mark.parametrize("room", [-90, -60, -45])
def test_speech_begins_and_ends_when_it_does(rate: int, room: float) -> None:
    parts = [noise(dbfs, 0.8, rate) for dbfs in (room, -20, room, -25, room)]
    first, second = heard(*parts, rate=rate, block=rate // 100).spans
    assert first == pytest.approx((100.8, 101.6), abs=0.015)
    assert second == pytest.approx((102.4, 103.2), abs=0.015)


def test_pauses_between_words_are_no_end() -> None:
    (span,) = heard(noise(-70, 0.5), babble(3.0, RATE), noise(-70, 1)).spans
    assert span == pytest.approx((100.5, 103.5), abs=0.3)


def test_a_click_is_no_speech() -> None:
    click = np.concatenate((np.full(160, 20000, np.int16), noise(-70, 0.5)))
    assert heard(noise(-70, 1), *[click] * 5).spans == ()


def test_noise_that_begins_is_no_speech_for_long() -> None:
    """A fan: its noise is taken for speech until the floor has come up to it."""
    spans = heard(noise(-60, 1), noise(-48, 20), noise(-25, 1), noise(-48, 1)).spans
    assert spans[-1] == pytest.approx((121, 122), abs=0.02)


def test_digital_silence_is_no_noise_floor() -> None:
    """Muting passes on zeros; the room is as loud as before when they are over."""
    muted = np.zeros(RATE, np.int16)
    assert heard(noise(-52, 1), muted, noise(-52, 1)).spans == ()


@given(st.lists(st.integers(0, 700), max_size=40))
def test_it_is_the_same_in_blocks_of_any_size(sizes: list[int]) -> None:
    samples = np.concatenate((noise(-60, 0.2), noise(-30, 0.3), noise(-60, 0.4), noise(-30, 1)))
    samples = samples[: sum(sizes)]
    pieces, at = SpeechSpans(RATE), 0
    for size in sizes:
        pieces.listen(samples[at : at + size], 100 + at / RATE)
        at += size
    whole = SpeechSpans(RATE)
    whole.listen(samples, 100)
    assert np.array(pieces.spans) == pytest.approx(np.array(whole.spans))
