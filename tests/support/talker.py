"""A caller who talks with an agent at many times real time: a real socket, a clock of samples."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from support.callers import join
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from retell_voice.audio.format import Samples
from retell_voice.emulator import CALLER, Emulator, RegisteredCall
from retell_voice.emulator.recordings import load_speech
from retell_voice.emulator.speech.ports import spread
from retell_voice.events import Word

LONG = 30.0
"""Seconds after which whatever is waited for has failed."""


class FakeAsr:
    """An ``Asr`` that recognises what the test says is being said."""

    def __init__(self) -> None:
        self.text = ""

    async def recognize(self, samples: Samples, rate: int) -> tuple[Word, ...]:
        return spread(self.text, 0, len(samples) / rate)


class Talker:
    """The caller.

    Attributes:
        received: what it was sent, JSON decoded, in order.
        clock: seconds of audio that it has sent.
        heard_until: when, by this clock, it will have heard what it was sent.
    """

    def __init__(self, client: ClientConnection, call: RegisteredCall, speed: float) -> None:
        self.client = client
        self.call = call
        self.received: list[Any] = []
        self.clock = 0.0
        self.heard_until = 0.0
        self._speed = speed
        self._rate = call.audio.rate
        self._to_say = np.zeros(0, np.int16)
        self._news = asyncio.Event()

    async def until(self, condition: Callable[[], object]) -> None:
        """Go on until something is so, which is looked at whenever something has happened."""
        async with asyncio.timeout(LONG):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def listen_to_the_end(self) -> None:
        """Go on until what the agent says has been heard."""
        await self.until(lambda: self.clock > self.heard_until + 0.3)

    async def pause(self, seconds: float) -> None:
        end = self.clock + seconds
        await self.until(lambda: self.clock >= end)

    def begin_to_say(self, what: Samples | float = 1.5) -> None:
        """Say something from now on: samples, or so many seconds of recorded speech."""
        if isinstance(what, float):
            caller = load_speech(CALLER, self._rate).samples
            first = int(np.flatnonzero(np.abs(caller) > 100)[0])
            what = caller[first : first + int(what * self._rate)]
        self._to_say = what

    async def say(self, what: Samples | float = 1.5) -> None:
        self.begin_to_say(what)
        await self.until(lambda: not len(self._to_say))

    def updates(self) -> list[dict[str, Any]]:
        return [each for each in self.events() if each["event_type"] == "update"]

    def events(self) -> list[dict[str, Any]]:
        return [each for each in self.received if isinstance(each, dict)]

    def lines(self) -> list[str]:
        """The transcript as the caller was told last."""
        updates = self.updates()
        said = updates[-1]["transcript"] if updates else []
        return [f"{each['role']}: {each['content']}" for each in said]

    def told(self, line: str) -> Callable[[], bool]:
        """Whether a line of the transcript is exactly that."""
        return lambda: line in self.lines()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(self._speak())
            with contextlib.suppress(ConnectionClosed):
                async for message in self.client:
                    self._take(message)
            speaking.cancel()
        self._news.set()

    async def _speak(self) -> None:
        frame = self._rate // 50
        with contextlib.suppress(ConnectionClosed):
            while True:
                said, self._to_say = self._to_say[:frame], self._to_say[frame:]
                samples = np.zeros(frame, np.int16)
                samples[: len(said)] = said
                await self.client.send(self.call.audio.encode(samples))
                self.clock += 0.02
                self._news.set()
                await asyncio.sleep(0.02 / self._speed)  # the pace of a microphone

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.heard_until = max(self.clock, self.heard_until) + self.call.audio.seconds(message)
            self.received.append(message)
        elif message == "clear":
            self.heard_until = self.clock
            self.received.append(message)
        else:
            self.received.append(json.loads(message))
        self._news.set()


@asynccontextmanager
async def talker(
    emulator: Emulator, call: RegisteredCall, *, speed: float = 20
) -> AsyncIterator[Talker]:
    """Join a call and talk; the block ends with the call, which it has to bring about."""
    async with join(emulator, call, "?enable_update=true") as client:
        caller = Talker(client, call, speed)
        running = asyncio.create_task(caller.run())
        try:
            yield caller
            async with asyncio.timeout(LONG):
                await call.wait()
                await running
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
