"""Buttons whose presses come out of a file descriptor: no thread, and no polling."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable

from retell_voice.kiosk.ports import PartFailed, Surroundings, TriggerEvent
from retell_voice.kiosk.states import State
from retell_voice.kiosk.triggers.presses import Edge, Presses

_IN_CALL = (State.DIALLING, State.IN_CALL)
_MOST = 64
"""Events kept for an iteration that does not come for them; the oldest go."""


class Reading:
    """Reads a descriptor of edges from its making to ``stop``, on the event loop.

    Args:
        fd: is readable when there is something.
        read: reads that, without waiting. What is no edge is passed on as it is. Raises
            ``PartFailed`` or ``OSError`` when the button is gone.
        presses: makes sense of edges.
        surroundings: tells whether a call is up.
    """

    def __init__(
        self,
        fd: int,
        read: Callable[[], Iterable[Edge | TriggerEvent]],
        presses: Presses,
        surroundings: Surroundings,
    ) -> None:
        self._fd = fd
        self._read = read
        self._presses = presses
        self._surroundings = surroundings
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Edge | TriggerEvent] = deque(maxlen=_MOST)
        self._ready = asyncio.Event()
        self._failure: Exception | None = None
        self._loop.add_reader(fd, self._take)

    def stop(self) -> None:
        """Read no more; before the descriptor is closed."""
        self._loop.remove_reader(self._fd)

    async def happenings(self) -> AsyncIterator[TriggerEvent]:
        """Yield what is meant.

        Raises:
            PartFailed, OSError: as ``read``.
        """
        presses = self._presses
        while True:
            try:
                async with asyncio.timeout(presses.long if presses.undecided else None):
                    await self._ready.wait()
            except TimeoutError:
                if (meant := presses.held()) is not None:
                    yield meant
                continue
            self._ready.clear()
            while self._waiting:
                if (meant := self._meaning(self._waiting.popleft())) is not None:
                    yield meant
            if self._failure is not None:
                raise self._failure

    def _meaning(self, each: Edge | TriggerEvent) -> TriggerEvent | None:
        if isinstance(each, TriggerEvent):
            return each
        return self._presses.edge(each, in_call=self._surroundings.look.state in _IN_CALL)

    def _take(self) -> None:
        try:
            self._waiting.extend(self._read())
        except BlockingIOError:  # nothing there after all
            return
        except (OSError, PartFailed) as error:
            self.stop()
            self._failure = error
        self._ready.set()
