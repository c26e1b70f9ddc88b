"""From any thread to an event loop: many notices, few wake-ups.

Waking an event loop costs a system call and contention for the interpreter's lock. All calls on
a loop share a mailbox, so whatever arrives while the loop is busy is delivered in one batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar
from weakref import WeakValueDictionary

_T = TypeVar("_T")


class Mailbox:
    """Delivers notices to their handlers on an event loop, in the order in which they came.

    Args:
        loop: the event loop; made on its thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Callable[[Any, float], None], Any, float]] = deque()
        self._rung = False

    def post(self, take: Callable[[_T, float], None], notice: _T) -> None:
        """Have ``take(notice, waited)`` called on the loop, or never if the loop has closed.

        ``waited``: seconds the notice spent in the mailbox; many if the loop was blocked.
        Runs on: any thread. Neither blocks nor raises.
        """
        self._waiting.append((take, notice, monotonic()))
        # Appended first: whoever empties the box resets the bell before looking in.
        if not self._rung:
            self._rung = True
            with contextlib.suppress(RuntimeError):  # the loop has closed
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._rung = False
        waiting = self._waiting
        # Only those already here: the loop has other work to do.
        for _ in range(len(waiting)):
            take, notice, at = waiting.popleft()
            try:
                take(notice, monotonic() - at)
            except Exception as error:
                self._loop.call_exception_handler(
                    {"message": "a defect of retell-voice", "exception": error}
                )


# A mailbox lives as long as a call holds it.
_boxes: WeakValueDictionary[asyncio.AbstractEventLoop, Mailbox] = WeakValueDictionary()
_lock = threading.Lock()


def mailbox_of(loop: asyncio.AbstractEventLoop) -> Mailbox:
    """Return the one mailbox of a loop."""
    with _lock:
        return _boxes.setdefault(loop, Mailbox(loop))
