"""What is measured of the echo, and when the agent is said to hear itself."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.rooms import Room, Scene, microphone

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power
from retell_voice.echo.expected import ExpectedEcho
from retell_voice.echo.measure import Meter, SelfHearing
from retell_voice.echo.ports import EchoState

RATE = 16000
BLOCK = RATE // 100


def measured(
    made: Scene, left: Callable[[float], float], meter: Meter, gain: float = 0.0
) -> list[EchoState]:
    """Let something take out echo, ``left`` of it at a time in seconds; return the states."""
    expected, states = ExpectedEcho(RATE), []
    echo = np.rint(made.echo).astype(np.int16)
    for i in range(0, len(made.far) - BLOCK + 1, BLOCK):
        near, far = made.microphone[i : i + BLOCK], made.far[i : i + BLOCK]
        expected.step(near, far)
        done = near - (1 - left(i / RATE)) * echo[i : i + BLOCK]
        done = np.clip(np.rint(done * 10 ** (gain / 20)), -32768, 32767).astype(np.int16)
        meter.step(power(near), far, power(done) / 10 ** (gain / 10), expected)
        states.append(meter.state)
    return states


@pytest.mark.parametrize(("decibels", "gain"), [(10.0, 0.0), (20.0, 0.0), (20.0, 6.0)])
def test_it_measures_what_is_taken_out_and_how_loud_the_echo_was(
    decibels: float, gain: float, conversation: Callable[..., Scene]
) -> None:
    meter = Meter()
    measured(conversation(Room(level=-9)), lambda _: 10 ** (-decibels / 20), meter, gain)
    known = meter.measures()
    assert known.erle == pytest.approx(decibels, abs=0.7)
    assert known.echo == pytest.approx(-9, abs=2.5)
    good = EchoState.CONVERGED if decibels > 12 else EchoState.CONVERGING
    assert known.state is good


def test_nothing_is_known_at_first() -> None:
    known = Meter().measures()
    assert (known.state, known.erle, known.echo) == (EchoState.CONVERGING, None, None)
    assert (known.activity, known.cost, known.guarded) == (0.0, None, False)


def test_somebody_who_speaks_here_is_not_taken_for_echo_that_is_left(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(), at=(3.5, 6.5, 9.5))
    meter = Meter()
    states = measured(made, lambda _: 0.03, meter)
    assert meter.measures().erle == pytest.approx(30, abs=8)
    first = states.index(EchoState.CONVERGED)
    assert set(states[first:]) == {EchoState.CONVERGED}


def test_the_first_second_does_not_count_where_everything_is_suppressed_at_first(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room())
    after = [
        measured(made, lambda _: 0.02, Meter(suppresses_at_first=first)).index(EchoState.CONVERGED)
        for first in (True, False)
    ]
    assert 100 <= after[1] - 50 <= 150 < after[0] - 50 <= 250


def test_it_tells_when_the_echo_is_back(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), times=2)
    states = measured(made, lambda at: 1.0 if 8 <= at < 11 else 0.02, Meter())
    assert states[790] is EchoState.CONVERGED
    assert states[1050] is EchoState.CONVERGING
    assert states[-1] is EchoState.CONVERGED


def told(
    made: Scene,
    sent: Samples,
    size: int = 320,
    clears: tuple[float, ...] = (),
    hearing: SelfHearing | None = None,
) -> list[float]:
    """Return when it is told that the agent hears itself, seconds."""
    hearing, times = hearing or SelfHearing(RATE), []
    due = list(clears)
    for i in range(0, len(sent), size):
        while due and due[0] * RATE < i:
            hearing.cleared()
            due.pop(0)
        if hearing.step(sent[i : i + size], made.far[i : i + size]):
            times.append(i / RATE)
    return times


@pytest.mark.parametrize("engine", ["piper", "espeak"])
@pytest.mark.parametrize(
    "room", [Room(), Room(decay=0.3, direct=-30, delay=0.2), Room(level=-18)], ids=str
)
def test_an_agent_that_hears_itself_is_told_once(
    room: Room, engine: str, conversation: Callable[..., Scene]
) -> None:
    made = conversation(room, engine, times=4)
    assert len(told(made, made.microphone)) == 1


def test_two_clears_tell_it_sooner(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    assert told(made, made.microphone) == []
    (at,) = told(made, made.microphone, clears=(3.0, 6.0, 9.0))
    assert 6.0 <= at < 6.1


def test_the_pieces_make_no_difference(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), times=2)
    times = [told(made, made.microphone, size, (3.0, 6.0))[0] for size in (160, 320, 999)]
    assert max(times) - min(times) < 0.1


def test_somebody_who_interrupts_with_a_headset_does_not(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(), at=(2.0, 5.5, 9.0), times=2)
    alone = microphone(made.near)
    assert told(made, alone, clears=(2.3, 5.8, 9.3)) == []


def test_what_is_cancelled_or_muted_does_not(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), times=4)
    quiet = replace(made, microphone=microphone(made.echo * 0.01))
    assert told(made, quiet.microphone, clears=(3.0, 6.0)) == []
    assert told(made, np.zeros_like(made.microphone), clears=(3.0, 6.0)) == []


def test_an_end_that_was_missing_is_not_waited_for(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), times=2)
    hearing = SelfHearing(RATE)
    assert not hearing.step(np.zeros(60 * RATE, np.int16), made.far[:0])
    assert len(told(made, made.microphone, clears=(3.0, 6.0), hearing=hearing)) == 1
