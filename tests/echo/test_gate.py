"""The gate: down to the noise and no further, and without a click."""

from itertools import pairwise

import numpy as np
import pytest

from retell_voice.audio.format import Samples
from retell_voice.echo.gate import Gate

RATE = 16000
BLOCK = RATE // 100


def noise(blocks: int, rms: float) -> Samples:
    values = np.random.default_rng(1).normal(0, rms, blocks * BLOCK)
    return np.rint(values).astype(np.int16)


def tone(blocks: int) -> Samples:
    place = np.arange(blocks * BLOCK) / RATE
    return np.rint(8000 * np.sin(2 * np.pi * 250 * place)).astype(np.int16)


def through(gate: Gate, samples: Samples, **how: bool) -> Samples:
    starts = range(0, len(samples), BLOCK)
    return np.concatenate([gate.apply(samples[i : i + BLOCK], **how) for i in starts])


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


def test_open_it_changes_nothing() -> None:
    gate, sound = Gate(RATE), tone(3)
    assert gate.apply(sound[:BLOCK], closed=False).base is sound
    assert np.array_equal(through(gate, sound, closed=False), sound)


@pytest.mark.parametrize("level", [4.0, 30.0, 300.0])
def test_closed_it_leaves_the_noise_of_the_room(level: float) -> None:
    gate = Gate(RATE)
    through(gate, noise(100, level), closed=False)
    closed = through(gate, tone(20), closed=True)
    assert 0.5 * level < rms(closed[BLOCK:]) < 2 * level


def test_noise_alone_stays_about_as_loud() -> None:
    gate, hiss = Gate(RATE), noise(100, 50)
    through(gate, hiss, closed=False)
    assert rms(through(gate, hiss, closed=True)) == pytest.approx(50, rel=0.2)


def test_it_closes_within_the_block_and_opens_bit_by_bit() -> None:
    gate = Gate(RATE)
    through(gate, noise(50, 8), closed=False)
    first = gate.apply(tone(1), closed=True)
    assert rms(first[BLOCK // 2 :]) < 20
    gains = []
    for _ in range(40):
        gate.apply(tone(1), closed=False)
        gains.append(gate.gain)
    assert all(after / before <= 10 ** (2.01 / 20) for before, after in pairwise(gains))
    assert gains[10] < 0.1
    assert gains[-1] == 1.0


def test_at_once_it_is_open_in_the_same_block() -> None:
    gate, sound = Gate(RATE), tone(1)
    through(gate, noise(50, 8), closed=False)
    gate.apply(sound, closed=True)
    opened = gate.apply(sound, closed=False, at_once=True)
    assert np.array_equal(opened[BLOCK // 2 :], sound[BLOCK // 2 :])
    assert gate.gain == 1.0


def test_nothing_clicks() -> None:
    gate, sound = Gate(RATE), tone(12)
    through(gate, noise(50, 8), closed=False)
    parts = [
        gate.apply(sound[i * BLOCK : (i + 1) * BLOCK], closed=3 <= i < 7, at_once=i >= 7)
        for i in range(12)
    ]
    steepest = int(np.max(np.abs(np.diff(sound.astype(int)))))
    ramp = 8000 / (BLOCK / 2)
    assert np.max(np.abs(np.diff(np.concatenate(parts).astype(int)))) <= steepest + ramp + 2


def test_reset_opens_it() -> None:
    gate, sound = Gate(RATE), tone(1)
    through(gate, noise(50, 8), closed=False)
    gate.apply(sound, closed=True)
    gate.reset()
    assert np.array_equal(gate.apply(sound, closed=False), sound)


def test_digital_silence_is_no_trouble() -> None:
    gate, silence = Gate(RATE), np.zeros(BLOCK, np.int16)
    for closed in (True, False, True):
        assert not gate.apply(silence, closed=closed).any()
