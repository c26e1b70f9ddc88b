"""What is echo alone and what is more than that, in rooms and with real voices."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.rooms import Room, Scene, microphone, scene

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.echo.expected import ExpectedEcho
from retell_voice.echo.ports import block_samples

RATE = 16000
ROOMS = [
    Room(),
    Room(decay=0.2, direct=-30, delay=0.02),
    Room(decay=0.3, direct=-30, delay=0.2, level=0, distorts=True),
    Room(decay=0.2, delay=0.15, level=-3, drift=50),
]


def judged(made: Scene, expected: ExpectedEcho | None = None) -> dict[str, np.ndarray]:
    """Return what is found of each block."""
    expected = expected or ExpectedEcho(made.rate)
    size = block_samples(made.rate)
    rows = []
    for i in range(0, len(made.far) - size + 1, size):
        expected.step(made.microphone[i : i + size], made.far[i : i + size])
        rows.append((expected.heard, expected.alone, expected.near, expected.excess))
    columns = np.array(rows, float).T
    return dict(zip(("heard", "alone", "near", "excess"), columns, strict=True))


@pytest.mark.parametrize("engine", ["piper", "espeak"])
@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_the_echo_alone_is_nobody(
    room: Room, engine: str, conversation: Callable[..., Scene]
) -> None:
    expected = ExpectedEcho(RATE)
    found = judged(conversation(room, engine), expected)
    assert not found["near"].any()
    assert found["heard"][100:1100].mean() > 0.7
    assert found["alone"][100:1100].mean() > 0.4
    assert expected.lag == pytest.approx(room.delay, abs=0.03)


@pytest.mark.parametrize("engine", ["piper", "espeak"])
@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_whoever_is_as_loud_as_the_echo_is_noticed(
    room: Room, engine: str, conversation: Callable[..., Scene]
) -> None:
    found = judged(conversation(room, engine, at=(3.0, 9.0)))
    for at in (300, 900):
        assert not found["near"][at - 30 : at].any()
        assert found["near"][at : at + 30].any()


def test_in_a_room_that_is_known_whoever_speaks_up_is_noticed_sooner(
    conversation: Callable[..., Scene],
) -> None:
    alone, both = (conversation(Room(), "espeak", at=at) for at in ((), (3.0, 9.0)))

    def noticed(times: int) -> list[int]:
        expected = ExpectedEcho(RATE)
        for _ in range(times):
            judged(alone, expected)
        near = judged(both, expected)["near"]
        return [int(np.flatnonzero(near[at:])[0]) for at in (300, 900)]

    new, known = noticed(1), noticed(3)
    assert all(np.less(known, new)), (known, new)


def test_whoever_speaks_alone_is_noticed_and_no_echo_is_expected(
    conversation: Callable[..., Scene],
) -> None:
    ends = len(conversation(Room()).far) / RATE
    found = judged(conversation(Room(), at=(ends,), tail=2.5))
    at = round(ends * 100)
    assert found["near"][at : at + 30].any()
    assert not found["near"][:at].any()
    assert not found["heard"][at + 30 :].any()
    assert not found["heard"][:45].any()


def test_with_a_headset_no_echo_is_found(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    expected = ExpectedEcho(RATE)
    found = judged(replace(made, microphone=microphone(0 * made.echo)), expected)
    assert not found["alone"].any()
    assert not found["near"].any()
    assert expected.lag is None


def test_a_speaker_that_is_turned_up_is_somebody_for_a_while_only(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(level=-12), times=2)
    knob = np.where(np.arange(len(made.far)) < 8 * RATE, 1.0, 10 ** (8 / 20))
    found = judged(replace(made, microphone=microphone(made.echo * knob)))
    assert not found["near"][:800].any()
    assert found["near"][800:1000].any()
    assert not found["near"][1200:].any()


def test_a_microphone_muted_in_the_system_teaches_nothing(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(), times=2)
    muted = made.microphone.copy()
    muted[12 * RATE : 16 * RATE] = 0
    found = judged(replace(made, microphone=muted))
    assert not found["near"].any()


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_at_every_rate(rate: int, agents: dict[str, list[Samples]], user: list[Samples]) -> None:
    far, said = (resample_whole(each, RATE, rate) for each in (agents["piper"][1], user[0]))
    found = judged(scene(Room(), rate, far, [(3.0, said)]))
    assert not found["near"][:295].any()
    assert found["near"][300:330].any()


def test_reset_forgets(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    expected = ExpectedEcho(RATE)
    first = judged(made, expected)
    expected.reset()
    assert (expected.lag, expected.near, expected.heard, expected.excess) == (None, False, False, 0)
    again = judged(made, expected)
    assert all(np.array_equal(first[name], again[name]) for name in first)
