"""Who speaks is added to what a canceller leaves of them: what is missing, and not for long."""

import numpy as np
import pytest

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power
from retell_voice.echo.bypass import Bypass

RATE = 16000
SIZE = RATE // 100
NEAR = np.tile(np.array([1000, -1000], np.int16), SIZE // 2)
HEARD = 1000.0**2


def blocks(bypass: Bypass, count: int, *, speaks: bool, left: float) -> list[Samples]:
    done = np.full(SIZE, round(left**0.5), np.int16)
    return [bypass.apply(done, NEAR, speaks=speaks, left=left, heard=HEARD) for _ in range(count)]


def test_where_nobody_speaks_nothing_is_added() -> None:
    out = blocks(Bypass(RATE, 0.01), 10, speaks=False, left=0.0)
    assert not np.concatenate(out).any()


def test_where_the_canceller_lets_them_through_nothing_is_added() -> None:
    out = blocks(Bypass(RATE, 0.01), 10, speaks=True, left=HEARD / 3)
    assert {int(each) for each in np.concatenate(out)} == {577}


@pytest.mark.parametrize("left", [0.0, 100.0, HEARD / 10])
def test_who_is_suppressed_is_heard_6_db_below_the_microphone(left: float) -> None:
    *_, last = blocks(Bypass(RATE, 0.01), 5, speaks=True, left=left)
    assert power(last) == pytest.approx(HEARD / 4, rel=0.02)


def test_automatic_gain_is_kept() -> None:
    bypass, done = Bypass(RATE, 0.01), np.zeros(SIZE, np.int16)
    for _ in range(5):
        out = bypass.apply(done, NEAR, speaks=True, left=0.0, heard=HEARD, amplified=2.0)
    assert power(out) == pytest.approx(HEARD, rel=0.02)


def test_it_is_as_late_as_the_canceller() -> None:
    """Else the two would extinguish each other at some pitches."""
    bypass, done = Bypass(RATE, 0.0153), np.zeros(SIZE, np.int16)
    near = np.zeros(30 * SIZE, np.int16)
    near[20 * SIZE] = 8000
    out = [
        bypass.apply(done, near[at : at + SIZE], speaks=True, left=0.0, heard=1000.0)
        for at in range(0, len(near), SIZE)
    ]
    (heard,) = np.flatnonzero(np.concatenate(out))
    assert heard - 20 * SIZE == round(0.0153 * RATE)


def test_it_adds_no_more_than_there_is_room_for() -> None:
    bypass, loud = Bypass(RATE, 0.01), np.full(SIZE, 20000, np.int16)
    for _ in range(5):
        out = bypass.apply(loud // 2, loud, speaks=True, left=0.0, heard=4e8, amplified=10.0)
    assert out.max() == pytest.approx(32767, abs=1), "up to full scale"
    assert out.min() >= 32760, "and nothing is cut off"


def test_it_ends_after_half_a_second_and_helps_again_after_a_pause() -> None:
    bypass = Bypass(RATE, 0.01)
    out = blocks(bypass, 100, speaks=True, left=0.0)
    assert power(out[48]) > HEARD / 5
    assert power(out[75]) == 0.0
    blocks(bypass, 30, speaks=False, left=0.0)
    assert power(blocks(bypass, 5, speaks=True, left=0.0)[-1]) == 0.0, "too short a pause"
    blocks(bypass, 50, speaks=False, left=0.0)
    assert power(blocks(bypass, 5, speaks=True, left=0.0)[-1]) > HEARD / 5


def test_nothing_clicks() -> None:
    bypass, constant = Bypass(RATE, 0.01), np.full(SIZE, 1000, np.int16)
    silence = np.zeros(SIZE, np.int16)
    out = [
        bypass.apply(silence, constant, speaks=5 <= n < 30, left=0.0, heard=HEARD)
        for n in range(60)
    ]
    assert np.abs(np.diff(np.concatenate(out).astype(int))).max() <= 4
    assert not out[-1].any()


def test_a_reset_forgets() -> None:
    bypass = Bypass(RATE, 0.01)
    blocks(bypass, 60, speaks=True, left=0.0)
    bypass.reset()
    assert power(blocks(bypass, 5, speaks=True, left=0.0)[-1]) > HEARD / 5
