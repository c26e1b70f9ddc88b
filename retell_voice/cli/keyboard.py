"""Reads keys from a terminal, on a thread: the loop that holds the call may be busy."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from retell_voice.cli.keys import Decoder, Key, KeyboardFlags, Told
from retell_voice.cli.terminal import Terminal

_LONE = 0.05  # seconds after which Esc is a key by itself, not the start of a sequence
_LOOK = 0.25  # seconds between checks whether the terminal is ours


class Keyboard:
    """Keys of a terminal.

    Args:
        terminal: the terminal, already taken.
        take: called for each key, on a thread.
    """

    def __init__(self, terminal: Terminal, take: Callable[[Key], None]) -> None:
        self._terminal = terminal
        self._take = take
        self._decoder = Decoder()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    def start(self) -> None:
        """Start reading; without a keyboard, nothing ever comes."""
        if self._terminal.keys is not None:
            self._thread.start()

    def stop(self) -> None:
        """Stop reading, within a quarter of a second; later input is left alone."""
        self._over.set()

    def _run(self) -> None:
        fd = self._terminal.keys
        with suppress(OSError, ValueError):  # the terminal is gone
            interruptions = 0
            while fd is not None and not self._over.is_set():
                if self._terminal.interruptions != interruptions:
                    interruptions = self._terminal.interruptions
                    self._take(Key("unfocus"))
                if not self._terminal.is_ours:  # reading in the background would stop us
                    self._over.wait(_LOOK)
                    continue
                data = _read(fd, _LONE if self._decoder.waiting else _LOOK)
                if data is None:
                    return
                for key in self._decoder.feed(data) if data else self._decoder.flush():
                    if not self._over.is_set():
                        self._handle(key)

    def _handle(self, key: Told) -> None:
        if isinstance(key, KeyboardFlags):
            self._terminal.answered(key.flags)
        elif (number := self._terminal.signal_of(key)) is not None:
            os.killpg(os.getpgrp(), number)  # as the system does when the key makes a signal
        else:
            self._take(key)


if sys.platform != "win32":

    def _read(fd: int, timeout: float) -> bytes | None:
        """Return what was typed, b"" if nothing was, None at the end."""
        if not select.select([fd], [], [], timeout)[0]:
            return b""
        return os.read(fd, 4096) or None

else:
    import msvcrt
    import time

    _SPECIAL = {"H": b"\x1b[A", "P": b"\x1b[B", "M": b"\x1b[C", "K": b"\x1b[D"}
    _SPECIAL |= {"G": b"\x1b[H", "O": b"\x1b[F", "I": b"\x1b[5~", "Q": b"\x1b[6~", ";": b"\x1bOP"}

    def _read(fd: int, timeout: float) -> bytes | None:  # noqa: ARG001 - there is one console
        """The same for a Windows console, whose special keys come as two characters."""
        deadline = time.monotonic() + timeout
        while not msvcrt.kbhit():
            if time.monotonic() > deadline:
                return b""
            time.sleep(0.01)
        character = msvcrt.getwch()
        if character in ("\x00", "\xe0"):
            return _SPECIAL.get(msvcrt.getwch(), b"")
        return character.encode("utf-8", "replace")
