"""Lines that are typed while something else goes on."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

_LONGEST = 10_000  # characters of a line: more is no turn of anybody
_MOST_WAITING = 1000


class Lines:
    """Takes bytes as they come and gives whole lines of text."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes, without their ends; b"" is the end."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: 4 * _LONGEST]  # bytes; more of it would not be said
        if not data and self._rest:
            whole, self._rest = [self._rest], b""
        return [line.decode("utf-8", "replace").strip()[:_LONGEST] for line in whole]


def read_lines(
    fd: int, take: Callable[[str], None], ended: Callable[[], None] = lambda: None
) -> None:
    """Read lines until the end of input, on a thread that nothing waits for.

    Reads the descriptor itself: Python's own reader holds a lock that a program which ends
    meanwhile would trip over.
    """

    def run() -> None:
        lines = Lines()
        with suppress(OSError):
            while data := os.read(fd, 4096):
                for line in lines.feed(data):
                    take(line)
        for line in lines.feed(b""):
            take(line)
        ended()

    threading.Thread(target=run, name="retell-voice console", daemon=True).start()


class TypedTurns:
    """Lines of standard input that are said, each when it may be.

    Args:
        say: says one.
        may: whether anything can be said by now.
        fd: where they are read from.
    """

    def __init__(
        self, say: Callable[[str], None], may: Callable[[], bool] = lambda: True, fd: int = 0
    ) -> None:
        self._say = say
        self._may = may
        self._waiting: deque[str] = deque()
        self._room = threading.Semaphore(_MOST_WAITING)  # reading pauses where there is none
        self._has_ended = False
        read_lines(fd, self._take, self._end)

    @property
    def is_waiting(self) -> bool:
        """Whether a line waits to be said."""
        return bool(self._waiting) and self._may()

    @property
    def is_speaking(self) -> bool:
        """Never: a line is said at once."""
        return False

    @property
    def is_over(self) -> bool:
        """Whether all lines have been said, and no more will come."""
        return self._has_ended and not self._waiting

    def go_on(self) -> None:
        """Say the next line."""
        self._say(self._waiting.popleft())
        self._room.release()

    def _take(self, line: str) -> None:
        if line:
            self._room.acquire()
            self._waiting.append(line)

    def _end(self) -> None:
        self._has_ended = True
