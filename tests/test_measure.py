import numpy as np
import pytest
from support.measure import (
    band_limited,
    compare,
    find,
    first_sound,
    last_sound,
    level_dbfs,
    resampled,
    with_lost_cycles,
)

RATE = 16000


@pytest.fixture(scope="module")
def speech():
    """Two seconds of something with the spectrum and the pauses of speech."""
    rng = np.random.default_rng(1)
    t = np.arange(2 * RATE) / RATE
    noise = np.cumsum(rng.normal(0, 1, len(t)))
    noise -= np.convolve(noise, np.ones(200) / 200, "same")
    voice = noise * np.clip(np.sin(2 * np.pi * 1.5 * t), 0, 1)
    return band_limited(voice / np.max(np.abs(voice)) * 20000, RATE, 6000)


def heard_with(speech, *, delay=0.0, gain=1.0, noise_db=None, seed=2):
    """Delay by any fraction of a sample, scale and add noise: what a perfect channel gives."""
    padded = np.concatenate((speech.astype(float), np.zeros(RATE)))
    omega = 2 * np.pi * np.fft.rfftfreq(len(padded))
    moved = np.fft.irfft(np.fft.rfft(padded) * np.exp(-1j * omega * delay), len(padded)) * gain
    if noise_db is not None:
        power = np.mean((gain * speech.astype(float)) ** 2)
        scale = np.sqrt(power * 10 ** (-noise_db / 10))
        moved += np.random.default_rng(seed).normal(0, scale, len(moved))
    return moved


@pytest.mark.parametrize("delay", [0, 1, 817, -40, 300.5, 1234.27])
def test_delay_is_found_to_a_fraction_of_a_sample(speech, delay):
    match = compare(speech, heard_with(speech, delay=delay), RATE)
    # What moves before the beginning is cut off; the windows there do not count it.
    assert match.delay == pytest.approx(delay / RATE, abs=0.02 / RATE)


@pytest.mark.parametrize("gain", [0.25, 1.0, 1.5])
def test_gain_is_found_and_is_no_noise(speech, gain):
    match = compare(speech, heard_with(speech, delay=100.3, gain=gain), RATE)
    assert match.gain == pytest.approx(gain, rel=1e-3)
    assert match.snr > 60


@pytest.mark.parametrize("noise_db", [10, 30, 45])
def test_noise_is_measured(speech, noise_db):
    # Half of the windows are pauses, which are left out with their noise.
    match = compare(speech, heard_with(speech, delay=55.5, noise_db=noise_db), RATE)
    assert noise_db - 0.5 < match.snr < noise_db + 4


def test_a_slow_drift_is_no_noise(speech):
    t = np.arange(len(speech)) * (1 + 100e-6) + 20
    fine = resampled(speech, RATE, 16 * RATE)
    drifted = np.interp(t * 16 - 20 * 16, np.arange(len(fine)), fine)
    match = compare(speech, drifted, RATE)
    assert match.snr > 40
    assert match.spread == pytest.approx(2 * 100e-6, rel=0.3)


@pytest.mark.parametrize("lost", [1, 40, 320])
def test_lost_audio_is_noise(speech, lost):
    heard = heard_with(speech)
    cut = RATE // 6  # in the middle of the loudest
    assert compare(speech, np.delete(heard, slice(cut, cut + lost)), RATE).snr < 30


def test_a_window_of_silence_is_noise_where_it_is(speech):
    heard = heard_with(speech)
    cut = slice(RATE // 6, RATE // 6 + RATE // 20)
    heard[cut] = 0
    match = compare(speech, heard, RATE)
    assert match.snr < 15
    assert match.worst < 6
    assert abs(match.worst_at - 1 / 6) < 0.1


def test_what_was_never_heard_is_noise(speech):
    assert compare(speech, heard_with(speech)[: len(speech) // 3], RATE).snr < 10


def test_something_else_is_noise(speech):
    other = np.random.default_rng(3).normal(0, 3000, len(speech))
    assert compare(speech, other, RATE).snr < 3


def test_a_silent_reference_is_refused():
    with pytest.raises(ValueError, match="silent"):
        compare(np.zeros(RATE, np.int16), np.zeros(RATE, np.int16), RATE)


def test_find_counts_whole_samples_both_ways(speech):
    assert find(speech, np.concatenate((np.zeros(700), speech))) == 700
    assert find(speech, speech[700:]) == -700


def test_band_limited_removes_what_is_above(speech):
    spectrum = np.abs(np.fft.rfft(band_limited(speech, RATE, 2000).astype(float)))
    frequency = np.fft.rfftfreq(len(speech), 1 / RATE)
    assert spectrum[frequency > 2200].max() < spectrum.max() * 1e-3


def test_only_cycles_that_the_sound_server_lost_are_put_back(speech):
    said = speech.astype(np.int16)
    begin = int(np.flatnonzero(np.abs(said[1000:]) > 1000)[0]) + 1000
    pad = np.zeros(700, np.int16)

    def healed(*parts):
        heard = np.concatenate((pad, *parts, pad))
        return np.array_equal(with_lost_cycles(heard, said, len(pad)), [*pad, *said, *pad])

    def silence(count):
        return np.zeros(count, np.int16)

    assert healed(said)
    for cycles in (256, 512):
        assert healed(said[:begin], silence(cycles), said[begin + cycles :])
    assert not healed(said[:begin], silence(480), said[begin + 480 :]), "a block of the program's"
    assert not healed(said[:begin], silence(256), said[begin:]), "it goes on where it stopped"
    assert not healed(said[:begin], said[begin + 256 :]), "a cut"
    assert not healed(said[:begin], silence(len(said) - begin)), "an end"


def test_levels_and_edges():
    samples = np.zeros(100, np.int16)
    assert level_dbfs(samples) == -100
    assert (first_sound(samples), last_sound(samples)) == (100, 0)
    samples[20:30] = -32768
    assert level_dbfs(samples) == 0
    assert (first_sound(samples), last_sound(samples)) == (20, 30)
