"""The most that an echo can be: a real one is bounded from above, none is found to be none."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from support.rooms import Room, Scene, db, microphone, power, scene

from retell_voice.audio.format import Samples
from retell_voice.echo.ceiling import Ceiling
from retell_voice.echo.expected import ExpectedEcho
from retell_voice.echo.guard import Guarded
from retell_voice.echo.half_duplex import HalfDuplex
from retell_voice.echo.ports import EchoState
from retell_voice.echo.webrtc import PyWebRtc
from retell_voice.emulator.speech.vad import EnergyDetector

RATE = 16000
BLOCK = RATE // 100
AT = {"half-duplex": (0.8, 4.0, 8.0), "webrtc": (2.2, 6.0, 9.0)}
"""When the user speaks, seconds. The agent begins at 0.5. Over its first words WebRTC's canceller
still muffles the user, and it is not known yet that it should not."""


def without_echo(
    made: Scene, near: Sequence[tuple[float, Samples]], level: float, share: float
) -> Scene:
    """Return a scene with next to no echo, the user that much quieter than the agent."""
    near = [(at, np.rint(each * share).astype(np.int16)) for at, each in near]
    room = Room(level=level)
    return scene(room, RATE, made.far, near, lead=0, tail=0, relative=-level)


def judged(made: Scene) -> tuple[ExpectedEcho, list[bool]]:
    """Return an ``ExpectedEcho`` after a scene, and when it found that no echo is audible."""
    expected, silent = ExpectedEcho(RATE), []
    for i in range(0, len(made.far) - BLOCK + 1, BLOCK):
        expected.step(made.microphone[i : i + BLOCK], made.far[i : i + BLOCK])
        silent.append(expected.inaudible)
    return expected, silent


def test_without_far_end_nothing_is_known() -> None:
    ceiling = Ceiling(30, 10)
    for _ in range(200):
        ceiling.step(np.full(10, 40.0), np.full((30, 10), -90.0), np.zeros((30, 10)))
    assert not ceiling.known.any()


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("lag", [0, 29])
def test_a_bound_is_near_the_echo_where_somebody_fills_half_of_the_time(
    lag: int, every: int
) -> None:
    random = np.random.default_rng(4)
    ceiling, history = Ceiling(30, 10), np.zeros((30, 10))
    for number in range(400 * every):
        history[1:] = history[:-1]
        history[0] = 10 ** random.uniform(3, 6, 10)
        spoken = 10 ** random.uniform(3, 6, 10) * random.integers(2)
        near, far = (10 * np.log10(each + 1e-9) for each in (history[lag] * 0.1 + spoken, history))
        if number % every == 0:
            ceiling.step(near, far, history, every)
    assert ceiling.known.all()
    assert ceiling.lows == pytest.approx(np.full(10, -10), abs=2.5)
    ceiling.reset()
    assert not ceiling.known.any()


@pytest.mark.parametrize("engine", ["piper", "espeak"])
@pytest.mark.parametrize("room", [Room(level=-20), Room(decay=0.3, direct=-30, delay=0.2)], ids=str)
def test_a_real_echo_is_never_taken_for_none(
    room: Room, engine: str, conversation: Callable[..., Scene]
) -> None:
    for at in ((), (0.8, 4.0, 8.0)):
        _, silent = judged(conversation(room, engine, at=at))
        assert not any(silent)


def test_that_there_is_none_is_known_after_a_second_and_stays_so_while_somebody_speaks(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(), at=(3.0, 6.0))
    quiet = Scene(made.room, RATE, made.far, made.near, 0 * made.echo, microphone(made.near))
    _, silent = judged(quiet)
    assert 100 < silent.index(True) < 200
    assert np.mean(silent[200:]) > 0.9


def test_an_echo_that_begins_later_is_found(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), times=2)
    echo = made.echo.copy()
    echo[: 6 * RATE] = 0
    _, silent = judged(Scene(made.room, RATE, made.far, made.near, echo, microphone(echo)))
    assert silent[590]
    assert not any(silent[1200:])


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("level", [-90.0, -45.0, -30.0])
@pytest.mark.parametrize("method", ["webrtc", "half-duplex"])
def test_who_talks_over_the_first_words_where_there_is_no_echo_is_heard(
    method: str, level: float, share: float, conversation: Callable[..., Scene], user: list[Samples]
) -> None:
    near = list(zip(AT[method], user, strict=True))
    made = without_echo(conversation(Room()), near, level, share)
    control = Guarded(PyWebRtc(RATE), RATE) if method == "webrtc" else HalfDuplex(RATE)
    out = made.through(control)
    noticed = [each.known / RATE for each in EnergyDetector(RATE).process(out) if each.speaking]
    for at, said in near:
        ends = at + len(said) / RATE
        here, there = (made.part(each, at + 0.3, ends) for each in (out, made.near))
        assert db(power(here) / power(there)) > -6
        assert any(at < each < at + 1.1 for each in noticed)
    assert all(any(at < each < at + 3 for at in AT[method]) for each in noticed), "it hears itself"


def test_where_there_is_no_echo_it_does_not_pretend_to_have_removed_one(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(), times=2)
    quiet = Scene(made.room, RATE, made.far, made.near, 0 * made.echo, microphone(made.near))
    guarded = Guarded(PyWebRtc(RATE), RATE)
    quiet.through(guarded)
    known = guarded.measures()
    assert (known.state, known.erle) == (EchoState.CONVERGING, None)


def test_a_bound_moves_as_fast_if_only_every_second_block_is_taken() -> None:
    every, second = Ceiling(2, 3), Ceiling(2, 3)
    far, power = np.full((2, 3), 40.0), np.full((2, 3), 1e4)
    for number in range(600):
        near = np.full(3, 20.0 if number < 300 else 30.0)
        every.step(near, far, power)
        if number < 200 or number % 2:
            second.step(near, far, power, 1 if number < 200 else 2)
        if number in (299, 330, 599):
            assert second.lows == pytest.approx(every.lows, abs=1.0)
            assert second.far == pytest.approx(every.far, rel=0.02)
