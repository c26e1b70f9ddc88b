"""Lines for standard output, written on a thread: a slow or stalled reader blocks nobody.

A stalled terminal (Ctrl-S), a pager, a slow line: what cannot be written waits here, up to a bound
in lines and in bytes. At exit, a reader is waited for as long as it keeps reading.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from retell_voice.events import Utterance
from retell_voice.program import stdout
from retell_voice.program.failure import complain

MAX_LINES = 10_000
"""Lines that may wait; then new ones are dropped and counted."""
MAX_BYTES = 16 * 2**20
"""The same in bytes of memory, about; one line may be larger than that."""
DRAIN_TIMEOUT = 1.0
"""Seconds without progress after which a reader is no longer waited for at exit."""
_PIECE = 4096  # bytes that a pipe with any room takes at once
_OBJECT = 100  # bytes of an almost empty object
_WORD = 300  # bytes of a word and its times

Line = str | Callable[[], str | None]
"""A line, or a function that makes it; None if it has written it elsewhere."""


class LineWriter:
    """Writes lines in their order."""

    def __init__(self) -> None:
        self.failure: OSError | None = None
        """Why a line could not be written, a full disk for example."""
        self._waiting: deque[tuple[Line, int] | None] = deque()
        self._bytes = 0
        self._wake = threading.Semaphore(0)
        self._dropped = 0
        self._progress = 0
        self._moved = threading.Event()
        self._gone: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._write, name="output", daemon=True)

    def open(self, gone: Callable[[], None]) -> None:
        """Start; ``gone`` is called, on the thread, once nothing can be written any more."""
        self._gone = gone
        self._thread.start()

    def put(self, line: Line, size: int | None = None) -> None:
        """Queue a line; never blocks.

        Args:
            line: the line.
            size: bytes of memory it keeps, see ``size_of``; None for those of a text.
        """
        if size is None:
            size = _OBJECT + (len(line) if isinstance(line, str) else 0)
        full = len(self._waiting) >= MAX_LINES
        if full or (self._waiting and self._bytes + size > MAX_BYTES):
            self._dropped += 1
            return
        self._bytes += size
        self._waiting.append((line, size))
        self._wake.release()

    def close(self) -> None:
        """Write what is left, unless nobody reads; report dropped lines."""
        self._waiting.append(None)
        self._wake.release()
        while self._thread.is_alive():
            self._moved.clear()
            before = self._progress
            self._thread.join(DRAIN_TIMEOUT)
            if self._thread.is_alive() and self._progress == before:
                # It is in a write that may never return.
                self._dropped += sum(each is not None for each in tuple(self._waiting)) + 1
                stdout.abandon()
                break
        if self._dropped and self.failure is None:
            complain(f"{self._dropped} lines of output were dropped: nobody read them in time")

    def _write(self) -> None:
        try:
            while self._wake.acquire() and (item := self._waiting.popleft()) is not None:
                line, size = item
                text = line if isinstance(line, str) else line()
                if text is not None:
                    for begin in range(0, len(text), _PIECE):
                        stdout.say(text[begin : begin + _PIECE], end="")
                        self._progress += 1
                    stdout.say("")
                self._progress += 1
                self._bytes -= size
        except (OSError, ValueError) as error:
            # A reader that has seen enough, or a terminal that is gone, is not a failure.
            if isinstance(error, OSError) and not stdout.is_no_failure(error):
                self.failure = error
            stdout.silence()
            self._gone()


def size_of(value: Any) -> int:
    """Return about how many bytes of memory a value keeps, for a bound."""
    size, left = 0, [value]
    while left:
        each = left.pop()
        size += _OBJECT
        if isinstance(each, str | bytes):
            size += len(each)
        elif isinstance(each, Utterance):  # of a long call thousands come with each word
            size += len(each.content) + _WORD * len(each.words)
        elif isinstance(each, Mapping):
            left.extend(each)
            left.extend(each.values())
        elif isinstance(each, list | tuple):
            left.extend(each)
        elif is_dataclass(each):
            left.extend(getattr(each, part.name) for part in fields(each))
    return size
