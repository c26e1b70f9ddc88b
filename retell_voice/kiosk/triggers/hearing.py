"""Triggers that listen: what a wake word and voice activity have in common."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from retell_voice.audio.format import Samples
from retell_voice.devices.listener import Listener
from retell_voice.kiosk.ports import PartFailed, Surroundings, TriggerEvent, WantsCall
from retell_voice.kiosk.states import WAITING, State
from retell_voice.threads.detached import run_detached

PAUSE = 0.1
"""Seconds. Being woken for each block would cost several times what hearing does."""

_AGAIN = 10.0
"""Seconds after which it looks again for devices that are not open, if nothing else has changed."""


class Ear(Protocol):
    """Hears whether a call is wanted."""

    def begin(self, rate: int) -> None:
        """Forget what was heard; from here on ``rate`` samples a second follow."""

    def hear(self, samples: Samples) -> WantsCall | None:
        """Take the next samples, shape (n,), mono int16, and return the wish that was in them."""

    def close(self) -> None:
        """Give back what it holds."""


class Hearing:
    """A trigger that listens to the microphone while a call could be begun, and only then.

    Args:
        name: what people call it.
        load: makes its ear, on a thread: that may take a second.
        surroundings: its kiosk.
        pause: seconds from one look at what was heard to the next.
        any_voice: anything that is said calls. The kiosk's own sounds must not, and while calls
            fail whoever talks nearby must not cause one failure after the other: it listens only
            in IDLE, and while no sound of the kiosk's is played.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Ear],
        surroundings: Surroundings,
        pause: float = PAUSE,
        *,
        any_voice: bool = False,
    ) -> None:
        self.name = name
        self._pause = pause
        self._any_voice = any_voice
        self._load = load
        self._surroundings = surroundings
        self._ear: Ear | None = None
        self._listener: Listener | None = None

    async def __aenter__(self) -> Self:
        self._ear = await run_detached(self._load)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._listener is not None:  # an iteration that was dropped in the middle
            self._listener.__exit__(None, None, None)
            self._listener = None
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    async def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        while True:
            seen = self._surroundings.look
            try:
                listener = self._surroundings.listen()
            except PartFailed:  # not open yet, or not open now: the look says why
                with suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN):
                        await self._surroundings.changed(seen)
                continue
            with listener as self._listener:
                listening = False
                async for samples in self._listener:
                    await asyncio.sleep(self._pause)
                    if self._ear is None:
                        return
                    if not self._is_due:
                        listening = False
                        continue
                    if not listening:
                        self._ear.begin(self._listener.rate)
                        listening = True
                    wish = self._ear.hear(samples)
                    if wish is not None:
                        yield wish
                        listening = False  # not to be found a second time in the same words
            # The devices were closed.

    @property
    def _is_due(self) -> bool:
        """Whether what is heard may call."""
        around = self._surroundings
        if self._any_voice:
            return around.look.state is State.IDLE and not around.is_sounding
        return around.look.state in WAITING
