"""What runs an agent's part leaves room for others."""

import asyncio
import itertools

import numpy as np
from support.callers import join

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.emulator import Emulator, Session
from retell_voice.emulator.actions import Action
from retell_voice.emulator.runner import AgentRunner


class Recording:
    """A part that notes the turn of the event loop in which each block came."""

    def __init__(self) -> None:
        self.turn = 0
        self.heard_at: list[int] = []

    def start(self) -> list[Action]:
        return []

    def receive(self, samples: Samples) -> list[Action]:
        self.heard_at.append(self.turn)
        return []

    def typed(self, text: str) -> list[Action]:
        return []

    def nudged(self) -> list[Action]:
        return []

    def finish(self) -> list[Action]:
        return []

    async def count(self) -> None:
        while True:
            self.turn += 1
            await asyncio.sleep(0)


async def test_a_backlog_of_audio_does_not_keep_other_calls_waiting() -> None:
    """It piles up while an LLM server is dialled."""
    part = Recording()

    async def agent(session: Session) -> None:
        await session.wait_closed()
        counting = asyncio.create_task(part.count())
        await AgentRunner(session, 60).run(part)
        counting.cancel()

    async with Emulator(agent=agent) as emulator:
        call = emulator.register(AudioFormat(rate=8000))
        async with join(emulator, call) as client:
            for _ in range(500):
                await client.send(np.zeros(160, np.int16).tobytes())
        await call.wait()
    assert len(part.heard_at) == 500
    assert max(len(list(each)) for _, each in itertools.groupby(part.heard_at)) <= 10
