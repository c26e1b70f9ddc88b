"""Lines that are typed while something else goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

_LONGEST = 10_000  # characters of a line: more is no turn of anybody


class Lines:
    """Takes bytes as they come and gives whole lines of text."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes, without their ends; b"" is the end."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            whole, self._rest = [self._rest], b""
        return [line.decode("utf-8", "replace").strip()[:_LONGEST] for line in whole]


def read_lines(fd: int, take: Callable[[str], None]) -> None:
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

    threading.Thread(target=run, name="retell-voice console", daemon=True).start()
