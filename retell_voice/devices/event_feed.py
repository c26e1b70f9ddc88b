"""What open devices tell whoever iterates over them, without a call as with one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from retell_voice.events import Event
from retell_voice.threads.event_queue import EventQueue
from retell_voice.threads.mailbox import Mailbox, mailbox_of

_MOST_EVENTS = 256


class EventFeed:
    """Events of open devices, from any thread to one reader; nothing is kept without a reader.

    Unread events beyond 256 are dropped, the oldest first.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._events: EventQueue | None = None
        self._mailbox: Mailbox | None = None

    def begin(self) -> None:
        """Begin to keep events. Runs on: event loop, that of the reader from here on."""
        self._began = time.monotonic()
        self._mailbox = mailbox_of(asyncio.get_running_loop())
        self._events = EventQueue(_MOST_EVENTS)

    @property
    def has_begun(self) -> bool:
        """Whether events are kept."""
        return self._events is not None

    async def next(self) -> Event | None:
        """Return the next event, None at the end."""
        return None if self._events is None else await self._events.get()

    def post(self, event: Event) -> None:
        """Tell; its ``at`` becomes seconds since the beginning. Runs on: any thread."""
        if self._mailbox is not None:
            self._mailbox.post(self._take, event)

    def close(self) -> None:
        """Tell the reader that this is the end. Runs on: any thread."""
        if self._mailbox is not None and (events := self._events) is not None:
            self._mailbox.post(lambda *_: events.close(), None)

    def _take(self, event: Event, waited: float) -> None:
        """Runs on: event loop."""
        if self._events is not None:
            self._events.put(replace(event, at=time.monotonic() - self._began - waited))
