"""Calls whenever no call is up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

from retell_voice.kiosk.ports import Happening, Part, Surroundings, WantsCall
from retell_voice.kiosk.states import State
from retell_voice.settings.tables.kiosk import KioskSettings

PAUSE = 3.0
"""Seconds before a call, so that one that ends at once does not lead to calls by the second."""


def make(settings: KioskSettings, surroundings: Surroundings) -> Iterable[Part]:
    """Return the trigger, if the settings want it."""
    if settings.always_on.value:
        yield AlwaysOn(surroundings)


class AlwaysOn:
    """A trigger.

    Args:
        surroundings: its kiosk.
        sleep: waits for so many seconds.
    """

    name = "always on"

    def __init__(
        self,
        surroundings: Surroundings,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._surroundings = surroundings
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[Happening]:
        while True:
            look = self._surroundings.look
            if look.state is not State.IDLE:
                await self._surroundings.changed(look)
                continue
            await self._sleep(PAUSE)
            look = self._surroundings.look
            if look.state is State.IDLE:
                yield WantsCall(self.name)
                # Until the kiosk has seen to that, it is idle still.
                if self._surroundings.look == look:
                    await self._surroundings.changed(look)
