"""The agent's volume, and other devices, during calls over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.call import Call
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator, Session
from retell_voice.errors import DeviceError
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Event,
    Levels,
)

AUDIO = AudioFormat(Encoding.S16LE, 8000)
RATE = AUDIO.rate
Agent = Callable[[Session], Awaitable[None]]


class Hearing(NullSpeaker):
    """Keeps what it plays."""

    def __init__(self, rate: int = RATE, name: str = "first", *, refuses: bool = False) -> None:
        super().__init__(rate, name=name)
        self.blocks: list[np.ndarray] = []
        self.refuses = refuses

    def start(self, source) -> None:
        if self.refuses:
            raise DeviceError(f"speaker {self.name!r} does not open: it is busy")

        def tick(size: int) -> None:
            block = np.zeros(size, np.int16)
            source.fill_rt(block)
            self.blocks.append(block)

        self.run(tick, source.lost)

    @property
    def heard(self) -> np.ndarray:
        return np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int16)


@asynccontextmanager
async def calling(agent: Agent, **options):
    options = {"microphone": NullMicrophone(RATE), "speaker": NullSpeaker(RATE), **options}
    async with Emulator(agent=agent, record=True) as emulator, asyncio.timeout(30):
        registered = emulator.register(AUDIO)
        async with Call(registered.call_id, url=emulator.url, audio=AUDIO, **options) as call:
            call.registered = registered
            yield call


async def until(call: Call, kind: type[Event]) -> Event:
    async for event in call:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"the call ended without {kind.__name__}")


def says(samples: np.ndarray) -> Agent:
    async def agent(session: Session) -> None:
        await session.send_audio(samples)
        async for _ in session:
            pass

    return agent


def sine(seconds: float, frequency: float = 200.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.rint(8000 * np.sin(2 * np.pi * frequency * t)).astype(np.int16)


async def test_the_agent_is_half_as_loud_from_here_on_without_a_click() -> None:
    said, speaker = sine(1.2), Hearing()
    async with calling(says(said), speaker=speaker, level_interval=0.05) as call:
        assert call.volume == 1.0
        await until(call, AgentStarted)
        for _ in range(8):
            await until(call, Levels)
        call.volume = 0.5
        assert call.volume == 0.5
        await until(call, AgentStopped)
    heard = speaker.heard
    begin = np.flatnonzero(heard)[0] - 1  # a sine begins with 0
    heard = heard[begin : begin + len(said)]
    changed = np.flatnonzero(heard != said)[0]
    assert 0.2 * RATE < changed < 1.0 * RATE, "before, every sample is as it came"
    after = changed + round(0.02 * RATE)
    assert np.abs(heard[after:] - said[after:] / 2).max() <= 0.5
    steepest = np.abs(np.diff(said.astype(int))).max()
    assert np.abs(np.diff(heard.astype(int))).max() <= steepest


async def test_there_is_no_volume_above_two() -> None:
    async with calling(says(sine(0.1))) as call:
        for volume in (-0.1, 2.1):
            with pytest.raises(ValueError, match="outside 0–2"):
                call.volume = volume
        assert call.volume == 1.0
