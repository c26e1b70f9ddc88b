import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.ring import Ring


@settings(deadline=None)
@given(st.lists(st.integers(0, 25), max_size=20))
def test_a_ring_gives_what_was_written_since_or_its_newest_part(sizes: list[int]) -> None:
    ring, everything, read = Ring(10), np.empty(0, np.int16), 0
    for index, size in enumerate(sizes):
        new = np.arange(size).astype(np.int16) + 100 * index
        ring.write_rt(new)
        everything = np.concatenate((everything, new))
        if index % 2:
            got, end = ring.read(read)
            assert end == len(everything)
            assert got.tolist() == everything[max(read, end - 10) :].tolist()
            read = end


@given(st.integers(0, 60), st.integers(0, 15))
def test_silence_that_is_skipped_over_counts_as_written(skipped: int, after: int) -> None:
    ring = Ring(10)
    ring.write_rt(np.full(7, 5, np.int16))
    ring.skip_rt(skipped)
    ring.write_rt(np.full(after, 6, np.int16))
    whole = [5] * 7 + [0] * skipped + [6] * after
    got, end = ring.read(0)
    assert end == len(whole)
    assert got.tolist() == whole[-10:]


def test_what_stands_between_two_positions() -> None:
    ring = Ring(10)
    ring.write_rt(np.arange(25).astype(np.int16))
    assert ring.between(16, 22).tolist() == [16, 17, 18, 19, 20, 21]
    assert ring.between(20, 20).tolist() == []
