"""From which excess over the expected echo there is near-end speech."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.echo.threshold import Threshold

HIGHEST, LOWEST = 2.5, 1.6
SECOND = 100  # blocks


def heard(threshold: Threshold, excess: float, seconds: float, *, near: bool = False) -> float:
    """Let an echo exceed what is expected for so long; return the threshold."""
    for _ in range(round(seconds * SECOND)):
        threshold.step(excess, near=near)
    return threshold.begins


@pytest.mark.parametrize(
    ("reached", "begins"), [(0.0, LOWEST), (1.0, LOWEST), (1.3, 1.82), (2.1, HIGHEST)]
)
def test_it_is_just_above_what_echoes_reach_once_the_room_is_known(
    reached: float, begins: float
) -> None:
    threshold = Threshold()
    assert heard(threshold, reached, 20.0) == HIGHEST
    assert heard(threshold, reached, 1.0) == pytest.approx(begins)
    assert threshold.ends == pytest.approx(0.6 * begins)
    threshold.reset()
    assert (threshold.begins, threshold.ends) == (HIGHEST, 0.6 * HIGHEST)
    assert heard(threshold, reached, 20.0) == HIGHEST


def test_whoever_begins_to_speak_teaches_nothing() -> None:
    threshold = Threshold()
    heard(threshold, 1.2, 30.0)
    known = threshold.begins
    for _ in range(30):
        heard(threshold, 1.2, 1.5)
        heard(threshold, 2.4, 0.5)  # not yet noticed
        heard(threshold, 9.0, 2.0, near=True)
    assert threshold.begins == pytest.approx(known, abs=0.01)


def test_one_surprise_is_remembered_for_minutes_and_not_for_ever() -> None:
    threshold = Threshold()
    heard(threshold, 0.5, 30.0)
    heard(threshold, 1.7, 0.01)
    assert heard(threshold, 0.5, 3.0) == pytest.approx(1.4 * 1.7, rel=0.01)
    assert heard(threshold, 0.5, 60.0) > LOWEST
    assert heard(threshold, 0.5, 60.0) == LOWEST


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans()), max_size=3000))
def test_it_stays_within_bounds_whatever_is_heard(blocks: list[tuple[float, bool]]) -> None:
    threshold = Threshold()
    for excess, near in blocks:
        threshold.step(excess, near=near)
        assert LOWEST <= threshold.begins <= HIGHEST
        assert threshold.ends < threshold.begins
