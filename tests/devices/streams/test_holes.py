"""What a stream has lost shows in the times of its blocks, and jitter does not pass for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retell_voice.devices.streams.holes import Holes

RATE = 24000
SIZE = 240
NOON = 12 * 3600.0


def found(late: NDArray[np.float64]) -> list[tuple[int, float]]:
    """Return the holes in blocks that are so late each, seconds, and after which block."""
    holes = Holes(RATE)
    told = [holes.note_rt(NOON + n * SIZE / RATE + each, SIZE) for n, each in enumerate(late)]
    return [(number, each) for number, each in enumerate(told) if each]


def jittered(seed: int, jitter: float, count: int = 400) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-jitter, jitter, count)


@pytest.mark.parametrize("lost", [0.005, 0.01, 0.03, 0.1, 1.0])
@pytest.mark.parametrize("jitter", [0.0, 0.0003, 0.001])
def test_a_hole_is_found_within_three_blocks(lost: float, jitter: float) -> None:
    late = jittered(1, jitter)
    late[200:] += lost
    assert found(late) == [(202, pytest.approx(lost, abs=0.003))]


@pytest.mark.parametrize("lost", [0.03, 0.1])
def test_where_times_jitter_by_3_ms_a_long_hole_is_found(lost: float) -> None:
    late = jittered(1, 0.003)
    late[200:] += lost
    ((number, length),) = found(late)
    assert 202 <= number < 220
    assert length == pytest.approx(lost, abs=0.006)


def test_each_of_several_holes_is_found() -> None:
    late = jittered(1, 0.0002)
    late[100:] += 0.0213
    late[110:] += 0.0107
    late[300:] += 0.1917
    assert [number for number, _ in found(late)] == [102, 112, 302]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.005))
def test_jitter_is_no_hole(seed: int, jitter: float) -> None:
    assert found(jittered(seed, jitter)) == []


def test_a_clock_that_drifts_is_no_hole() -> None:
    assert found(np.linspace(0.0, 0.05, 20000)) == []


def test_blocks_that_were_late_and_come_at_once_are_no_hole() -> None:
    """Where a device does not tell its latency, times are those of arrival."""
    late = jittered(1, 0.0003)
    late[200:210] += np.arange(0.1, 0.0, -0.01)
    assert found(late) == []


def test_blocks_dated_early_until_all_are_read_are_no_hole() -> None:
    """PulseAudio's plugin claims at least 10 ms of latency, also for what came at once."""
    late = jittered(1, 0.0003)
    late[200:227] -= 0.01
    assert found(late) == []


def test_a_single_time_that_is_wrong_is_no_hole() -> None:
    late = jittered(1, 0.0003)
    late[[100, 200, 201, 300]] += 0.0046
    assert found(late) == []


def test_times_that_move_without_agreeing_are_believed_in_the_end() -> None:
    late = jittered(1, 0.0003, 600)
    late[100:140] += np.linspace(0.03, 0.3, 40)
    late[140:] += 0.3
    late[500:] += 0.02
    assert found(late)[-1] == (502, pytest.approx(0.02, abs=0.002))
