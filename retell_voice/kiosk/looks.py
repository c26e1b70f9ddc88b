"""How a kiosk looks, for as many as want to see it."""

from __future__ import annotations

import asyncio

from retell_voice.kiosk.ports import Look


class Looks:
    """The look of now, and waiting for the next; all of it on one event loop."""

    def __init__(self) -> None:
        self.now = Look()
        self._waiting: set[asyncio.Future[None]] = set()

    def set(self, look: Look) -> bool:
        """Look like this; return whether that is a change."""
        if look == self.now:
            return False
        self.now = look
        for each in self._waiting:
            if not each.done():
                each.set_result(None)
        return True

    async def changed(self, seen: Look) -> Look:
        """Return how it looks once that is not ``seen``."""
        while self.now == seen:
            future = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
        return self.now
