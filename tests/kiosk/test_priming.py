"""The dialling sound: once it has been heard twice, echo control knows the room."""

from __future__ import annotations

import numpy as np
import pytest
from support.rooms import Room, db, microphone, power, with_rms

from retell_voice.audio.format import Samples
from retell_voice.echo.guard import Guarded
from retell_voice.echo.ports import Blocks, EchoControl
from retell_voice.echo.webrtc import PyWebRtc
from retell_voice.emulator.recordings import GREETING, load_speech
from retell_voice.emulator.speech.vad import EnergyDetector
from retell_voice.kiosk.sounds import _PAUSE, made
from retell_voice.kiosk.states import Say

pytest.importorskip("pywebrtc_audio")

RATE = 24000
BLOCK = RATE // 100
ROOMS = [
    Room(decay=0.2),
    Room(decay=0.2, direct=-30, seed=2),
    Room(decay=0.4, direct=-30, seed=7),
    Room(decay=0.3, direct=0, delay=0.15, level=-3, distorts=True),
]


class Dialled:
    """What comes of a call whose agent speaks after so many dialling sounds.

    Args:
        room: where it is.
        sounds: how many.
        control: what takes the echo out.
    """

    def __init__(self, room: Room, sounds: int, control: EchoControl) -> None:
        sound = np.concatenate((made(Say.DIALLING, RATE), np.zeros(round(_PAUSE * RATE), np.int16)))
        before = np.concatenate((np.zeros(RATE // 2, np.int16), *([sound] * sounds)))
        agent = with_rms(load_speech(GREETING, RATE).samples, 3000.0)
        far: Samples = np.concatenate((before, agent))
        self._spoken = len(before)
        self._echo = room.echo(far, RATE)
        heard = microphone(self._echo)
        blocks = Blocks(control, RATE)
        parts = []
        self.guarded: list[bool] = []
        for at in range(0, len(far) - BLOCK + 1, BLOCK):
            parts.append(blocks.process(heard[at : at + BLOCK], far[at : at + BLOCK]))
            self.guarded.append(blocks.measures().guarded)
        self.out = np.concatenate(parts)

    @property
    def unguarded_at(self) -> float:
        """When the guard ends, seconds of the agent's speech; less than 0: before it."""
        return (self.guarded.index(False) * BLOCK - self._spoken) / RATE

    def removed(self, begin: float, end: float) -> float:
        """Return the echo that is taken out between these seconds of the agent's speech, dB."""
        part = slice(self._spoken + round(begin * RATE), self._spoken + round(end * RATE))
        return db(power(self._echo[part]) / power(self.out[part]))


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_after_two_the_guard_is_gone_at_the_first_word_and_no_echo_comes(room: Room) -> None:
    dialled = Dialled(room, 2, Guarded(PyWebRtc(RATE), RATE))
    assert dialled.unguarded_at < 0.3
    assert dialled.removed(0.0, 2.0) > 25
    assert not [each for each in EnergyDetector(RATE).process(dialled.out) if each.speaking]


@pytest.mark.parametrize("room", ROOMS, ids=str)
def test_after_one_it_is_guarded_for_less_than_half_as_long(room: Room) -> None:
    unprimed, primed = (Dialled(room, n, Guarded(PyWebRtc(RATE), RATE)) for n in (0, 1))
    assert unprimed.unguarded_at > 1.5
    assert primed.unguarded_at < 1.0
    assert primed.removed(0.0, 2.0) > 25


def test_it_is_the_canceller_that_knows_a_room_in_which_it_leaked_without() -> None:
    room = Room(decay=0.5, direct=-30, seed=7)
    unprimed, primed = (Dialled(room, n, PyWebRtc(RATE)) for n in (0, 2))
    leaks = 1.0, 2.0  # seconds: before, it suppresses everything
    assert unprimed.removed(*leaks) < 10
    assert primed.removed(*leaks) > 20
