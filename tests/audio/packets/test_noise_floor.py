"""How loud it is while nobody speaks."""

import numpy as np
import pytest

from retell_voice.audio.format import Samples
from retell_voice.audio.packets.noise_floor import NoiseFloor

RATE = 8000
FRAME = RATE // 50


def noise(seconds: float, loud: float) -> Samples:
    dice = np.random.default_rng(1)
    return np.rint(dice.normal(0, loud, round(seconds * RATE))).astype(np.int16)


def heard(*sounds: Samples) -> NoiseFloor:
    floor = NoiseFloor(RATE)
    for packet in np.concatenate(sounds).reshape(-1, FRAME):
        floor.hear(packet)
    return floor


@pytest.mark.parametrize("loud", [30.0, 300.0, 3000.0])
def test_noise_is_told_from_what_is_louder(loud: float) -> None:
    floor = heard(noise(1, loud), noise(2, 10 * loud), noise(1, loud))
    assert floor.covers(noise(0.03, loud))
    assert not floor.covers(noise(0.03, 4 * loud))


def test_whoever_speaks_from_the_first_sample_is_no_noise() -> None:
    assert not heard(noise(1, 3000)).covers(noise(0.03, 3000))
    assert not NoiseFloor(RATE).covers(noise(0.03, 3000))


def test_a_pause_of_the_noise_itself_is_forgotten_within_four_seconds() -> None:
    silence = np.zeros(RATE, np.int16)
    assert not heard(silence, noise(2, 300)).covers(noise(0.03, 300))
    assert heard(silence, noise(4, 300)).covers(noise(0.03, 300))
