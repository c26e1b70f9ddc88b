"""What the agent says, in pieces of 20 ms."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.gateway.agent_stream import AgentStream

RATE = 24000
FRAME = 480


@given(st.lists(st.integers(0, 2000), max_size=8))
def test_all_that_is_said_comes_out_and_then_silence(sizes: list[int]) -> None:
    stream = AgentStream(RATE)
    said = np.arange(1, sum(sizes) + 1, dtype=np.int16)
    for piece in np.split(said, np.cumsum(sizes)[:-1]) if sizes else []:
        stream.push(piece)
    assert stream.waiting == len(said)
    out = np.concatenate([stream.pull() for _ in range(len(said) // FRAME + 2)])
    assert out[: len(said)].tolist() == said.tolist()
    assert not out[len(said) :].any()
    assert stream.waiting == 0


def test_a_clear_fades_out_within_six_milliseconds() -> None:
    stream = AgentStream(RATE)
    stream.push(np.full(RATE, 10000, np.int16))
    assert (stream.pull() == 10000).all()
    stream.clear()
    stream.push(np.full(10, 77, np.int16))
    out = stream.pull()
    fade = out[: RATE * 6 // 1000].astype(int)
    assert fade[0] == 10000
    assert (np.diff(fade) < 0).all()
    assert out[len(fade) : len(fade) + 10].tolist() == [77] * 10
    assert not out[len(fade) + 10 :].any()


def test_a_clear_of_nothing_is_nothing() -> None:
    stream = AgentStream(RATE)
    stream.clear()
    assert not stream.pull().any()


def test_there_is_room_until_it_is_full() -> None:
    stream = AgentStream(RATE, limit=0.04)
    stream.push(np.zeros(2 * FRAME - 1, np.int16))
    assert stream.has_room
    stream.push(np.zeros(1, np.int16))
    assert not stream.has_room
    stream.pull()
    assert stream.has_room
