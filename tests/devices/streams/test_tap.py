"""A tap gives back all that was written, with silence for what is missing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.devices.streams.tap import SECONDS, Tap

RATE = 100
SIZE = round(SECONDS * RATE)


@given(st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=30))
def test_what_is_read_is_what_was_written(steps: list[tuple[int, bool]]) -> None:
    tap = Tap(RATE)
    written = np.zeros(0, np.int16)
    read_to = 0
    for count, read in steps:
        block = (np.arange(len(written), len(written) + count) % 30000 + 1).astype(np.int16)
        tap.write_rt(block)
        written = np.concatenate((written, block))
        if read:
            found, position = tap.read(read_to)
            expected = written[read_to:].copy()
            expected[: max(0, len(expected) - SIZE)] = 0
            assert position == len(written)
            assert np.array_equal(found, expected)
            read_to = position


def test_a_gap_is_silence() -> None:
    tap = Tap(RATE)
    tap.write_rt(np.full(5, 7, np.int16), 5)
    tap.write_rt(np.full(5, 9, np.int16), 13)
    found, position = tap.read(0)
    assert found.tolist() == [7] * 5 + [0] * 3 + [9] * 5
    assert position == 13


def test_a_gap_longer_than_the_tap() -> None:
    tap = Tap(RATE)
    tap.write_rt(np.full(5, 7, np.int16), 5)
    tap.write_rt(np.full(5, 9, np.int16), 10 * SIZE)
    found, position = tap.read(5)
    assert position == 10 * SIZE
    assert len(found) == 10 * SIZE - 5
    assert not found[:-5].any()
    assert found[-5:].tolist() == [9] * 5


def test_the_same_position_again_adds_nothing() -> None:
    tap = Tap(RATE)
    tap.write_rt(np.full(5, 7, np.int16), 5)
    assert len(tap.read(5)[0]) == 0
