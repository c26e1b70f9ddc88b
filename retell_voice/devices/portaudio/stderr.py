"""Keep the chatter of sound libraries off the terminal.

ALSA, JACK and PortAudio write to file descriptor 2 from any thread: a line for every rate that is
refused, pages when a device goes away. Neither PortAudio nor JACK can be told not to (ALSA can, and
is the least of it), and redirecting the descriptor during each call into them would also swallow
what others write meanwhile.

So the program does it the other way round, once: Python's ``sys.stderr`` moves to another
descriptor, which still is the terminal, and descriptor 2 goes nowhere. Nothing written through
``sys.stderr``, by a traceback or by logging set up afterwards can get lost.

At the end both are restored, unless PortAudio is still in use: a hanging stream may write megabytes
until the process ends.
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
    """Redirect what C libraries write to stderr to a file, by default nowhere.

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
