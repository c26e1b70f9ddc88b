"""Real voices for rooms that are not."""

from collections.abc import Callable

import numpy as np
import pytest
from support.rooms import Room, Scene, scene, with_rms
from support.voices import AGENT, USER, in_a_row, speak

from retell_voice.audio.format import Samples
from retell_voice.emulator.recordings import CALLER, GREETING, load_speech

RATE = 16000
LOUDNESS = 3000.0  # RMS, −21 dBFS

_CALLER_SAYS = [(round(4.6 * RATE), round(7.2 * RATE)), (round(11.1 * RATE), round(15.2 * RATE))]

Voices = dict[str, list[Samples]]


@pytest.fixture(scope="session")
def agents() -> Voices:
    """Return three sentences of an agent by the engine that said them; the same every time."""
    caller = load_speech(CALLER, RATE).samples
    said = {
        "piper": [load_speech(GREETING, RATE).samples, *(caller[a:b] for a, b in _CALLER_SAYS)],
        "espeak": speak("espeak", AGENT[:3], RATE, "en-us+m3"),
    }
    return {
        name: [with_rms(each, LOUDNESS) for each in each_said] for name, each_said in said.items()
    }


@pytest.fixture(scope="session")
def user() -> list[Samples]:
    """Return three interjections of somebody else."""
    return [with_rms(each, LOUDNESS) for each in speak("espeak", USER, RATE, "en-us+m7")]


@pytest.fixture(scope="session")
def conversation(agents: Voices, user: list[Samples]) -> Callable[..., Scene]:
    """Return what makes a conversation in a room: ``at``: when the user speaks, seconds."""

    def make(
        room: Room,
        engine: str = "piper",
        *,
        at: tuple[float, ...] = (),
        times: int = 1,
        tail: float = 0.5,
    ) -> Scene:
        said = in_a_row(agents[engine], RATE)
        near = list(zip(at, user, strict=False))
        return scene(room, RATE, np.tile(said, times), near, tail=tail)

    return make
