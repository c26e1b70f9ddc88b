"""The guard: no echo gets past it that a server would take for an interruption; people do."""

from collections.abc import Callable

import numpy as np
import pytest
from support.rooms import Room, Scene, power

from retell_voice.audio.format import Samples
from retell_voice.echo.guard import Guarded
from retell_voice.echo.ports import Blocks, EchoMeasures, EchoState
from retell_voice.echo.webrtc import LiveKit, PyWebRtc
from retell_voice.emulator.speech.vad import EnergyDetector

RATE = 16000


def interruptions(samples: Samples) -> list[float]:
    """Return when a server would think that somebody began to speak, seconds."""
    found = EnergyDetector(RATE).process(samples)
    return [each.known / RATE for each in found if each.speaking]


class Canceller:
    """Takes out as much as it is told to; it knows the echo."""

    name, delay, gain = "canceller", 0.0, 0.0

    def __init__(self, made: Scene, *factors: tuple[float, float]) -> None:
        self._echo = np.rint(made.echo).astype(np.int16)
        self._factors = factors  # from when, seconds; what is left of the echo
        self._at = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        left = [factor for since, factor in self._factors if self._at >= since * RATE][-1]
        echo = self._echo[self._at : self._at + len(near)]
        self._at += len(near)
        return np.rint(near - (1 - left) * echo).astype(np.int16)

    def reset(self) -> None:
        self._at = 0

    def measures(self) -> EchoMeasures:
        return EchoMeasures()


def guarded_until(made: Scene, guarded: Guarded) -> float:
    """Return when the guard ended, seconds of activity."""
    blocks, size = Blocks(guarded, RATE), RATE // 100
    for i in range(0, len(made.far) - size + 1, size):
        blocks.process(made.microphone[i : i + size], made.far[i : i + size])
        if not blocks.measures().guarded:
            return blocks.measures().activity
    return float("inf")


@pytest.mark.parametrize(
    ("kind", "room"),
    [
        (PyWebRtc, Room(decay=0.4, direct=-30, seed=7)),
        (LiveKit, Room(decay=0.3, direct=-30, seed=7)),
    ],
)
def test_what_leaks_at_the_start_is_held_back(
    kind: type[PyWebRtc] | type[LiveKit],
    room: Room,
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(room)
    assert 1.2 < interruptions(made.through(kind(RATE)))[0] < 2.5, "it leaks no more"
    out = made.through(Guarded(kind(RATE), RATE))
    assert interruptions(out) == []
    assert power(made.part(out, 0.5, 4.5)) < 20**2


@pytest.mark.parametrize("engine", ["piper", "espeak"])
@pytest.mark.parametrize(
    "room",
    [
        Room(decay=0.2, direct=-30, seed=2),
        Room(decay=0.3, direct=-30, seed=7, drift=50),
        Room(decay=0.3, direct=-30, seed=3, level=0, delay=0.2),
        Room(decay=0.3, direct=0, delay=0.15, level=-3, distorts=True),
    ],
    ids=str,
)
def test_the_agent_never_interrupts_itself(
    room: Room, engine: str, conversation: Callable[..., Scene]
) -> None:
    made = conversation(room, engine)
    out = made.through(Guarded(PyWebRtc(RATE), RATE))
    assert interruptions(out) == []


def test_who_interrupts_is_not_held_back(conversation: Callable[..., Scene]) -> None:
    for engine, at in (("piper", 3.5), ("espeak", 9.0)):
        made = conversation(Room(decay=0.2), engine, at=(at,))
        bare, out = (made.through(each) for each in (PyWebRtc(RATE), Guarded(PyWebRtc(RATE), RATE)))
        ends = at + 2.0
        assert power(made.part(out, at, ends)) > 0.8 * power(made.part(bare, at, ends))
        assert at < interruptions(out)[-1] <= interruptions(bare)[-1]


@pytest.mark.parametrize(("engine", "at"), [("piper", 5.5), ("espeak", 6.0)])
def test_whom_the_canceller_suppresses_is_noticed_all_the_same(
    engine: str, at: float, conversation: Callable[..., Scene]
) -> None:
    class Suppressor(Canceller):
        def process(self, near: Samples, far: Samples) -> Samples:
            done = super().process(near, far)
            return done // 200 if at < self._at / RATE < at + 1 else done

    made = conversation(Room(), engine, at=(at,))
    out = made.through(Guarded(Suppressor(made, (0, 0.02)), RATE))
    assert at + 0.09 < interruptions(out)[0] < at + 0.25


def test_who_interrupts_while_it_is_guarded_gets_through(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(), "piper", at=(1.9,))
    guarded = Guarded(Canceller(made, (0, 1.0)), RATE)  # takes out nothing: guarded all the time
    out = made.through(guarded)
    assert interruptions(out)[0] == pytest.approx(1.9 + 0.2, abs=0.15)
    assert power(made.part(out, 2.0, 2.3)) > 0.3 * power(made.part(made.microphone, 2.0, 2.3))


def test_it_ends_when_the_canceller_has_shown_that_it_cancels(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room())
    assert guarded_until(made, Guarded(Canceller(made, (0, 0.02)), RATE)) == pytest.approx(
        2.0, abs=0.1
    )


def test_one_that_leaks_is_guarded_for_longer_but_not_for_ever(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room())
    guarded = Guarded(Canceller(made, (0, 0.02), (1.5, 0.7)), RATE)
    assert guarded_until(made, guarded) == pytest.approx(4.0, abs=0.02)
    assert guarded.measures().state is EchoState.CONVERGING


def test_one_that_fails_later_is_guarded_again(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), times=2)
    guarded = Guarded(Canceller(made, (0, 0.02), (8.0, 1.0), (11.0, 0.02)), RATE)
    size, states = RATE // 100, []
    for i in range(0, len(made.far) - size + 1, size):
        guarded.process(made.microphone[i : i + size], made.far[i : i + size])
        states.append(guarded.guarded)
    assert states[200]
    assert not any(states[300:800])
    assert states[950]
    assert not states[1600]


def test_silence_of_the_agent_does_not_end_it(conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    guarded = Guarded(PyWebRtc(RATE), RATE)
    silence = np.zeros(160, np.int16)
    for _ in range(1000):
        guarded.process(made.microphone[:160], silence)
    assert guarded.measures() == EchoMeasures(state=EchoState.CONVERGING, guarded=True)


def test_it_says_what_it_measures_and_begins_again_after_a_reset(
    conversation: Callable[..., Scene],
) -> None:
    made = conversation(Room(decay=0.2, level=-9))
    guarded = Guarded(PyWebRtc(RATE), RATE)
    assert (guarded.name, guarded.delay, guarded.gain) == ("webrtc", 0.008, 0.0)
    made.through(guarded)
    known = guarded.measures()
    assert (known.state, known.guarded) == (EchoState.CONVERGED, False)
    assert known.erle is not None
    assert known.erle > 25
    assert known.echo == pytest.approx(-9, abs=3)
    assert known.activity == pytest.approx(11.5, abs=1.5)
    guarded.reset()
    assert guarded.measures() == EchoMeasures(state=EchoState.CONVERGING, guarded=True)


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 48000])
def test_at_every_rate_blocks_come_out_as_long_as_they_went_in(rate: int) -> None:
    guarded = Guarded(PyWebRtc(rate), rate)
    size = rate // 100
    sound = np.random.default_rng(1).integers(-3000, 3000, 50 * size).astype(np.int16)
    for i in range(0, len(sound), size):
        assert len(guarded.process(sound[i : i + size], sound[i : i + size])) == size
