"""Keeps a part of a kiosk open, whatever becomes of it: closed, and opened again after a while."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count

from retell_voice.kiosk.ports import (
    Indicator,
    Part,
    PartFailed,
    Surroundings,
    Trigger,
    TriggerEvent,
)
from retell_voice.shown import logger

_OPENING_SECONDS = 10.0
_FIRST, _LONGEST = 1.0, 60.0
_WORKS = 60.0
"""Seconds after which a part that fails has worked before: its pauses begin anew."""

_logger = logger("retell_voice.kiosk")


def pauses(draw: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield seconds to wait before each further try: anything up to a bound that doubles."""
    for attempt in count():
        yield max(0.2, draw() * min(_LONGEST, _FIRST * 2.0 ** min(attempt, 30)))


async def keep(
    part: Part,
    surroundings: Surroundings,
    take: Callable[[TriggerEvent], None],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    draw: Callable[[], float] = random.random,
) -> None:
    """Keep a part at work until it has nothing more to tell or to show, or this is cancelled.

    Args:
        part: not entered.
        surroundings: say what is to be shown.
        take: is told what happens.
        sleep: waits for so many seconds.
        draw: gives numbers from 0 to 1.
    """
    clock = asyncio.get_running_loop().time
    told, waits = "", pauses(draw)
    while True:
        began = clock()
        try:
            await _at_work(part, surroundings, take)
        except (PartFailed, OSError, TimeoutError) as error:
            words = _words(error)
            if words != told:  # once: it may be unplugged for weeks
                _logger.warning("%s: %s", part.name, words)
                told = words
        except Exception:
            _logger.exception("%s: a defect; restarting it", part.name)
        else:
            return
        if clock() - began > _WORKS:
            told, waits = "", pauses(draw)
        await sleep(next(waits))


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long to open"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


async def _at_work(
    part: Part, surroundings: Surroundings, take: Callable[[TriggerEvent], None]
) -> None:
    try:
        async with asyncio.timeout(_OPENING_SECONDS):
            await part.__aenter__()
        _logger.info("%s is ready", part.name)
        await _until_one_fails(part, surroundings, take)
    finally:
        # Also where entering failed: what it had opened by then is closed.
        with suppress(TimeoutError):
            async with asyncio.timeout(_OPENING_SECONDS):
                await part.__aexit__(None, None, None)


async def _until_one_fails(
    part: Part, surroundings: Surroundings, take: Callable[[TriggerEvent], None]
) -> None:
    tasks = []
    if isinstance(part, Indicator):
        tasks.append(asyncio.create_task(_show(part, surroundings)))
    if isinstance(part, Trigger):
        tasks.append(asyncio.create_task(_tell(part, take)))
    try:
        # A trigger that is over leaves an indicator that is not.
        for done in asyncio.as_completed(tasks):
            await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _show(part: Indicator, surroundings: Surroundings) -> None:
    look = surroundings.look
    while True:
        await part.show(look)
        look = await surroundings.changed(look)


async def _tell(part: Trigger, take: Callable[[TriggerEvent], None]) -> None:
    async for event in part:
        take(event)
