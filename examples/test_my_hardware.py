"""Tests of your own hardware: copy this, ``serial_audio.py`` and ``scenarios`` to a place outside
the clone, and put your microphone and speaker in place of the board.

They need this package and pytest (``pip install . pytest`` in the clone), no account and no
network: the fixture ``retell_emulator`` comes with the package and plays the server, as the TOML
files beside this one say. ``docs/scenarios.md`` tells what else they can say.
"""

import asyncio

import numpy as np

from retell_voice import (
    AgentStarted,
    AgentStopped,
    AudioFormat,
    Call,
    Ended,
    Event,
    PacedMicrophone,
    PacedSpeaker,
    Samples,
)
from retell_voice.emulator.fixtures import Emulators

AUDIO = AudioFormat(rate=16000)


class BoardMicrophone(PacedMicrophone):
    """Hears silence, and somebody for a second whenever ``speak`` is called."""

    name, rate = "my board", AUDIO.rate

    def open(self) -> None:
        self._blocks = 0  # that are still to be spoken

    def speak(self) -> None:
        self._blocks = 50

    def hear(self, count: int) -> Samples:
        voice = 8000 * np.sin(np.arange(count) / 5) * (self._blocks > 0)
        self._blocks -= 1
        return voice.astype(np.int16)


class BoardSpeaker(PacedSpeaker):
    """Keeps what it played."""

    name, rate = "my board", AUDIO.rate

    def open(self) -> None:
        self.played: list[Samples] = []

    def play(self, samples: Samples) -> None:
        self.played.append(samples)


async def talk(
    url: str, call_id: str, microphone: BoardMicrophone, speaker: BoardSpeaker
) -> list[Event]:
    """Call, say something whenever the agent begins to speak, and return what happened."""
    events = []
    async with Call(call_id, url=url, audio=AUDIO, microphone=microphone, speaker=speaker) as call:
        async for event in call:
            events.append(event)
            if isinstance(event, AgentStarted):
                microphone.speak()
    return events


def test_who_talks_over_the_agent_is_heard_and_silences_it(retell_emulator: Emulators) -> None:
    emulator = retell_emulator(scenario="scenarios/interruption.toml")
    call = emulator.register(AUDIO)
    speaker = BoardSpeaker()
    events = asyncio.run(talk(emulator.url, call.call_id, BoardMicrophone(), speaker))
    emulator.wait(call)  # fails where the scenario waited for the user in vain

    first, second = (event for event in events if isinstance(event, AgentStopped))
    assert first.interrupted
    assert first.discarded > 5  # seconds of the menu that nobody had to listen to
    assert not second.interrupted
    assert np.abs(call.received).max() > 7000  # the server heard the microphone
    heard = np.concatenate(speaker.played)
    assert np.count_nonzero(heard) < 5 * AUDIO.rate


def test_a_broken_connection_ends_the_call_with_words(retell_emulator: Emulators) -> None:
    emulator = retell_emulator(scenario="scenarios/reset.toml", speed=4)
    call = emulator.register(AUDIO)
    *_, end = asyncio.run(talk(emulator.url, call.call_id, BoardMicrophone(), BoardSpeaker()))
    assert isinstance(end, Ended)
    assert end.by == "network"
    assert str(end.error).startswith("network: the connection broke off")
