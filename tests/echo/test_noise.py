"""The noise of a room: beneath speech, and whatever a microphone begins with."""

import numpy as np
import pytest

from retell_voice.echo.noise import Noise


def hiss(blocks: int, power: float) -> np.ndarray:
    """Return mean squares as noise has them in a narrow band, shape (blocks, 1)."""
    return power * np.random.default_rng(4).gamma(8, 1 / 8, (blocks, 1))


def followed(*parts: np.ndarray) -> float:
    """Return what the noise is taken for in the end."""
    noise = Noise(1)
    for block in np.concatenate(parts):
        noise.step(block)
    return float(noise.power[0])


def test_it_is_found_beneath_speech() -> None:
    speech = hiss(400, 1e6) * (np.arange(400)[:, None] % 50 < 42) + hiss(400, 100)
    assert 10 < followed(hiss(50, 100), speech) < 200


@pytest.mark.parametrize(
    "beginning",
    [np.zeros((30, 1)), np.geomspace(0.01, 100, 10)[:, None], hiss(20, 1e6)],
    ids=["silence", "fades in", "speech"],
)
def test_it_is_found_whatever_the_microphone_begins_with(beginning: np.ndarray) -> None:
    assert 10 < followed(beginning, hiss(100, 100)) < 200


def test_muting_leaves_it_as_it_was() -> None:
    before = followed(hiss(100, 100), np.zeros((300, 1)))
    assert 10 < before < 200
    assert not Noise(1).step(np.zeros(1))


def test_it_rises_with_the_noise_but_slowly() -> None:
    assert followed(hiss(100, 100), hiss(100, 1e5)) < 300
    assert followed(hiss(100, 100), hiss(2500, 1e5)) > 1e4
