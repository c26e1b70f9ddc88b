"""Keep the chatter of sound libraries off the terminal.

ALSA, JACK and PortAudio write to file descriptor 2 from whatever thread they are in: a line
for every rate that is refused, pages when a device goes. Neither PortAudio nor JACK can be
told not to (ALSA can, and is the least of it), and turning the descriptor away for the length
of each call would turn away what others say meanwhile.

So it is done the other way round, once, by the program: Python's ``sys.stderr`` moves to a
descriptor of its own, which still is the terminal, and number 2 leads nowhere. Nothing said
through ``sys.stderr``, by a traceback or by logging set up afterwards can get lost.

At the end both are put back, unless PortAudio is still being used: a stream that hangs may write
megabytes until the process ends.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from retell_voice.devices.portaudio import library


@contextmanager
def native_stderr_silenced(log: str | os.PathLike[str] = os.devnull) -> Iterator[None]:
    """Send what libraries written in C say on stderr to a file, by default nowhere.

    For programs, around everything else they do; a library must not do this to its user.
    Does nothing where ``sys.stderr`` is not file descriptor 2, as in a test runner.
    """
    before = sys.stderr
    try:
        native = before.fileno() == 2
    except (AttributeError, OSError, ValueError):  # none at all, or a stand-in without one
        native = False
    if not native:
        yield
        return
    before.flush()
    terminal = os.dup(2)
    sys.stderr = io.TextIOWrapper(
        # Left open at the end: a logging handler may still hold it.
        os.fdopen(terminal, "wb", buffering=0, closefd=False),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=True,
        write_through=True,
    )
    nowhere = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        sys.stderr.flush()
        if not library.has_users():
            os.dup2(terminal, 2)
            sys.stderr = before
