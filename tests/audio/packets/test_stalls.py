"""What a stall of the network leaves behind, over all kinds of sound and at any moment of them."""

import random
from functools import cache

import numpy as np
import pytest
from support.packet_call import Call, without_pauses
from support.packets import PlainDecoder, packets

from retell_voice.audio.format import Samples
from retell_voice.audio.packets.packet_playout import PacketPlayout
from retell_voice.devices.files import read_wav
from retell_voice.emulator.recordings import CALLER

STALL = 0.2
PHASES = 12
SECONDS = 11
_recording, RATE = read_wav(CALLER)


def noise(dbfs: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 32768 * 10 ** (dbfs / 20), SECONDS * RATE)


def recording() -> np.ndarray:
    return np.resize(_recording, SECONDS * RATE).astype(float)


def tones(*pitches: float) -> np.ndarray:
    time = np.arange(SECONDS * RATE) / RATE
    return sum((2000 * np.sin(2 * np.pi * each * time + each) for each in pitches), 0 * time)


SOUNDS = {
    "a conversation": recording,
    "speech without rest": lambda: np.resize(without_pauses(_recording, RATE), SECONDS * RATE),
    "silence": lambda: np.zeros(SECONDS * RATE),
    "faint noise": lambda: noise(-55),
    "noise": lambda: noise(-45),
    "loud noise": lambda: noise(-30),
    "a conversation in noise": lambda: recording() + noise(-45),
    "a conversation in loud noise": lambda: recording() + noise(-30),
    "a tone": lambda: tones(700),
    "a chord": lambda: tones(220, 247, 349, 523, 932),
}


@cache
def sound(name: str) -> Samples:
    return np.clip(np.rint(SOUNDS[name]()), -32768, 32767).astype(np.int16)


def call(name: str, phase: float, *stalls: float, jitter: float = 0.004) -> Call:
    """Return a call in which the network stalls at these times and a phase of the sound."""
    sent = packets(np.roll(sound(name), -round(phase * RATE)), RATE)
    times = tuple((at + phase % 0.02, STALL) for at in stalls)
    return Call(sent, PacketPlayout(RATE, PlainDecoder()), RATE, jitter=jitter, stalls=times)


def phases() -> list[float]:
    dice = random.Random(1)
    return [dice.uniform(0, SECONDS) for _ in range(PHASES)]


@pytest.mark.parametrize("jitter", [0.004, 0.06])
@pytest.mark.parametrize("name", SOUNDS)
def test_the_delay_is_the_usual_one_again_within_three_seconds(name: str, jitter: float) -> None:
    for phase in phases():
        made = call(name, phase, 5.0, jitter=jitter)
        made.run(9.0)
        delays, usual = np.array(made.delays), np.median(made.delays[300:500])
        assert delays[500:530].max() > usual + 0.1, "it has stalled"
        late = np.flatnonzero(delays[500:] > usual + 0.02)
        assert late[-1] / 100 <= STALL + 3, phase


@pytest.mark.parametrize("name", SOUNDS)
def test_giving_the_delay_back_conceals_nothing(name: str) -> None:
    for phase in phases()[:3]:
        made = call(name, phase, 3.0, 7.0)
        concealed = []
        for seconds in (3.5, 3.5, 1.0, 2.0):
            made.run(seconds)
            concealed.append(made.playout.concealed)
        stall = round(0.12 * RATE)
        assert concealed == [stall, stall, 2 * stall, 2 * stall], "only what the stalls cost"
