"""Shorter and longer without a click."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.speech import babble

from retell_voice.audio.packets.time_stretch import TimeStretch, best_start, cross_fade, fade_out

RATES = [8000, 12000, 16000, 24000, 48000]


def voice(rate: int, seconds: float, pitch: float) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    waves = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in (1, 2, 3, 5))
    return np.rint(6000 * waves).astype(np.int16)


def steepest(samples: np.ndarray) -> int:
    return int(np.abs(np.diff(samples.astype(int))).max())


def loudness(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch", [80.0, 123.0, 210.0, 390.0])
def test_whole_periods_go(rate: int, pitch: float) -> None:
    spoken = voice(rate, 0.04, pitch)
    shorter, gone = TimeStretch(rate).shorten(spoken, len(spoken), 0.9)
    assert len(shorter) == len(spoken) - gone
    assert 0.0025 <= gone / rate <= 0.015
    assert gone * pitch / rate == pytest.approx(round(gone * pitch / rate), abs=0.6 * pitch / rate)
    assert steepest(shorter) <= 1.05 * steepest(spoken)
    assert shorter[gone:].tolist() == spoken[2 * gone :].tolist()
    # The periods were in step: none of the sound cancels out.
    assert loudness(shorter[:gone]) == pytest.approx(loudness(spoken[: 2 * gone]), rel=0.1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch", [80.0, 123.0, 210.0, 390.0])
def test_whole_periods_come(rate: int, pitch: float) -> None:
    spoken = voice(rate, 0.06, pitch)
    here = round(0.03 * rate)
    longer, more = TimeStretch(rate).lengthen(spoken[:here], spoken[here:], rate, 0.9)
    assert 0.0025 <= more / rate <= 0.015
    assert len(longer) == len(spoken) - here + more
    assert longer[more:].tolist() == spoken[here:].tolist()
    heard = np.concatenate((spoken[:here], longer))
    assert steepest(heard) <= 1.05 * steepest(spoken)


def test_no_more_goes_or_comes_than_may() -> None:
    stretch = TimeStretch(8000)
    spoken = voice(8000, 0.08, 200.0)  # a period is 40 samples
    for most in (0, 10, 39, 45, 60, 100):
        for count in (
            stretch.shorten(spoken, most, 0.9)[1],
            stretch.lengthen(spoken[:240], spoken[240:], most, 0.9)[1],
        ):
            assert count <= most
            assert (count > 0) is (most >= 40)


def test_what_is_not_alike_stays_as_it_is() -> None:
    noise = np.random.default_rng(1).integers(-9000, 9000, 1440).astype(np.int16)
    stretch = TimeStretch(24000)
    assert stretch.shorten(noise, 1440, 0.9) == (noise, 0)
    assert stretch.lengthen(noise[:720], noise[720:], 1440, 0.9)[1] == 0


def test_of_what_is_quiet_any_number_goes_or_comes() -> None:
    hiss = np.random.default_rng(1).integers(-40, 40, 1440).astype(np.int16)
    stretch = TimeStretch(24000)
    shorter, gone = stretch.shorten(hiss, 333, 2.0)
    assert (gone, len(shorter)) == (333, 1440 - 333)
    longer, more = stretch.lengthen(hiss[:720], hiss[720:], 333, 2.0)
    assert (more, len(longer)) == (333, 720 + 333)
    assert stretch.shorten(np.zeros(480, np.int16), 9999, 2.0)[1] == 480 - 60


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(RATES),
    st.integers(0, 3000),
    st.integers(0, 800),
    st.integers(-5, 3000),
    st.floats(-1, 1),
    st.integers(0, 9),
)
def test_any_piece_of_speech_may_be_stretched(
    rate: int, count: int, history: int, most: int, correlation: float, seed: int
) -> None:
    spoken = SPEECH[seed * 100 :][: count + history]
    played, samples = spoken[:history], spoken[history:]
    stretch = TimeStretch(rate)
    shorter, gone = stretch.shorten(samples, most, correlation)
    assert 0 <= gone <= max(0, most)
    assert len(shorter) == len(samples) - gone
    longer, more = stretch.lengthen(played, samples, most, correlation)
    assert 0 <= more <= max(0, most)
    assert len(longer) == len(samples) + more
    assert longer[more:].tolist() == samples.tolist()


SPEECH = babble(0.5, 8000, pauses=False)


def test_speech_is_found_where_it_goes_on_best() -> None:
    spoken = voice(8000, 0.1, 140.0)
    assert best_start(spoken[100:140], spoken[90:300], 30) == 10
    assert best_start(np.zeros(40, np.int16), spoken, 30) == 0
    assert best_start(spoken[:40], spoken[:40], 30) == 0


def test_fades_begin_and_end_where_they_should() -> None:
    old, new = np.full(9, 1000, np.int16), np.full(9, -1000, np.int16)
    mixed = cross_fade(old, new)
    assert mixed.tolist() == sorted(mixed.tolist(), reverse=True)
    assert (mixed[0], mixed[4], mixed[-1]) == (800, 0, -800)
    assert fade_out(5).tolist() == pytest.approx([1, 0.854, 0.5, 0.146, 0], abs=0.001)
