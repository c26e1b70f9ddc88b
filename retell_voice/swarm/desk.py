"""Where the calls of a swarm are registered: nobody asks while the server has too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from retell_voice.errors import TooManyRequests

LONGEST_WAIT = 60.0
"""Seconds; a longer Retry-After is not waited for."""
_TRIES = 6
_FIRST_WAIT = 1.0
"""Seconds, where the server does not say how many; twice as long each time."""

T = TypeVar("T")


class Desk(Generic[T]):
    """Registers calls; those that the server has too many of are tried again when it says so.

    Args:
        ask: asks the server for a call, once.
        sleep, clock: the event loop's if None.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[T]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._ask = ask
        self._sleep = sleep
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._closed_until = 0.0

    async def register(self) -> T:
        """Return a registered call.

        Raises:
            RetellVoiceError: it was refused, or the server had too many for too long.
        """
        for number in range(_TRIES):
            while (wait := self._closed_until - self._clock()) > 0:
                await self._sleep(wait)
            try:
                return await self._ask()
            except TooManyRequests as error:
                wait = error.retry_after or _FIRST_WAIT * 2**number
                if number == _TRIES - 1 or wait > LONGEST_WAIT:
                    raise
                self._closed_until = max(self._closed_until, self._clock() + wait)
        raise AssertionError("unreachable")
