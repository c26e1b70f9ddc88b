"""The queue between a call and whoever reads its events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from retell_voice.events import Event


class EventQueue:
    """A bounded queue of events with one reader.

    At the bound the oldest event goes and is counted: the newest say how things are now, and
    the last one, ``Ended``, must never be the one that is missing.

    Args:
        limit: events that may wait.
    """

    def __init__(self, limit: int = 4096) -> None:
        self.dropped = 0
        """Events dropped because nobody was reading them."""
        self.watch: Callable[[Event], None] | None = None
        """Gets every event as well, at once."""
        self._events: deque[Event] = deque(maxlen=limit)
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        """Append an event."""
        if self.watch is not None:
            self.watch(event)
        self.dropped += len(self._events) == self._events.maxlen
        self._events.append(event)
        self._changed.set()

    def close(self) -> None:
        """Say that nothing more will come."""
        self._closed = True
        self._changed.set()

    async def get(self) -> Event | None:
        """Return the next event, None after the last."""
        while not self._events:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
