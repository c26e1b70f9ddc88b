"""Both sides of a call in one stream."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.gateway.mixer import Mixer

RATE, FRAME = 24000, 480


def flat(value: int, frames: float) -> np.ndarray:
    return np.full(round(frames * FRAME), value, np.int16)


def test_sources_are_added_up_and_never_overflow() -> None:
    mixer = Mixer(RATE)
    assert not mixer.pull().any()
    mixer.push("agent", flat(30000, 3))
    mixer.push("caller", flat(20000, 2))
    assert mixer.pull().tolist() == [32767] * FRAME
    mixer.pull()
    assert mixer.pull().tolist() == [30000] * FRAME
    assert not mixer.pull().any()


def test_a_source_is_heard_once_it_has_two_frames_and_again_after_a_gap() -> None:
    mixer = Mixer(RATE)
    mixer.push("caller", flat(100, 1))
    assert not mixer.pull().any()
    mixer.push("caller", flat(200, 1))
    assert mixer.pull()[0] == 100
    assert mixer.pull()[0] == 200
    mixer.push("caller", flat(300, 1))
    assert not mixer.pull().any()


def test_a_source_that_is_ahead_loses_its_oldest() -> None:
    mixer = Mixer(RATE)
    for value in range(1, 50):
        mixer.push("agent", flat(value, 1))
    assert mixer.pull()[0] == 40


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3000)), max_size=30))
def test_every_frame_is_whole(pushed: list[tuple[str, int]]) -> None:
    mixer = Mixer(RATE)
    for source, count in pushed:
        mixer.push(source, np.ones(count, np.int16))
        frame = mixer.pull()
        assert frame.shape == (FRAME,)
        assert frame.max() <= 2
