"""Samples on both sides of the point of play."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.packets.sync_buffer import SyncBuffer


def ramp(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count).astype(np.int16)


def test_what_was_played_is_history() -> None:
    sync = SyncBuffer(4, 10)
    sync.append(ramp(1, 6))
    assert sync.history.tolist() == [0, 0, 0, 0]
    out = np.zeros(5, np.int16)
    assert sync.take(out) == 5
    assert out.tolist() == [1, 2, 3, 4, 5]
    assert sync.history.tolist() == [2, 3, 4, 5]
    assert sync.waiting.tolist() == [6]
    assert sync.take(out) == 1
    assert len(sync) == 0
    sync.clear()
    assert not sync.history.any()


def test_views_of_it_may_replace_what_waits() -> None:
    sync = SyncBuffer(2, 10)
    sync.append(ramp(1, 6))
    sync.take(np.zeros(2, np.int16))
    sync.replace(sync.waiting[1:])
    assert sync.waiting.tolist() == [4, 5, 6]
    assert sync.history.tolist() == [1, 2]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=60))
def test_nothing_is_lost_however_much_waits(steps: list[tuple[bool, int]]) -> None:
    sync = SyncBuffer(8, 10)
    put, got = 0, 0
    for adds, count in steps:
        if adds:
            sync.append(ramp(put, count))
            put += count
        else:
            out = np.full(count, -1, np.int16)
            taken = sync.take(out)
            assert out[:taken].tolist() == ramp(got, taken).tolist()
            got += taken
        assert len(sync) == put - got
        assert sync.history.tolist() == [max(0, each) for each in range(got - 8, got)]
