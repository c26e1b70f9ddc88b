"""Reaching a server: when it is worth another try, and how long to wait before."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import count

from retell_voice.errors import ConnectError, RetellVoiceError
from retell_voice.net.attempts import Attempts
from retell_voice.transport.ports import Connection, Route

_BASE, _CAP = 0.25, 4.0


def full_jitter(draw: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield seconds to wait before each retry: random from 0 to a bound that doubles.

    Full jitter keeps clients that lost the same server from all coming back at once.

    Args:
        draw: returns random numbers from 0 to 1.
    """
    for attempt in count():
        yield draw() * min(_CAP, _BASE * 2**attempt)


def is_worth_retrying(error: RetellVoiceError) -> bool:
    """Tell whether the same attempt may succeed a moment later."""
    return isinstance(error, ConnectError) and error.temporary


async def connect(route: Route, *, attempts: int, clock: Callable[[], float]) -> Connection:
    """Open a connection, and try again where that may help.

    Args:
        route: what is dialled.
        attempts: how often to try, at most.
        clock: returns the call's time, seconds.

    Raises:
        ConfigError, ConnectError, Rejected: of the last attempt; see ``Route.connect``.
    """
    told = Attempts(attempts)
    for attempt, delay in enumerate(full_jitter(), 1):
        began = clock()
        try:
            return await route.connect(clock)
        except ConnectError as error:
            last = attempt == attempts or not is_worth_retrying(error)
            told.failed(error, attempt, clock() - began, last=last)
            if last:
                raise
        await asyncio.sleep(delay)
    raise AssertionError("the delays never end")
