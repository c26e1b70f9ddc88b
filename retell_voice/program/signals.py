"""Ctrl-C, SIGTERM and SIGHUP: the first one asks the call to end, the second ends the program."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self, TypeVar

from retell_voice.program import stdout
from retell_voice.program.interrupt import INTERRUPTED

T = TypeVar("T")
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
OPENING_SECONDS = 0.8
"""Seconds allowed for closing what was being opened; a device that hangs never closes."""
WEB_CALL_SECONDS = 4.0
"""The same for a web call: a server that answers late has one that must be ended."""


class Interrupts:
    """A context that handles signals; needs the main thread.

    Signal handlers of the ``signal`` module, not of the loop: Windows has no others, and the
    second signal must work when the loop is stuck.

    Args:
        abandon: restores the terminal; called before the program exits.
    """

    def __init__(self, abandon: Callable[[], None]) -> None:
        self.received: int | None = None
        self._abandon = abandon
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ask: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        for name in _NAMES:
            number = getattr(signal, name, None)
            # Signals ignored from the start (nohup, a background job) stay ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """0 after Ctrl-C or no signal at all, else 128 and the signal's number."""
        if self.received is None or self.received == signal.SIGINT:
            return 0
        return 128 + self.received

    def ask(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        """Have the first signal call ``callback`` in ``loop``; at once if it has already come."""
        self._loop, self._ask = loop, callback
        if self.received is not None:
            loop.call_soon_threadsafe(callback)

    def forget(self) -> None:
        """Treat the next signal as the first: the last one has been dealt with."""
        self.received, self._loop = None, None

    async def opening(
        self,
        work: Coroutine[Any, Any, T],
        close: Callable[[], None],
        seconds: float = OPENING_SECONDS,
    ) -> T:
        """Await the steps before a call; a signal cancels them, calls ``close`` and exits.

        ``seconds``: what is not closed by then is left as it is.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(work)

        def leave() -> NoReturn:
            close()
            os._exit(128 + (self.received or 0))

        late: asyncio.TimerHandle | None = None

        def cancel() -> None:
            nonlocal late
            if task.cancel():
                late = loop.call_later(seconds, leave)

        self.ask(loop, cancel)
        try:
            return await task
        except asyncio.CancelledError:
            if self.received is None:
                raise
            # A host name lookup may keep its thread busy for many seconds, and Python would
            # wait for it. Everything else is closed by now.
            leave()
        finally:
            if late is not None:
                late.cancel()

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as called
        if self.received is None:
            self.received = number
            stdout.end_soon()
            if self._loop is not None:
                with suppress(RuntimeError):  # the loop has closed: nothing left to ask
                    self._loop.call_soon_threadsafe(self._ask)
        elif number != getattr(signal, "SIGHUP", None):  # a closing terminal sends several
            self._abandon()
            os._exit(INTERRUPTED)
