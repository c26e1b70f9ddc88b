"""PortAudio's threads that spin: found, and held for good.

When a sound server dies in a bad moment, a thread of PortAudio's on Linux reports its error for
ever (github.com/PortAudio/portaudio/issues/1037): it takes a core, writes a hundred megabytes a
second to standard error, and ends neither when it is cancelled nor when its stream is closed. All
that it does is ``fprintf(stderr, …)``. So for some milliseconds C's ``stderr`` is a file whose lock
is taken: the thread waits for that lock from then on, which costs nothing, and all others find
``stderr`` as it was.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from retell_voice.devices.clock import LEFT_OUT, WATCH, WATCH_SECONDS, Ticking

_CALM = 0.033
"""Seconds from one look to the next while all streams call back. A thread that spins prints 200 MB
a second."""
_UNSEEN_CALM = WATCH_SECONDS
"""The same where standard error goes nowhere: all that is lost until then is time of the processor.
As often as what looks after devices, so that both take one wake-up."""
_LOOK = 0.02
"""The same while one does not: two blocks of a call's stream, one of a kiosk's."""
_BUSY = 0.2
"""Share of a look for which a thread that does no work must have run. One that waits for its device
runs for a few per cent; one that spins may have to share its processor with others."""
_MOMENT = 0.005
_ATTEMPTS = 50
_BY_CALLER = 2  # FSETLOCKING_BYCALLER of stdio_ext.h
_CLOCK = WATCH


class Watched(Protocol):
    """A stream's thread, as its callbacks tell of it."""

    calls: int
    thread: int
    longest: float
    """Seconds from one call to the next that are no sign of trouble."""


@dataclass(slots=True)
class _Seen:
    """What was last seen of a stream."""

    stream: Watched
    calls: int = 0
    still: float = 0.0  # seconds for which it has not called back
    ran: float | None = None
    attempts: int = 0


class Guard:
    """Looks at threads of streams, and springs the trap where one spins.

    Args:
        trap: holds the thread; None where there is none for this system.
    """

    def __init__(self, trap: Trap | None) -> None:
        self._trap = trap
        self._lock = threading.Lock()
        self._streams: dict[int, _Seen] = {}
        self._ticking: Ticking | None = None
        self._calm = self._pace = _CALM
        self.held = 0
        """Threads that were held."""

    def watch(self, stream: Watched) -> None:
        """Begin to look at a stream's thread."""
        if self._trap is None:
            return
        with self._lock:
            self._streams[id(stream)] = _Seen(stream)
            if self._ticking is None:
                self._calm = _calm()
                self._begin(self._calm)

    def forget(self, stream: Watched) -> None:
        """Look at it no more: it has been closed."""
        with self._lock:
            self._streams.pop(id(stream), None)
            over = not self._streams
            ticking, self._ticking = self._ticking, None if over else self._ticking
        if over and ticking is not None:
            _CLOCK.end(ticking)

    def look(self) -> int:
        """Look at all of them; return how many of the next looks are needless, if others think so,
        too. Runs on: clock thread."""
        pace = self._calm
        for key, seen in list(self._streams.items()):
            stream, calls = seen.stream, seen.stream.calls
            seen.still = seen.still + self._pace if calls == seen.calls else 0.0
            seen.calls, ran, seen.ran = calls, seen.ran, None
            if stream.thread and seen.still > stream.longest:  # nothing that it is there for
                pace = _LOOK
                now = seen.ran = running_time(stream.thread)
                if ran is not None and now is not None and now - ran >= _BUSY * _LOOK:
                    seen.ran = None
                    seen.attempts += 1
                    self._hold(stream)
            if seen.attempts > _ATTEMPTS:  # what it spins in is no printing
                with self._lock:
                    self._streams.pop(key, None)
        self._look_every(pace)
        return LEFT_OUT if pace == _UNSEEN_CALM else 0

    def _look_every(self, seconds: float) -> None:
        with self._lock:
            before = self._ticking
            if before is None or seconds == self._pace:
                return
            self._begin(seconds)
        _CLOCK.end(before)

    def _begin(self, seconds: float) -> None:
        self._pace = seconds
        self._ticking = _CLOCK.begin(seconds, self.look, lambda _: None)

    def _hold(self, stream: Watched) -> None:
        if self._trap is None:
            return
        self._trap.spring(_MOMENT)
        before = running_time(stream.thread)
        time.sleep(_MOMENT)
        after = running_time(stream.thread)
        if before is not None and after is not None and after - before < _BUSY * _MOMENT:
            self.held += 1


def _calm() -> float:
    """Return the seconds from one look to the next while all streams call back."""
    with suppress(OSError):  # closed
        if os.path.samestat(os.fstat(2), os.stat(os.devnull)):
            return _UNSEEN_CALM
    return _CALM


class Trap:
    """C's ``stderr``, and a file nobody can write to.

    Raises:
        OSError, ValueError, AttributeError: this system's C library is another one.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018 - only there is ``stderr`` known to be a variable
        libc.fopen.restype = ctypes.c_void_p
        libc.flockfile.argtypes = (ctypes.c_void_p,)
        no_locking = getattr(libc, "__fsetlocking")
        no_locking.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._stderr = ctypes.c_void_p.in_dll(libc, "stderr")
        self._file = libc.fopen(b"/dev/null", b"w")
        if not self._file:
            raise OSError("no file to hold a thread with")
        # By a thread that does nothing else and never ends: C lets a file's owner through, and
        # knows it by an address that the next thread gets once this one has ended.
        locked = threading.Event()

        def keep_it() -> None:
            libc.flockfile(self._file)
            locked.set()
            threading.Event().wait()

        threading.Thread(target=keep_it, name="retell-voice trap", daemon=True).start()
        locked.wait()
        # As a process ends, C (glibc since 2.41) flushes all files and waits for their locks, but
        # not for this one's. Whoever is held stays held: what it spins in may be freed by then.
        atexit.register(no_locking, self._file, _BY_CALLER)

    def spring(self, seconds: float) -> None:
        """Hold whoever writes to ``stderr`` within so many seconds."""
        before = self._stderr.value
        if before == self._file:
            return
        self._stderr.value = self._file
        try:
            time.sleep(seconds)
        finally:
            self._stderr.value = before


def running_time(thread: int) -> float | None:
    """Return the seconds for which a thread of this process has run, None if it has ended."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9
    return None


def _trap() -> Trap | None:
    if sys.platform != "linux":
        return None
    try:
        return Trap()
    except (OSError, ValueError, AttributeError):
        return None


_guard: Guard | None = None
_making = threading.Lock()


def guard() -> Guard:
    """Return the one guard of this process."""
    global _guard  # noqa: PLW0603 - C has one stderr
    with _making:
        if _guard is None:
            _guard = Guard(_trap())
        return _guard
