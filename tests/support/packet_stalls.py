"""Calls whose network stalls, over all kinds of sound and at any moment of them."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
from support.packet_call import Call, without_pauses
from support.packets import PlainDecoder, packets

from retell_voice.audio.format import Samples
from retell_voice.audio.packets.packet_playout import PacketPlayout
from retell_voice.devices.files import read_wav
from retell_voice.emulator.recordings import CALLER

STALL = 0.2
JITTERS = (0.004, 0.06)
_SECONDS = 11
_AT = 5.0
_BACK = 0.02
_recording, RATE = read_wav(CALLER)


def _noise(dbfs: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 32768 * 10 ** (dbfs / 20), _SECONDS * RATE)


def _conversation() -> np.ndarray:
    return np.resize(_recording, _SECONDS * RATE).astype(float)


def _tones(*pitches: float) -> np.ndarray:
    time = np.arange(_SECONDS * RATE) / RATE
    return sum((2000 * np.sin(2 * np.pi * each * time + each) for each in pitches), 0 * time)


SOUNDS = {
    "a conversation": _conversation,
    "speech without rest": lambda: np.resize(without_pauses(_recording, RATE), _SECONDS * RATE),
    "silence": lambda: np.zeros(_SECONDS * RATE),
    "faint noise, -55 dBFS": lambda: _noise(-55),
    "noise, -45 dBFS": lambda: _noise(-45),
    "loud noise, -30 dBFS": lambda: _noise(-30),
    "a conversation in noise": lambda: _conversation() + _noise(-45),
    "a conversation in loud noise": lambda: _conversation() + _noise(-30),
    "a tone": lambda: _tones(700),
    "a chord": lambda: _tones(220, 247, 349, 523, 932),
}


@cache
def _sound(name: str) -> Samples:
    return np.clip(np.rint(SOUNDS[name]()), -32768, 32767).astype(np.int16)


def moments(count: int) -> list[float]:
    """Return moments of a sound, always the same."""
    dice = random.Random(1)
    return [dice.uniform(0, _SECONDS) for _ in range(count)]


def stalled(name: str, moment: float, *stalls: float, jitter: float = JITTERS[0]) -> Call:
    """Return a call in which the network stalls at these times; it begins at a moment of it."""
    sent = packets(np.roll(_sound(name), -round(moment * RATE)), RATE)
    times = tuple((at + moment % 0.02, STALL) for at in stalls)
    return Call(sent, PacketPlayout(RATE, PlainDecoder()), RATE, jitter=jitter, stalls=times)


def time_back(name: str, moment: float, jitter: float) -> float:
    """Return the seconds after a stall from which on the delay is within 20 ms of the usual one."""
    call = stalled(name, moment, _AT, jitter=jitter)
    call.run(_AT + STALL + 4)
    delays, begin = np.array(call.delays), round(_AT * 100)
    usual = np.median(delays[begin - 200 : begin])
    late = np.flatnonzero(delays[begin:] > usual + _BACK)
    return max(0.0, (late[-1] + 1) / 100 - STALL - moment % 0.02)
