"""Loudness without clicks and without clipping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.gain import Gain

RATE = 8000


def sine(level: float, seconds: float = 0.5) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.rint(32767 * level * np.sin(2 * np.pi * 200 * t)).astype(np.int16)


def settled(value: float) -> Gain:
    gain = Gain(RATE)
    gain.value = value
    gain.apply_rt(np.zeros(RATE, np.int16))
    return gain


def test_one_is_bit_exact() -> None:
    samples = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    for gain in (Gain(RATE), settled(1.0)):
        played = samples.copy()
        gain.apply_rt(played)
        assert (played == samples).all()


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 0.9])
def test_softer_is_exact_to_a_bit(value: float) -> None:
    samples = sine(0.9)
    played = samples.copy()
    settled(value).apply_rt(played)
    assert np.abs(played - samples * value).max() <= 0.5


def test_louder_is_exact_where_there_is_room() -> None:
    samples = sine(0.34)
    played = samples.copy()
    settled(2.0).apply_rt(played)
    assert np.abs(played - samples * 2.0).max() <= 0.5


def test_louder_than_full_scale_bends_and_is_never_cut() -> None:
    samples = sine(0.9)
    played = samples.copy()
    settled(2.0).apply_rt(played)
    assert played.max() <= 32767
    assert (played[1:] == played[:-1])[np.abs(played[1:]) > 32000].mean() < 0.5
    order = np.argsort(samples, kind="stable")
    assert (np.diff(played[order].astype(np.int32)) >= 0).all(), "louder stays louder"


def test_it_may_begin_with_any_gain() -> None:
    played = sine(0.5)
    Gain(RATE, 0.0).apply_rt(played)
    assert not played.any()


def test_a_change_makes_no_click() -> None:
    gain, samples = Gain(RATE), sine(0.5, 1.0)
    steepest = np.abs(np.diff(samples.astype(np.int32))).max()
    played = samples.copy()
    for number, start in enumerate(range(0, len(samples), 80)):
        if number == 20:
            gain.value = 0.0
        gain.apply_rt(played[start : start + 80])
    assert np.abs(np.diff(played.astype(np.int32))).max() <= steepest * 1.5
    assert not played[20 * 80 + 160 :].any(), "silent within 20 ms"
    assert (played[: 20 * 80] == samples[: 20 * 80]).all()


def test_changes_faster_than_a_ramp_make_no_click_either() -> None:
    """A slider that is dragged about."""
    gain, samples = Gain(RATE), np.full(RATE // 2, 10000, np.int16)
    for number, start in enumerate(range(0, len(samples), 40)):
        gain.value = (0.0, 1.0, 0.5, 1.0)[number % 4]
        gain.apply_rt(samples[start : start + 40])
    steps = np.abs(np.diff(samples.astype(np.int32)))
    assert steps.max() <= 10000 / 100
    assert steps.any()


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 300)), max_size=20))
def test_any_changes_in_blocks_of_any_size(steps: list[tuple[float, int]]) -> None:
    gain = Gain(RATE)
    for value, size in steps:
        gain.value = value
        block = np.full(size, -32768, np.int16)
        gain.apply_rt(block)
        assert (block <= 0).all()


@pytest.mark.parametrize("value", [-0.1, 2.1, float("nan")])
def test_no_other_gains(value: float) -> None:
    with pytest.raises(ValueError, match="outside 0–2"):
        Gain(RATE).value = value
