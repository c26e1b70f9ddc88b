"""The real program in a terminal: a pseudo-terminal, and what is on its screen."""

from __future__ import annotations

import sys
import termios
import time
from collections.abc import Callable, Mapping
from typing import Any

import pexpect
import pyte

TIMEOUT = 20.0
"""Seconds after which whatever is waited for has failed."""


class Terminal:
    """``retell-voice`` in a terminal of its own; a context manager.

    Args:
        arguments: its command line.
        env: its environment.
        size: lines and columns.
        encoding: what the terminal shows.

    Attributes:
        raw: all that the program wrote.
    """

    def __init__(
        self, *arguments: str, env: Mapping[str, str], size: tuple[int, int] = (24, 80)
    ) -> None:
        self.raw = b""
        self._screen = pyte.Screen(size[1], size[0])
        self._stream = pyte.ByteStream(self._screen)
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "retell_voice", *arguments],
            env={**env, "TERM": "xterm-256color"},
            dimensions=size,
            timeout=TIMEOUT,
        )
        self.modes = termios.tcgetattr(self._child.child_fd)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.close(force=True)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(self.lines)

    def resize(self, lines: int, columns: int) -> None:
        """Make the terminal another size; the program gets SIGWINCH."""
        self._child.setwinsize(lines, columns)
        self._screen.resize(lines, columns)

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._child.kill(number)

    def press(self, key: str) -> None:
        """Press a key with Ctrl."""
        self._child.sendcontrol(key)

    def type(self, keys: str) -> None:
        """Press keys that stand for characters; ``\\r`` is Enter."""
        self._child.send(keys)

    def wait_for(self, condition: str | Callable[[Terminal], Any]) -> None:
        """Read until a text is on the screen or a condition holds."""
        deadline = time.monotonic() + TIMEOUT
        while not (condition in self.text if isinstance(condition, str) else condition(self)):
            if time.monotonic() > deadline or not self._read():
                raise AssertionError(f"never saw {condition!r} but:\n{self.text}")

    def wait(self) -> int:
        """Read to the end and return the exit code; a signal's number is negative."""
        while self._read():
            pass
        # What the program left the terminal in; asked for while somebody still holds it open.
        self.modes_after = termios.tcgetattr(self._child.child_fd)
        return self.exit_code()

    def exit_code(self) -> int:
        """Return the exit code, reading nothing of what the program still writes."""
        self._child.wait()
        code: int | None = self._child.exitstatus
        return code if code is not None else -int(self._child.signalstatus or 0)

    def _read(self) -> bool:
        try:
            data: Any = self._child.read_nonblocking(65536, timeout=TIMEOUT)  # bytes
        except (pexpect.EOF, pexpect.TIMEOUT):
            return False
        self.raw += data
        self._stream.feed(data)
        return True
