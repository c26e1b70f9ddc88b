"""Work that may hang for ever, as drivers do, on a thread that nobody joins at exit."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

_HANG_SECONDS = 6.0
"""Longer than a recorder takes to finish writing on a slow disk."""


def run_detached(work: Callable[[], _T]) -> asyncio.Future[_T]:
    """Start work on its own thread, and return a future of what it returns or raises.

    Cancelling the future stops the waiting, not the work. Unlike asyncio's own threads, neither
    the event loop nor the program waits for it on exit.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may be late

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # it is a result then

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="retell-voice detached", daemon=True).start()
    return future


async def run_to_completion(work: Callable[[], None]) -> None:
    """Do work on a thread and see it through even when cancelled: a half-open device cannot be
    closed.

    Work that hangs after a cancellation is abandoned.
    """
    working = run_detached(work)
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait((working,), timeout=_HANG_SECONDS)
        raise


async def wait_for_end(task: asyncio.Task[None]) -> None:
    """Wait until a task is over, and raise what it raised; it goes on whoever is cancelled here.

    Who is cancelled has it over all the same when this returns, unless it hangs.
    """
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,), timeout=_HANG_SECONDS)
        raise
