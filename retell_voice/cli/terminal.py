"""The terminal: taken for the duration of a call, and restored whatever happens.

::

    given back ──take──▶ taken ──give_back──▶ given back       Ctrl-Z: given back, stopped, taken
                                                               in the background: given back

Keys arrive one by one and unechoed, but Ctrl-C, Ctrl-Z and Ctrl-\\ remain signals, so that they
work whatever this program is busy with; if the terminal makes keys of them (``key_reports``),
``signal_of`` turns them back into signals. One thread writes (the screen's); the main thread, which
gets the signals, only waits for it, and not for long, since a stalled terminal takes nothing.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from retell_voice.cli.key_reports import KeyReports
from retell_voice.cli.keys import Key
from retell_voice.cli.painter import ENTER, LEAVE

if sys.platform != "win32":
    import termios

_TIMEOUT = 0.2  # seconds for a stalled terminal
_SIZE = (80, 24)
_LOCAL, _CHARACTERS = 3, 6  # where local modes and special characters are in tcgetattr's list


class Terminal:
    """The terminal on standard output and, if it is one, on standard input.

    Args:
        changed: called, on the main thread, when the screen must be redrawn.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._out = sys.stdout.fileno()
        self._in = _terminal(sys.stdin)
        self._modes: list[Any] | None = None  # as they were before
        self._wanted = False
        self._has_page = False  # what we draw on
        self._is_spoilt = False  # by whoever had the terminal while we were stopped
        self.interruptions = 0
        """How often another program has had it; keys held then may have been released."""
        self._reports = KeyReports()
        self._wants_releases = False
        self._answers: deque[int] = deque()
        self._writing = threading.Lock()
        self._before: dict[int, Any] = {}

    @property
    def keys(self) -> int | None:
        """The descriptor to read keys from, None if standard input is not a terminal."""
        return self._in

    @property
    def is_ours(self) -> bool:
        """Whether this program is in the foreground; in the background a shell has the terminal."""
        if sys.platform == "win32":
            return True
        try:
            return os.tcgetpgrp(self._out) == os.getpgrp()
        except OSError:  # a terminal, but not the one that controls this session
            return True

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        try:
            columns, lines = os.get_terminal_size(self._out)
        except OSError:
            return _SIZE
        return columns or _SIZE[0], lines or _SIZE[1]

    def take(self) -> None:
        """Take it, on the main thread; it is restored when the program ends, at the latest."""
        self._wanted = True
        if sys.platform == "win32":
            _understand_sequences(self._out)
        atexit.register(self.give_back)
        for name, handler in (
            ("SIGTSTP", self._stop),
            ("SIGCONT", self._go_on),
            ("SIGWINCH", self._resized),
            ("SIGQUIT", self._quit),
        ):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, handler)
        self._set_modes()

    def give_back(self, timeout: float = _TIMEOUT) -> None:
        """Restore it; safe to call twice, on any thread and in a signal handler.

        ``timeout``: seconds to wait for a stalled terminal; negative waits for ever.
        """
        self._wanted = False
        got = self._writing.acquire(timeout=timeout)
        try:
            self._leave(timeout)
        finally:
            if got:
                self._writing.release()
        atexit.unregister(self.give_back)
        if threading.current_thread() is threading.main_thread():
            while self._before:
                signal.signal(*self._before.popitem())

    def want_releases(self) -> None:
        """Ask the terminal, with the next picture, to report key releases."""
        self._wants_releases = True

    def answered(self, flags: int) -> None:
        """Take the terminal's answer to that, on any thread."""
        self._answers.append(flags)
        self._changed()

    def signal_of(self, key: Key) -> int | None:
        """Return the signal a key stands for, None for most."""
        if sys.platform == "win32" or self._modes is None or not self._modes[_LOCAL] & termios.ISIG:
            return None
        if key.action != "press" or not re.fullmatch(r"ctrl-[@-_a-z]", key.name):
            return None
        character = bytes([ord(key.name[-1]) & 0x1F])
        signals = {
            self._modes[_CHARACTERS][index]: number
            for index, number in (
                (termios.VINTR, signal.SIGINT),
                (termios.VQUIT, signal.SIGQUIT),
                (termios.VSUSP, signal.SIGTSTP),
            )
        }
        return signals.get(character)

    def draw(self, make: Callable[[bool], str]) -> None:
        """Write what ``make`` returns, on the thread of the screen, if the terminal is ours.

        ``make`` is told whether to redraw everything.

        Raises:
            OSError: the terminal is gone.
        """
        with self._writing:
            if not self._wanted or not self.is_ours:
                return
            full = self._is_spoilt or not self._has_page
            if full:
                self._set_modes()
                self._has_page, self._is_spoilt = True, False
            text = (ENTER if full else "") + self._ask(full) + make(full)
            self._write(text.encode(sys.stdout.encoding or "ascii", "replace"))

    def _ask(self, full: bool) -> str:
        """Return what to send to get key releases reported."""
        text = ""
        if full:
            self._answers.clear()
            text = self._reports.leave()
        if self._wants_releases and self._in is not None:
            text += self._reports.ask()
        while self._answers:
            text += self._reports.answered(self._answers.popleft())
        return text

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._out, data) :]

    def _set_modes(self) -> None:
        if sys.platform == "win32" or self._in is None or not self.is_ours:
            return
        with suppress(termios.error):
            modes = termios.tcgetattr(self._in)
            if self._modes is None:
                self._modes = [*modes[:6], list(modes[6])]
            modes[_LOCAL] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
            modes[_CHARACTERS][termios.VMIN], modes[_CHARACTERS][termios.VTIME] = 1, 0
            termios.tcsetattr(self._in, termios.TCSANOW, modes)

    def _leave(self, timeout: float = _TIMEOUT) -> None:
        """Leave our screen and our modes. Unread input is not for the shell."""
        if self._has_page:
            self._has_page = False
            text = self._reports.leave() + LEAVE
            leaving = threading.Thread(target=self._write_leave, args=(text,), daemon=True)
            leaving.start()
            leaving.join(None if timeout < 0 else timeout)
        if sys.platform != "win32" and self._in is not None and self._modes is not None:
            with suppress(termios.error):
                # Not TCSAFLUSH: it would wait for a stalled terminal.
                termios.tcsetattr(self._in, termios.TCSANOW, self._modes)
                termios.tcflush(self._in, termios.TCIFLUSH)

    def _write_leave(self, text: str) -> None:
        with suppress(OSError):
            self._write(text.encode())

    # Signals, on the main thread

    def _stop(self, number: int, frame: FrameType | None) -> None:
        """Stop as any program does, with the terminal restored; continue from here later."""
        if sys.platform == "win32":
            return
        got = self._writing.acquire(timeout=_TIMEOUT)
        try:
            if self.is_ours:
                self._leave()
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_kill(threading.get_ident(), number)
            signal.signal(number, self._stop)
        finally:
            if got:
                self._writing.release()
        self._go_on(number, frame)

    def _go_on(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as called
        """Take the terminal again; a shell may have changed anything meanwhile."""
        if self._wanted:
            self._is_spoilt = True
            self.interruptions += 1
            self._set_modes()
            self._changed()

    def _resized(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as called
        self._changed()

    def _quit(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as called
        self.give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _terminal(stream: Any) -> int | None:
    with suppress(AttributeError, OSError, ValueError):  # closed, or none at all
        return stream.fileno() if stream.isatty() else None
    return None


if sys.platform == "win32":

    def _understand_sequences(out: int) -> None:
        """Make a Windows console accept control sequences."""
        import ctypes
        import msvcrt

        kernel = ctypes.windll.kernel32
        handle, mode = msvcrt.get_osfhandle(out), ctypes.c_ulong()
        if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
            kernel.SetConsoleMode(handle, mode.value | 0x0004)
