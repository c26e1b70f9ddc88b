"""Voice-activity detection: noise, speech, steps, sizes and rates."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.format import Samples
from retell_voice.emulator.recordings import CALLER, GREETING, load_speech
from retell_voice.emulator.speech.vad import Boundary, EnergyDetector, Gate

RATES = [8000, 11025, 16000, 22050, 24000, 44100, 48000]


def noise(seconds: float, rate: int, dbfs: float) -> Samples:
    scale = 32768 * 10 ** (dbfs / 20)
    drawn = np.random.default_rng(1).standard_normal(int(seconds * rate))
    return (drawn * scale).clip(-32768, 32767).astype("i2")


def level(samples: Samples, gain_db: float) -> Samples:
    return (samples * 10 ** (gain_db / 20)).astype(np.int16)


def add(*signals: Samples) -> Samples:
    return np.sum(signals, axis=0, dtype=np.int32).clip(-32768, 32767).astype(np.int16)


def ms(boundaries: list[Boundary], rate: int) -> list[int]:
    return [each.at * 1000 // rate for each in boundaries]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("dbfs", [-75, -60, -50, -40, -32])
def test_steady_noise_is_not_speech(rate: int, dbfs: float) -> None:
    assert EnergyDetector(rate).process(noise(10, rate, dbfs)) == []


@pytest.mark.parametrize("rate", [8000, 24000])
def test_a_stream_that_begins_late_is_not_speech(rate: int) -> None:
    late = np.concatenate((np.zeros(rate, np.int16), noise(5, rate, -42)))
    assert EnergyDetector(rate).process(late) == []


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("floor", [-80, -60])
def test_what_a_browsers_canceller_lets_through_is_not_speech(rate: int, floor: float) -> None:
    """200 ms of noise when the far end begins; what is as faint and lasts is somebody's voice."""
    quiet = noise(3, rate, floor)
    detector = EnergyDetector(rate)
    assert detector.process(np.concatenate((quiet, noise(0.2, rate, -48), quiet))) == []
    began, _ = detector.process(np.concatenate((quiet, noise(0.5, rate, -48), quiet)))
    assert began.at == pytest.approx(9.2 * rate, abs=0.03 * rate)


def test_a_constant_offset_is_not_speech() -> None:
    assert EnergyDetector(16000).process(np.full(64000, 3000, np.int16)) == []


def test_a_click_is_not_speech() -> None:
    samples = noise(4, 16000, -60)
    for at in range(16000, 64000, 8000):
        samples[at : at + 800] = 20000 * (-1) ** np.arange(800)
    assert EnergyDetector(16000).process(samples) == []


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("gain", [-12, 0, 12])
@pytest.mark.parametrize("floor", [-90, -60, -45])
def test_recorded_speech_is_found_where_it_is(rate: int, gain: float, floor: float) -> None:
    greeting = load_speech(GREETING, rate).samples
    quiet = np.zeros(rate, np.int16)
    speech = np.concatenate((quiet, level(greeting, gain), quiet))
    began, ended = EnergyDetector(rate).process(
        add(speech, noise(len(speech) / rate, rate, floor)[: len(speech)])
    )
    assert (began.speaking, ended.speaking) == (True, False)
    end = 1.0 + len(greeting) / rate
    assert 0.95 <= began.at / rate <= 1.15
    assert end - 0.3 <= ended.at / rate <= end + 0.05
    assert 0.08 <= (began.known - began.at) / rate <= 0.2
    assert 0.58 <= (ended.known - ended.at) / rate <= 0.62


@pytest.mark.parametrize("rate", [8000, 24000])
def test_a_quiet_microphone_is_heard(rate: int) -> None:
    greeting = level(load_speech(GREETING, rate).samples, -24)
    quiet = np.zeros(rate, np.int16)
    speech = np.concatenate((quiet, greeting, quiet))
    began, ended = EnergyDetector(rate).process(add(speech, noise(6, rate, -68)[: len(speech)]))
    assert began.at / rate <= 1.2
    assert (ended.at - began.at) / rate >= 3.2


def test_what_may_be_a_pause_is_no_speech_yet() -> None:
    rate = 16000
    greeting = load_speech(GREETING, rate).samples
    detector = EnergyDetector(rate)
    detector.process(np.concatenate((np.zeros(rate, np.int16), greeting)))
    ended = detector.spoken_until
    assert detector.process(np.zeros(rate // 2, np.int16)) == []
    assert detector.spoken_until == pytest.approx(ended, abs=rate // 50)
    (boundary,) = detector.process(np.zeros(rate // 2, np.int16))
    assert boundary.at == detector.spoken_until


def test_it_recovers_when_the_noise_steps_up() -> None:
    rate = 16000
    greeting = load_speech(GREETING, rate).samples
    pause = np.zeros(8 * rate, np.int16)
    speech = np.concatenate((pause, level(greeting, 6), pause[: 2 * rate]))
    hum = np.concatenate((noise(4, rate, -70), noise(len(speech) / rate, rate, -38)))
    found = EnergyDetector(rate).process(add(speech, hum[: len(speech)]))
    assert [each.speaking for each in found] == [True, False] * 2
    times = ms(found, rate)
    assert times[0] == 4000
    assert times[1] <= 4000 + 2600  # taken for speech for as long as the floor looks back
    assert times[2] == pytest.approx(8000, abs=150)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=30))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    samples = load_speech(CALLER, 8000).samples[30000:120000]
    whole = EnergyDetector(8000).process(samples)
    detector, pieces, start = EnergyDetector(8000), [], 0
    for cut in [*cuts, len(samples)]:
        pieces += detector.process(samples[start : start + cut])
        start += cut
    assert pieces == whole
    assert len(whole) >= 2


@given(st.lists(st.booleans(), max_size=300))
def test_boundaries_alternate_and_move_forward(frames: list[bool]) -> None:
    gate = Gate(onset=5, release=30)
    found = [gate.step(speech, i * 10, i * 10 + 10) for i, speech in enumerate(frames)]
    boundaries = [each for each in found if each is not None]
    assert [each.speaking for each in boundaries] == [i % 2 == 0 for i in range(len(boundaries))]
    edges = [edge for each in boundaries for edge in (each.at, each.known)]
    assert all(each.at < each.known for each in boundaries)
    assert edges[::2] == sorted(edges[::2])


def test_a_frame_is_cheap() -> None:
    rate = 48000
    frames = np.split(noise(10, rate, -30), 500)
    best = 1.0
    for _ in range(3):
        detector = EnergyDetector(rate)
        started = time.perf_counter()
        for frame in frames:
            detector.process(frame)
        best = min(best, (time.perf_counter() - started) / len(frames))
    assert best < 100e-6  # 10 µs where nothing else runs
