"""Standard output that remembers why it could not be written, whoever was writing.

A reader that has seen enough (``| head``) is not a failure, but a full disk is. The libraries that
print for this program either handle both or swallow both.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
import threading
from contextlib import suppress
from typing import Any, BinaryIO, TextIO

from retell_voice.shown import clean_lines


class _Remembering(io.RawIOBase):
    """Writes to a file; keeps the first error."""

    def __init__(self, raw: Any) -> None:
        self.error: OSError | None = None
        self._raw = raw

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        number: int = self._raw.fileno()
        return number

    def isatty(self) -> bool:
        return bool(self._raw.isatty())

    def write(self, data: Any) -> int | None:
        try:
            count: int | None = self._raw.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        return count


def say(text: str, end: str = "\n") -> None:
    """Write lines to standard output, at once and as people can be shown them.

    Raises:
        OSError: it cannot be written.
    """
    put(clean_lines(text) + end)


def put(text: str) -> None:
    """Write a text as it is, with its colours; what its encoding does not have is a ``?``.

    On the main thread, a reader that stands still is waited for, but once the program has been
    asked to end: a second at most.
    """
    if sys.stdout is None:
        return
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    text = text.encode(encoding, "replace").decode(encoding)
    if threading.current_thread() is not threading.main_thread():
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    for begin in range(0, len(text), _PIECE):
        waited = 0.0
        while not takes_more(sys.stdout, _LOOK):
            if _ending:
                waited += _LOOK
            if waited >= _PATIENCE:
                abandon()
                return
        sys.stdout.write(text[begin : begin + _PIECE])
        sys.stdout.flush()


def end_soon() -> None:
    """Note that the program has been asked to end: nobody is waited for any longer."""
    global _ending  # noqa: PLW0603 - a process has one standard output
    _ending = True


_ending = False
_LOOK = 0.1
"""Seconds from one look at the reader to the next."""
_PATIENCE = 1.0
"""Seconds for which one that stands still is waited for at the end."""
_PIECE = 1000
"""Characters that a pipe with any room takes at once, however they are encoded."""


def takes_more(stream: TextIO, seconds: float) -> bool:
    """Tell whether a standard stream can be written to, waiting so long for it at most."""
    if os.name != "posix":
        return True
    try:
        return bool(select.select([], [stream.fileno()], [], seconds)[1])
    except (OSError, ValueError):  # a stand-in without a descriptor, or one beyond select's
        return True


def is_terminal() -> bool:
    """Tell whether people see what is written."""
    return sys.stdout is not None and sys.stdout.isatty()


def remember_failures() -> None:
    """Start remembering, for ``failure``."""
    out = sys.stdout
    # A Windows console is not a file, and a test's replacement is the test's business.
    if os.name == "nt" or out is not sys.__stdout__ or not isinstance(out, io.TextIOWrapper):
        return
    raw = _Remembering(getattr(out.buffer, "raw", out.buffer))
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=out.encoding,
        errors=out.errors,
        line_buffering=out.line_buffering,
        write_through=out.write_through,
    )


def failure() -> OSError | None:
    """Return why standard output could not be written, None if it could; flushes it."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, _Remembering) else None


def is_no_failure(error: OSError) -> bool:
    """Tell whether the reader has just gone away, or the terminal has."""
    return error.errno in (errno.EPIPE, errno.EIO)


def hand_over() -> None:
    """Keep what is standard output for ``handed_over``; what is printed goes to standard error."""
    global _handed_over  # noqa: PLW0603 - a process has one standard output
    sys.stdout.flush()
    _handed_over = os.dup(1)
    os.dup2(sys.stderr.fileno(), 1)  # which need not be 2, where PortAudio writes what it likes
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(_handed_over, os.O_BINARY)


def handed_over() -> BinaryIO | None:
    """Return what was standard output, once, for bytes; None if it was not handed over."""
    global _handed_over
    fd, _handed_over = _handed_over, None
    return None if fd is None else os.fdopen(fd, "wb")


_handed_over: int | None = None


def abandon() -> None:
    """Leave it to a thread that stands in a write: nothing waits for it any more.

    Python would, at the end of the program; so whoever ends it must ask ``is_abandoned``.
    """
    global _abandoned  # noqa: PLW0603 - a process has one standard output
    _abandoned = True
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for good


def is_abandoned() -> bool:
    """Tell whether the program must end without Python's own tidying up."""
    return _abandoned


_abandoned = False


def open_all() -> None:
    """Open what is closed of standard input, output and error, on nothing.

    Else what this program opens next would get their numbers: a socket, and libraries write to 2.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for good


def silence() -> None:
    """Discard further output, so that nothing fails at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
