"""A microphone loses sound in the midst of the agent's speech: the canceller is told at once."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from support.rooms import Room, Scene, db, power, scene, with_rms
from support.voices import AGENT, in_a_row, speak

from retell_voice.audio.format import Samples
from retell_voice.devices.streams.echo_stage import EchoStage
from retell_voice.devices.streams.reference import FarReference
from retell_voice.echo.webrtc import PyWebRtc

pytest.importorskip("pywebrtc_audio")

RATE = 16000
SIZE = RATE // 100
NOON = 12 * 3600.0
ROOMS = {
    "desk": Room(delay=0.02),
    "loud": Room(decay=0.2, delay=0.02, level=0),
}
AT = (8.0, 10.5, 13.0, 15.5)
"""When it loses sound, seconds."""
FILLED = 0.035
"""Seconds from a block filled to the same block heard, as with PipeWire."""


@pytest.fixture(scope="module")
def agent() -> Samples:
    said = [with_rms(each, 3000.0) for each in speak("espeak", AGENT, RATE, "en-us+f3")]
    return in_a_row(said, RATE)


def jittered(seed: int, jitter: float) -> Callable[[], float]:
    random = np.random.default_rng(seed)
    return lambda: float(random.uniform(-jitter, jitter))


def left(made: Scene, out: NDArray[np.int16], lost: float) -> list[float]:
    """Return the level of what is left in the second after each loss, dBFS."""
    parts = [made.part(out, each + lost, each + lost + 1.0) for each in AT]
    return [db(power(part) / 32768**2) for part in parts]


def with_a_microphone_that_loses(made: Scene, lost: float, jitter: float) -> NDArray[np.int16]:
    """Return what is left of an echo of which the microphone loses parts."""
    reference, late = FarReference(RATE), jittered(5, jitter)
    stage = EchoStage(PyWebRtc(RATE), reference, RATE)
    out = np.zeros(len(made.far), np.int16)
    to_lose = [round(each * RATE) for each in AT]
    at = filled = 0
    while at < len(made.far) - SIZE:
        if to_lose and at >= to_lose[0]:
            to_lose.pop(0)
            at += round(lost * RATE)
        while filled <= at + FILLED * RATE:
            block = made.far[filled : filled + SIZE]
            reference.write_rt(block, NOON + filled / RATE + late())
            filled += SIZE
        heard = made.microphone[at : at + SIZE]
        out[at : at + len(heard)] = stage(heard, NOON + at / RATE + late())
        at += SIZE
    return out


@pytest.mark.parametrize("lost", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("room", ["desk", "loud"])
def test_what_the_microphone_loses_lets_no_echo_through(
    agent: Samples, room: str, lost: float
) -> None:
    made = scene(ROOMS[room], RATE, agent)
    out = with_a_microphone_that_loses(made, lost, 0.0003)
    assert max(left(made, out, lost)) < -50


@pytest.mark.parametrize("room", ["desk", "loud"])
def test_nor_mostly_where_times_jitter_by_3_ms(agent: Samples, room: str) -> None:
    """Where the length of a hole is wrong by a millisecond or two, the canceller has to adapt."""
    made = scene(ROOMS[room], RATE, agent)
    out = with_a_microphone_that_loses(made, 0.1, 0.003)
    assert np.mean(left(made, out, 0.1)) < -50


@pytest.mark.parametrize("lost", [0.02, 0.1])
def test_silence_that_a_speaker_had_to_play_lets_no_echo_through(
    agent: Samples, lost: float
) -> None:
    gap = np.zeros(round(lost * RATE), np.int16)
    pieces = np.split(agent, [round((each - 0.5) * RATE) // SIZE * SIZE for each in AT])
    made = scene(ROOMS["loud"], RATE, np.concatenate([x for p in pieces for x in (p, gap)]))
    reference, late = FarReference(RATE), jittered(5, 0.0003)
    stage = EchoStage(PyWebRtc(RATE), reference, RATE)
    starts = [round(each * RATE) // SIZE * SIZE for each in AT]
    out, filled, heard_at = [], 0, 0.0
    given = np.concatenate((np.zeros(RATE // 2, np.int16), agent, np.zeros(RATE, np.int16)))
    for at in range(0, len(made.far) - SIZE, SIZE):
        while heard_at <= at / RATE + FILLED:
            heard_at = (filled + sum(filled >= each for each in starts) * len(gap)) / RATE
            reference.write_rt(given[filled : filled + SIZE], NOON + heard_at + late())
            filled += SIZE
        out.append(stage(made.microphone[at : at + SIZE], NOON + at / RATE + late()))
    assert max(left(made, np.concatenate(out), 4 * lost)) < -50
