import tracemalloc

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.resample import _CUTOFF, Resampler, _filter_bank, resample_whole

RATES = [8000, 11025, 16000, 22050, 24000, 44100, 48000]
ODD = [(47999, 48000), (48000, 44101), (8001, 48000)]
PAIRS = [*((a, b) for a in RATES for b in (16000, 44100, 48000) if a != b), *ODD]


def tone(frequency: float, rate: int, seconds: float = 0.25) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return np.rint(20000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def error_db(heard: np.ndarray, frequency: float, rate: int) -> float:
    """Return what is left when the tone is fitted and taken away, dB below the tone."""
    middle = heard[len(heard) // 4 : -len(heard) // 8].astype(float)
    time = np.arange(len(middle)) / rate
    basis = np.stack([f(2 * np.pi * frequency * time) for f in (np.sin, np.cos)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    return 10 * np.log10(np.mean((middle - fitted) ** 2) / np.mean(fitted**2))


@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.75])
def test_tones_pass_clean(a: int, b: int, part: float) -> None:
    frequency = part * min(a, b) / 2
    resampler = Resampler(a, b)
    assert error_db(resampler.process(tone(frequency, a)), frequency, b) < -72


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([*PAIRS, (16000, 16000), (48000, 8000)]),
    st.lists(st.integers(0, 500), max_size=5),
    st.integers(1, 400),
)
def test_what_is_needed_is_just_enough(pair: tuple[int, int], sizes: list[int], count: int) -> None:
    resampler = Resampler(*pair)
    for size in sizes:
        resampler.process(np.zeros(size, np.int16))
    needed = resampler.needed(count)
    early = len(resampler.process(np.zeros(needed - 1, np.int16)))
    assert early < count
    assert early + len(resampler.process(np.zeros(1, np.int16))) >= count


@pytest.mark.parametrize(("a", "b"), [(48000, 16000), (44100, 8000)])
def test_what_the_lower_rate_cannot_carry_is_gone(a: int, b: int) -> None:
    heard = Resampler(a, b).process(tone(0.55 * b, a))
    assert np.max(np.abs(heard[200:])) < 20000 * 10 ** (-70 / 20)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_delay_is_what_it_says_and_short(a: int, b: int) -> None:
    resampler = Resampler(a, b)
    assert resampler.delay <= 0.003
    samples = np.zeros(a // 10, np.int16)
    samples[a // 20] = 30000
    heard = resampler.process(samples)
    # What has come out lags what went in by the delay; in the output, time is unchanged.
    assert len(heard) == pytest.approx((len(samples) / a - resampler.delay) * b, abs=1)
    assert np.argmax(heard) == pytest.approx(a // 20 / a * b, abs=1)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PAIRS), st.lists(st.integers(0, 600), min_size=1, max_size=20))
def test_chunking_changes_nothing(pair: tuple[int, int], sizes: list[int]) -> None:
    samples = np.random.default_rng(1).integers(-30000, 30000, sum(sizes)).astype(np.int16)
    whole = Resampler(*pair).process(samples)
    resampler = Resampler(*pair)
    parts = [resampler.process(part) for part in np.split(samples, np.cumsum(sizes)[:-1])]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_flush_gives_the_rest_and_starts_afresh(a: int, b: int) -> None:
    resampler = Resampler(a, b)
    samples = tone(300, a, 0.0371)
    heard = np.concatenate((resampler.process(samples), resampler.flush()))
    assert len(heard) == pytest.approx(len(samples) * b / a, abs=1)
    assert np.array_equal(np.concatenate((resampler.process(samples), resampler.flush())), heard)


def test_reset_forgets() -> None:
    resampler = Resampler(24000, 48000)
    resampler.process(np.full(1000, 30000, np.int16))
    resampler.reset()
    assert not resampler.process(np.zeros(1000, np.int16)).any()


def test_loud_audio_saturates() -> None:
    square = np.where(np.arange(4800) // 60 % 2, 32767, -32768).astype(np.int16)
    heard = Resampler(48000, 44100).process(square).astype(int)
    assert heard.max() == 32767
    assert heard.min() == -32768
    assert np.mean(np.sign(heard[:-1]) != np.sign(heard[1:])) < 0.05  # no wrapping back and forth


@pytest.mark.parametrize(("a", "b"), ODD)
def test_odd_rates_take_little_memory_and_are_as_good(a: int, b: int) -> None:
    tracemalloc.start()
    resampler = Resampler(a, b)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8e6
    exact = Resampler(a, b)
    exact._phases, exact._steps = exact._up, None
    exact._bank = _filter_bank(exact._up, exact._half, _CUTOFF * min(1, b / a))
    noise = np.random.default_rng(1).integers(-20000, 20000, a // 4).astype(np.int16)
    heard = resampler.process(noise).astype(int)
    assert np.abs(heard - exact.process(noise)).max() <= 1


def test_the_same_rate_is_left_alone() -> None:
    resampler = Resampler(16000, 16000)
    samples = tone(440, 16000)
    assert resampler.delay == 0
    assert np.array_equal(resampler.process(samples), samples)
    assert len(resampler.flush()) == 0


def test_whole_recordings_go_through_soxr() -> None:
    samples = tone(440, 22050)
    heard = resample_whole(samples, 22050, 48000)
    assert np.array_equal(heard, soxr.resample(samples, 22050, 48000, quality="VHQ"))
    assert resample_whole(samples, 8000, 8000) is samples
    assert len(resample_whole(samples[:0], 8000, 16000)) == 0
