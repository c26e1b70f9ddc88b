import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.loudness import Loudness


def noise(dbfs: float, count: int) -> np.ndarray:
    drawn = np.random.default_rng(3).normal(0, 32768 * 10 ** (dbfs / 20), count)
    return drawn.round().clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_a_room_is_quiet_and_a_voice_is_not(rate: int) -> None:
    loudness = Loudness(rate)
    loudness.listen(noise(-52, 10 * rate), 0)
    assert (loudness.loud_from, loudness.heard_until) == (None, 10 * rate)
    loudness.listen(noise(-45, rate), 10 * rate)
    assert loudness.loud_from == 10 * rate
    assert loudness.loud_until == 11 * rate
    loudness.listen(np.zeros(rate, np.int16), 11 * rate)
    assert (loudness.loud_until, loudness.heard_until) == (11 * rate, 12 * rate)
    loudness.forget()
    loudness.listen(np.full(rate, -100, np.int16), 12 * rate)
    assert loudness.loud_from is None


def test_the_loudest_there_is_overflows_nothing() -> None:
    loudness = Loudness(48000)
    loudness.listen(np.full(48000, -32768, np.int16), 0)
    assert (loudness.loud_from, loudness.loud_until) == (0, 48000)


@given(st.lists(st.integers(0, 400), max_size=30))
def test_it_is_the_same_in_blocks_of_any_size(sizes: list[int]) -> None:
    samples = np.concatenate((noise(-60, 900), noise(-30, 1100), noise(-60, 10_000)))
    whole, pieces = Loudness(8000), Loudness(8000)
    whole.listen(samples[: sum(sizes)], 0)
    at = 0
    for size in sizes:
        pieces.listen(samples[at : at + size], at)
        at += size
    for name in ("loud_from", "loud_until", "heard_until"):
        assert getattr(pieces, name) == getattr(whole, name)
