"""Standard output that remembers why it could not be written, whoever was writing.

A reader that has seen enough (``| head``) is not a failure, but a full disk is. The libraries that
print for this program either handle both or swallow both.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any


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


def silence() -> None:
    """Discard further output, so that nothing fails at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
