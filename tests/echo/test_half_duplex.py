"""Half-duplex: the agent is not heard, whoever interrupts is."""

from collections.abc import Callable

import numpy as np
import pytest
from support.rooms import Room, Scene, power

from retell_voice.audio.format import Samples
from retell_voice.echo.half_duplex import HalfDuplex
from retell_voice.echo.ports import EchoMeasures, EchoState
from retell_voice.echo.webrtc import PyWebRtc
from retell_voice.emulator.speech.vad import EnergyDetector

RATE = 16000
ROOMS = [
    Room(),
    Room(decay=0.3, direct=-30, delay=0.2, level=0),
    Room(decay=0.2, delay=0.02, level=-3, distorts=True),
    Room(decay=0.2, direct=-30, delay=0.1, drift=50),
]


def interruptions(samples: Samples) -> list[float]:
    found = EnergyDetector(RATE).process(samples)
    return [each.known / RATE for each in found if each.speaking]


@pytest.mark.parametrize("engine", ["piper", "espeak"])
@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_the_agent_does_not_hear_itself_from_its_first_word_on(
    room: Room, engine: str, conversation: Callable[..., Scene]
) -> None:
    made = conversation(room, engine)
    assert interruptions(made.microphone)
    out = made.through(HalfDuplex(RATE))
    assert interruptions(out) == []
    assert made.erle(out, 0.5 + room.delay, 12.0) > 25


@pytest.mark.parametrize("engine", ["piper", "espeak"])
@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_who_interrupts_is_soon_heard(
    room: Room, engine: str, conversation: Callable[..., Scene]
) -> None:
    made = conversation(room, engine, at=(4.0, 9.0))
    known = interruptions(made.through(HalfDuplex(RATE)))
    for at in (4.0, 9.0):
        assert any(at < each < at + 0.35 for each in known)


def test_while_the_agent_is_silent_not_a_sample_changes(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), at=(13.5,), tail=3.0)
    out = made.through(HalfDuplex(RATE))
    assert np.array_equal(made.part(out, 13.6, 15), made.part(made.microphone, 13.6, 15))
    assert np.array_equal(made.part(out, 0, 0.5), made.part(made.microphone, 0, 0.5))


def test_the_noise_of_the_room_goes_on(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    out = made.through(HalfDuplex(RATE))
    quiet, turned_down = power(made.part(out, 0.1, 0.5)), power(made.part(out, 3.0, 12.0))
    assert 0.3 * quiet < turned_down < 4 * quiet


def test_it_measures_what_it_takes_out(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    control = HalfDuplex(RATE)
    assert (control.name, control.delay, control.gain) == ("half-duplex", 0.0, 0.0)
    made.through(control)
    known = control.measures()
    assert known.state is EchoState.CONVERGED
    assert known.erle is not None
    assert known.erle > 25
    assert known.echo == pytest.approx(-6, abs=3)
    control.reset()
    assert control.measures() == EchoMeasures(state=EchoState.CONVERGING)


def test_noise_may_be_suppressed_first(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    first = PyWebRtc(RATE, echo=False, noise_suppression=True)
    control = HalfDuplex(RATE, first)
    assert (control.name, control.delay) == ("half-duplex, webrtc", first.delay)
    out = made.through(control)
    assert interruptions(out) == []
    control.reset()
    assert np.array_equal(made.through(control), out)
