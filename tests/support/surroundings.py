"""A kiosk as its parts see it, worked by a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retell_voice.devices.listener import Listener
from retell_voice.devices.streams.tap import Tap
from retell_voice.kiosk.ports import Look, PartFailed, Trigger, TriggerEvent
from retell_voice.kiosk.states import State

PATIENCE = 20.0
"""Seconds; a machine may be busy."""


class Microphone:
    """A stream that says what the test wants said."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.taps: list[Tap] = []

    def tap(self) -> Tap:
        self.taps.append(Tap(self.rate))
        return self.taps[-1]

    def untap(self, tap: Tap) -> None:
        self.taps.remove(tap)

    def say(self, samples: NDArray[np.int16]) -> None:
        for tap in self.taps:
            tap.write_rt(samples)


class Kiosk:
    """Implements ``Surroundings``."""

    def __init__(self, state: State = State.IDLE, rate: int = 16000) -> None:
        self.look = Look(state=state)
        self.microphone: Microphone | None = Microphone(rate)
        self.listeners: list[Listener] = []
        self.is_sounding = False
        self._changed = asyncio.Event()

    def become(self, state: State | None = None, **more: Any) -> None:
        if state is not None:
            more["state"] = state
        self.look = replace(self.look, **more)
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seen: Look) -> Look:
        while self.look == seen:
            await self._changed.wait()
        return self.look

    def listen(self, side: Literal["near_end", "far_end"] = "near_end") -> Listener:
        if self.microphone is None:
            raise PartFailed("the devices are not open")
        self.listeners.append(Listener(self.microphone))
        return self.listeners[-1]

    def close_devices(self) -> None:
        """As when they are lost, or changed."""
        self.microphone = None
        for each in self.listeners:
            each.__exit__(None, None, None)


class Told:
    """What a trigger tells, one after the other."""

    def __init__(self, trigger: Trigger) -> None:
        self._told: asyncio.Queue[TriggerEvent | BaseException] = asyncio.Queue()
        self.task = asyncio.create_task(self._run(trigger))

    async def _run(self, trigger: Trigger) -> None:
        try:
            async for event in trigger:
                self._told.put_nowait(event)
        except Exception as error:
            self._told.put_nowait(error)

    async def next(self) -> TriggerEvent:
        """Return the next; raise what ended it."""
        async with asyncio.timeout(PATIENCE):
            told = await self._told.get()
        if isinstance(told, BaseException):
            raise told
        return told

    @property
    def waiting(self) -> int:
        return self._told.qsize()


@asynccontextmanager
async def told(trigger: Trigger) -> AsyncIterator[Told]:
    """Enter a trigger, and iterate it meanwhile, as the kiosk does."""
    async with trigger:
        running = Told(trigger)
        try:
            yield running
        finally:
            running.task.cancel()
            await asyncio.gather(running.task, return_exceptions=True)


async def settled(turns: int = 10) -> None:
    """Let everything that is ready run."""
    for _ in range(turns):
        await asyncio.sleep(0)
