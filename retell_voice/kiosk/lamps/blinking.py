"""An indicator that is a lamp: it follows a pattern, and is woken only when it is to change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import cycle
from types import TracebackType
from typing import Protocol, Self

from retell_voice.kiosk.lamps.patterns import OFF, Pattern, Role, pattern
from retell_voice.kiosk.ports import Look, PartFailed


class Light(Protocol):
    """Something that can be on and off."""

    def set(self, on: bool) -> None:
        """Turn it on or off, without waiting.

        Raises:
            OSError: it is gone.
        """

    def close(self) -> None:
        """Turn it off and give it back, whatever state it is in."""


class Blinking:
    """An indicator.

    Args:
        name: what people call it.
        role: what it shows.
        open_light: opens the light; raises ``PartFailed`` or ``OSError``.
    """

    def __init__(self, name: str, role: Role, open_light: Callable[[], Light]) -> None:
        self.name = name
        self._role = role
        self._open = open_light
        self._light: Light | None = None
        self._pattern: Pattern | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failure: OSError | None = None

    @property
    def is_blinking(self) -> bool:
        """Whether it is to change by itself."""
        return self._timer is not None

    async def __aenter__(self) -> Self:
        self._pattern, self._failure = None, None
        self._light = self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if self._light is not None:
            self._light.close()
            self._light = None

    async def show(self, look: Look) -> None:
        """Show this from now on.

        Raises:
            PartFailed: it is gone, perhaps since it blinked last.
        """
        if self._failure is None:
            wanted = pattern(self._role, look)
            if wanted == self._pattern:
                return  # in step, as it was
            self._stop()
            self._pattern = wanted
            self._begin(wanted)
        if self._failure is not None:
            why = self._failure.strerror or str(self._failure)
            raise PartFailed(f"{self.name}: {why}") from None

    def _begin(self, wanted: Pattern) -> None:
        if len(wanted) < 2:
            self._set(wanted != OFF)
            return
        loop = asyncio.get_running_loop()
        turns = cycle(zip(wanted, cycle((True, False))))
        due = loop.time()

        def turn() -> None:
            nonlocal due
            seconds, on = next(turns)
            if self._set(on):
                due += seconds
                self._timer = loop.call_at(due, turn)

        turn()

    def _set(self, on: bool) -> bool:
        try:
            if self._light is not None:
                self._light.set(on)
        except OSError as error:
            self._failure = error
            self._timer = None
            return False
        return self._light is not None

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
