"""Conversations in simulated rooms: who says what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from support.rooms import Room, Scene, scene, with_rms
from support.voices import AGENT, USER, in_a_row, speak

from retell_voice.audio.format import Samples

SOON = 0.3
"""Seconds in which an interruption should be noticed, and after which an agent yields to it."""
LEAD = 0.5
"""Seconds of silence before the agent's first word."""
ALONE = 4.0
"""Seconds after its last in which the user speaks alone."""

_LOUDNESS = 3000.0  # RMS, when they speak
_VARIANTS = {"piper": ("en", "en"), "espeak": ("en-us+f3", "en-us+m7")}


@dataclass(frozen=True, eq=False)
class Turn:
    """What the user says, and when, seconds."""

    at: float
    said: Samples
    interrupts: bool = False

    def end(self, rate: int) -> float:
        """Return when it ends."""
        return self.at + len(self.said) / rate


@dataclass(frozen=True)
class Cast:
    """The voices: sentences of both, and the user's in words."""

    rate: int
    agent: list[Samples]
    user: list[Samples]
    words: Sequence[str]

    def meet(
        self, room: Room, at: Sequence[float] = (), *, yields: bool = False, seed: int = 7
    ) -> Scene:
        """Return the agent's sentences in a room, the user interrupting at times, and once more
        when it has ended; ``yields``: the agent is silent from 0.3 s after an interruption until
        the user is."""
        said = in_a_row(self.agent, self.rate)
        for start, each in zip(at if yields else (), self.user, strict=False):
            begin = round((start - LEAD) * self.rate)
            said[begin + round(SOON * self.rate) : begin + len(each)] = 0
        ends = LEAD + len(said) / self.rate
        turns = [*zip(at, self.user, strict=False), (ends + 1.0, self.user[0])]
        return scene(room, self.rate, said, turns, lead=LEAD, tail=ALONE, seed=seed)


def cast(rate: int, agent: str, user: str) -> Cast:
    """Let the engines speak: ``piper`` or ``espeak``."""
    return Cast(
        rate,
        [with_rms(each, _LOUDNESS) for each in speak(agent, AGENT, rate, _VARIANTS[agent][0])],
        [with_rms(each, _LOUDNESS) for each in speak(user, USER, rate, _VARIANTS[user][1])],
        USER,
    )


def converse(voices: Cast, room: Room, minutes: float, seed: int = 3) -> tuple[Scene, list[Turn]]:
    """Return a conversation: the agent's sentences, half of them answered, every fourth cut short
    by an interruption to which the agent yields; and the user's turns."""
    rate, random = voices.rate, np.random.default_rng(seed)
    far = np.zeros(round(minutes * 60 * rate), np.int16)
    turns: list[Turn] = []
    at, number = 1.0, 0
    while at < minutes * 60 - 12:
        said, answer = (each[number % len(each)] for each in (voices.agent, voices.user))
        length = len(said) / rate
        if number % 4 == 3:
            turns.append(Turn(at + 1.5, answer, interrupts=True))
            said = said[: round((1.5 + SOON) * rate)]
        elif number % 2:
            turns.append(Turn(at + length + 0.4, answer))
        start = round(at * rate)
        far[start : start + len(said)] = said
        ends = turns[-1].end(rate) if number % 2 else at + length
        at, number = ends + random.uniform(0.3, 1.0), number + 1
    near = [(turn.at, turn.said) for turn in turns]
    return scene(room, rate, far, near, lead=0, tail=0), turns
