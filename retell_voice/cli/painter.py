"""From a picture to terminal output: the lines that changed, all at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h"
"""Alternate screen, no cursor, no autowrap, bracketed paste."""
LEAVE = "\x1b[?2026l\x1b[?2004l\x1b[0m\x1b[?1049l\x1b[?7h\x1b[?25h"
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronised output: a terminal that knows these draws what is between them at once."""


class Painter:
    """Remembers what is on the screen."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._size = (0, 0)

    def forget(self) -> None:
        """Consider everything on the screen overwritten."""
        self._size = (0, 0)

    def paint(self, lines: Sequence[tuple[str, str]], size: tuple[int, int]) -> str:
        """Return what to send so that the screen shows these lines; empty if it does.

        Args:
            lines: from the top, each with and without colours, no wider than the screen.
            size: columns and lines of the terminal.
        """
        width, _ = size
        full = size != self._size
        coloured = [line for line, _ in lines]
        parts = ["\x1b[0m\x1b[2J"] if full else []
        for row, (line, plain) in enumerate(lines):
            if full or row >= len(self._shown) or self._shown[row] != line:
                rest = "\x1b[K" if cell_len(plain) < width else ""
                parts.append(f"\x1b[{row + 1};1H{line}{rest}")
        self._shown, self._size = coloured, size
        return f"{_BEGIN}{''.join(parts)}{_END}" if parts else ""
