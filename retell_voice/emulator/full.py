"""Connections that wait because the process may open no more files: told once a second.

asyncio then tries again each second, a hundred times in a row, and logs a traceback each time.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

_WORDS = "socket.accept() out of system resource"  # asyncio's
_PAUSE = 0.9  # seconds


class FullNotice:
    """Logs a line for what asyncio reports of the sockets of one server, while it is there.

    What it reports of anything else goes where it went before.

    Args:
        log: where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._files: set[int] = set()
        self._told_at = float("-inf")

    def open(self, files: set[int]) -> None:
        """Begin, for sockets with these file descriptors."""
        self._files = files
        self._loop = asyncio.get_running_loop()
        self._before = self._loop.get_exception_handler()
        # Bound once: a method is another object each time.
        self._handler = self._handle
        self._loop.set_exception_handler(self._handler)

    def close(self) -> None:
        """End; where others have come since, they go on without this one's help."""
        self._files = set()
        if self._loop.get_exception_handler() is self._handler:
            self._loop.set_exception_handler(self._before)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        sock = context.get("socket")
        if context.get("message") == _WORDS and sock is not None and sock.fileno() in self._files:
            if loop.time() - self._told_at >= _PAUSE:
                self._told_at = loop.time()
                why = getattr(context.get("exception"), "strerror", None) or "no resources"
                self._log.warning(
                    "the emulator takes no more connections for now: %s (ulimit -n)", why
                )
        elif self._before is not None:
            self._before(loop, context)
        else:
            loop.default_exception_handler(context)
