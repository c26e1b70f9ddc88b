"""The real program in a terminal: a pseudo-terminal, and what is on its screen."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import pexpect
import pyte
from pexpect.fdpexpect import fdspawn
from support.warm import WarmProcess

TIMEOUT = 20.0
"""Seconds after which whatever is waited for has failed."""

_DRAWN = b"\x1b[?2026l"
"""What ends a picture: it shows at once."""

_SHELL = """
import os, signal, sys, termios

def foreground(group):
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, group)

child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    foreground(os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "retell_voice", *sys.argv[1:]])
modes = termios.tcgetattr(0)
while os.WIFSTOPPED(status := os.waitpid(child, os.WUNTRACED)[1]):
    foreground(os.getpgrp())
    assert termios.tcgetattr(0) == modes
    os.write(1, b"[stopped]")
    assert os.read(0, 99) == b"fg\\n"
    foreground(child)
    os.kill(child, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class _WarmChild(fdspawn):  # type: ignore[type-arg]
    """As ``pexpect.spawn``, with the program from a warm process.

    Attributes:
        modes: of the terminal, before the program could change them.
    """

    def __init__(
        self,
        process: WarmProcess,
        arguments: Sequence[str],
        env: Mapping[str, str],
        size: tuple[int, int],
    ) -> None:
        ours, theirs = os.openpty()
        try:
            termios.tcsetwinsize(theirs, size)
            self.modes = termios.tcgetattr(theirs)
            self._started = process.start(
                *arguments, env=env, streams=[theirs] * 3, in_terminal=True
            )
        finally:
            os.close(theirs)
        super().__init__(ours, timeout=TIMEOUT)

    def setwinsize(self, lines: int, columns: int) -> None:
        termios.tcsetwinsize(self.child_fd, (lines, columns))

    def kill(self, number: int) -> None:
        os.kill(self._started.pid, number)

    def sendcontrol(self, key: str) -> None:
        self.send(chr(ord(key.upper()) ^ 64))

    def wait(self) -> None:
        code = self._started.wait()
        self.exitstatus, self.signalstatus = (code, None) if code >= 0 else (None, -code)

    def close(self, force: bool = True) -> None:
        if self._started.status is None:
            with suppress(ProcessLookupError):  # it has ended by itself
                self.kill(signal.SIGKILL)
            self.wait()
        super().close()


class Terminal:
    """``retell-voice`` in a terminal of its own; a context manager.

    Args:
        arguments: its command line.
        env: its environment.
        size: lines and columns.
        under_shell: whether a shell starts it that goes on with it where Ctrl-Z has stopped it.

    Attributes:
        raw: all that the program wrote.
    """

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str],
        size: tuple[int, int] = (24, 80),
        under_shell: bool = False,
    ) -> None:
        self.raw = b""
        self._unread = b""
        self._screen = pyte.Screen(size[1], size[0])
        self._stream = pyte.ByteStream(self._screen)
        env = {**env, "TERM": "xterm-256color"}
        of_start = any(
            name.startswith("PYTHON") and value != os.environ.get(name, "")
            for name, value in env.items()
        )
        self._child: Any
        if WarmProcess.running is not None and not under_shell and not of_start:
            self._child = _WarmChild(WarmProcess.running, arguments, env, size)
            self.modes = self._child.modes
        else:
            start = ("-c", _SHELL) if under_shell else ("-m", "retell_voice")
            self._child = pexpect.spawn(
                sys.executable, [*start, *arguments], env=env, dimensions=size, timeout=TIMEOUT
            )
            self.modes = termios.tcgetattr(self._child.child_fd)

    def __enter__(self) -> Self:
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

    def wait_for(self, condition: str | Callable[[Self], Any]) -> None:
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
        """Read on, to the end of a picture at most: each is looked at, however late we are."""
        if not self._unread:
            try:
                self._unread = self._child.read_nonblocking(65536, timeout=TIMEOUT)
            except (pexpect.EOF, pexpect.TIMEOUT):
                return False
        picture, end, rest = self._unread.partition(_DRAWN)
        data, self._unread = picture + end, rest
        self.raw += data
        self._shown(data)
        return True

    def _shown(self, data: bytes) -> None:
        self._stream.feed(data)


class KittyTerminal(Terminal):
    """A terminal that reports key releases, if it is asked to.

    Args:
        arguments: as of ``Terminal``.
        known: those of the keyboard settings that it knows.
        options: as of ``Terminal``.

    Attributes:
        keyboard: the stack of keyboard settings of the page that is shown.
        focus: whether it tells that another window has the keyboard.
    """

    _SPECIAL = re.compile(rb"\x1b\[([?><])([0-9]*)([uhl])")
    _BEGUN = re.compile(rb"\x1b(\[[?><]?[0-9]*)?\Z")

    def __init__(self, *arguments: str, known: int = 0b11111, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._known = known
        self._pages: dict[bool, list[int]] = {False: [], True: []}
        self._is_other_page = False
        self.focus = False
        self._rest = b""

    @property
    def keyboard(self) -> list[int]:
        """The stack of keyboard settings of the page that is shown."""
        return self._pages[self._is_other_page]

    @property
    def tells_releases(self) -> bool:
        """Whether every key is told when it goes down and comes up."""
        return bool(self.keyboard) and self.keyboard[-1] & 0b11011 == 0b11011

    def down(self, key: str) -> None:
        """Press a key that is a character, and hold it."""
        self.type(f"\x1b[{ord(key)};1;{ord(key)}u" if self.tells_releases else key)

    def up(self, key: str) -> None:
        """Let go of it."""
        if self.tells_releases:
            self.type(f"\x1b[{ord(key)};1:3u")

    def press(self, key: str) -> None:
        """Press a key with Ctrl, and let go of it."""
        if self.tells_releases:
            self.type(f"\x1b[{ord(key)};5u\x1b[{ord(key)};5:3u")
        else:
            super().press(key)

    def _shown(self, data: bytes) -> None:
        data = self._rest + data
        begun = self._BEGUN.search(data)
        whole = data[: begun.start()] if begun else data
        self._rest = data[len(whole) :]
        for kind, number, final in self._SPECIAL.findall(whole):
            self._take(kind + final, int(number or 0))
        super()._shown(re.sub(rb"\x1b\[[?><][0-9]*u", b"", whole))

    def _take(self, what: bytes, number: int) -> None:
        match what:
            case b"?u":
                self.type(f"\x1b[?{self.keyboard[-1] if self.keyboard else 0}u")
            case b">u":
                self.keyboard.append(number & self._known)
            case b"<u":
                self.keyboard[-1:] = []
            case b"?h" | b"?l" if number == 1049:
                self._is_other_page = what == b"?h"
                self._pages[True] = self._pages[True] if self._is_other_page else []
            case b"?h" | b"?l" if number == 1004:
                self.focus = what == b"?h"
