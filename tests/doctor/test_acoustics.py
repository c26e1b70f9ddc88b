"""The chime is found where it is and nowhere else; levels and clocks are judged."""

import numpy as np
import pytest

from retell_voice.audio.resample import resample_whole
from retell_voice.devices.files import read_wav
from retell_voice.doctor.acoustics import (
    CHIME_SECONDS,
    chime,
    find_chime,
    judge_clock,
    judge_level,
    judge_round_trip,
    loudness,
)
from retell_voice.doctor.findings import Verdict
from retell_voice.emulator import CALLER

RATES = (8000, 16000, 24000, 44100, 48000)
PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL


def noise(count: int, dbfs: float) -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.normal(0, 32768 * 10 ** (dbfs / 20), count)


def heard(at: int, rate: int, *, gain: float = 1.0, background: float = -60.0) -> np.ndarray:
    out = noise(2 * rate, background)
    bell = chime(rate)
    out[at : at + len(bell)] += bell * gain
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("rate", RATES)
def test_a_chime_is_as_long_as_it_says_and_never_too_loud(rate: int) -> None:
    bell = chime(rate)
    assert len(bell) == round(CHIME_SECONDS * rate)
    assert 8000 < np.max(np.abs(bell)) < 12000
    assert bell[0] == 0
    assert abs(int(bell[-1])) < 50


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("at", [0, 1, 4567])
def test_a_chime_is_found_to_the_sample(rate: int, at: int) -> None:
    assert find_chime(heard(at, rate), rate) == at


def test_a_chime_is_found_when_faint_upside_down_or_in_an_echo() -> None:
    rate = 16000
    assert find_chime(heard(5000, rate, gain=0.02, background=-55), rate) == 5000
    assert find_chime(heard(5000, rate, gain=-0.5), rate) == 5000
    bell = chime(rate)
    room = heard(5000, rate)
    for delay, gain in ((300, 0.6), (1100, 0.5), (2500, 0.3)):
        room[5000 + delay :][: len(bell)] += np.rint(bell * gain).astype(np.int16)
    assert find_chime(room, rate) == 5000


def test_a_chime_of_another_rate_is_found_after_resampling() -> None:
    at = find_chime(resample_whole(heard(4410, 44100), 44100, 24000), 24000)
    assert at == pytest.approx(2400, abs=2)


@pytest.mark.parametrize("background", [-100.0, -60.0, -20.0])
def test_noise_and_silence_are_no_chime(background: float) -> None:
    assert find_chime(heard(0, 16000, gain=0.0, background=background), 16000) is None


def test_speech_is_no_chime() -> None:
    samples, rate = read_wav(CALLER)
    assert find_chime(samples[: 5 * rate], rate) is None


def test_too_little_is_no_chime() -> None:
    assert find_chime(np.zeros(10, np.int16), 16000) is None


def test_loudness_tells_voice_from_background() -> None:
    rate = 16000
    samples = heard(8000, rate)
    level = loudness(samples, rate)
    assert level.noise == pytest.approx(-60, abs=1)
    assert level.voice == pytest.approx(-13.5, abs=1)
    assert level.clipped == 0


def tone(dbfs: float, rate: int = 16000) -> np.ndarray:
    wave = np.sin(np.arange(rate) / 5) * 32768 * 10 ** (dbfs / 20)
    silent = noise(rate, -65)
    return np.clip(np.concatenate((wave, silent)), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    ("samples", "verdict", "word"),
    [
        (np.zeros(16000, np.int16), FAIL, "unmute"),
        (np.zeros(0, np.int16), FAIL, "unmute"),
        (tone(-10), PASS, ""),
        (tone(-55), WARN, "quiet"),
        (tone(6), WARN, "overdriven"),
        (noise(32000, -30).astype(np.int16), WARN, "background"),
    ],
)
def test_levels(samples: np.ndarray, verdict: Verdict, word: str) -> None:
    finding = judge_level(samples, 16000, "unmute")
    assert finding.verdict is verdict
    assert word in finding.hint


def test_round_trips() -> None:
    assert judge_round_trip([0.03, 0.05, 0.04]).figures["round_trip_ms"] == 40.0
    some = judge_round_trip([None, 0.03, None])
    assert some.verdict is PASS
    assert "1 of 3" in some.says
    assert judge_round_trip([0.4, 0.3, 0.5]).verdict is WARN
    assert judge_round_trip([None, None]).verdict is WARN


@pytest.mark.parametrize(
    ("rate", "samples", "seconds", "verdict"),
    [
        (48000, 192000, 4.0, PASS),
        (48000, 192400, 4.0, PASS),
        (48000, 176400, 4.0, WARN),
        (44100, 192000, 4.0, WARN),
        (16000, 0, 4.0, WARN),
        (16000, 0, 0.0, PASS),
    ],
)
def test_clocks(rate: int, samples: int, seconds: float, verdict: Verdict) -> None:
    assert judge_clock("microphone", rate, samples, seconds).verdict is verdict
