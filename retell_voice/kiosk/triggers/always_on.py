"""Calls whenever no call is up."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

from retell_voice.kiosk.ports import Part, Surroundings, TriggerEvent, WantsCall
from retell_voice.kiosk.states import State
from retell_voice.settings.tables.kiosk import KioskSettings

PAUSE = 3.0
"""Seconds before a call."""
LONGEST_PAUSE = 300.0
"""The same after many calls in a row that came to nothing: each of them may cost something."""
SHORT = 10.0
"""Seconds of a call that came to nothing."""


def make(settings: KioskSettings, surroundings: Surroundings) -> Iterable[Part]:
    """Return the trigger, if the settings want it."""
    if settings.always_on.value:
        yield AlwaysOn(surroundings)


class AlwaysOn:
    """A trigger.

    Args:
        surroundings: its kiosk.
        sleep: waits for so many seconds.
        clock: returns seconds.
        draw: gives numbers from 0 to 1, so that many kiosks do not call at the same moment.
    """

    name = "always on"

    def __init__(
        self,
        surroundings: Surroundings,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._surroundings = surroundings
        self._sleep = sleep
        self._clock = clock
        self._draw = draw

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        in_vain = 0  # calls in a row
        while True:
            await self._until_idle()
            await self._sleep(self._pause(in_vain))
            look = self._surroundings.look
            if look.state is not State.IDLE:
                continue
            yield WantsCall(self.name)
            # Until the kiosk has seen to that, it is idle still.
            if self._surroundings.look == look:
                await self._surroundings.changed(look)
            in_vain = 0 if await self._until_idle() >= SHORT else in_vain + 1

    def _pause(self, in_vain: int) -> float:
        bound = min(LONGEST_PAUSE, PAUSE * 2.0 ** min(in_vain, 30))
        return max(PAUSE, self._draw() * bound)

    async def _until_idle(self) -> float:
        """Wait until the kiosk is idle; return for how many seconds it has been in a call."""
        talked = 0.0
        while (look := self._surroundings.look).state is not State.IDLE:
            began = self._clock()
            await self._surroundings.changed(look)
            if look.state is State.IN_CALL:
                talked += self._clock() - began
        return talked
