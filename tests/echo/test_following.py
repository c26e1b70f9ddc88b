"""Whether the loudness of one sound follows that of another."""

import numpy as np
import pytest

from retell_voice.echo.following import Following


def syllables(blocks: int, seed: int) -> np.ndarray:
    """Return mean squares that go up and down as a voice's do."""
    random = np.random.default_rng(seed)
    knots = random.uniform(10, 60, blocks // 12 + 2)
    return 10 ** (np.interp(np.arange(blocks) / 12, np.arange(len(knots)), knots) / 10)


@pytest.mark.parametrize("lag", [0, 4, 29])
def test_what_is_late_and_quieter_follows(lag: int) -> None:
    far = syllables(400, 1)
    near = np.roll(far, lag) * 0.1
    following = Following(30)
    for here, there in zip(near, far, strict=True):
        following.step(here, there, compare=True)
    assert following.lag == pytest.approx(lag, abs=1)
    assert following.correlation > 0.8


def test_another_voice_does_not() -> None:
    following = Following(30)
    for here, there in zip(syllables(1000, 1), syllables(1000, 2), strict=True):
        following.step(here, there, compare=True)
    assert following.correlation < 0.5


@pytest.mark.parametrize(("near", "far"), [(0.0, 1e6), (1e3, 0.0), (1e3, 1e6)])
def test_what_is_steady_follows_nothing(near: float, far: float) -> None:
    following = Following(30)
    for _ in range(500):
        following.step(near, far, compare=True)
    assert abs(following.correlation) < 0.05


def test_what_is_not_compared_leaves_no_trace_but_the_levels() -> None:
    far = syllables(300, 3)
    following = Following(30)
    for there in far[:100]:
        following.step(0.0, there, compare=False)
    assert (following.blocks, following.correlation) == (0, 0.0)
    for here, there in zip(np.roll(far, 20)[100:], far[100:], strict=True):
        following.step(here, there, compare=True)
    assert following.lag == 20
    following.reset()
    assert (following.blocks, following.lag, following.correlation, following.near) == (0, 0, 0, 0)
