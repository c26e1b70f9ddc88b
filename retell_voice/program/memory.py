"""Memory of a program that may run for months, or hold a call for hours."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress

_M_ARENA_MAX = -8  # of glibc's malloc.h


def share_one_heap() -> None:
    """Have all threads share one heap, before they are started.

    Otherwise glibc gives most threads a heap of their own, up to eight for each processor. Whenever
    a device is reopened, the sound system allocates some 300 kB on threads that come and go, from
    whichever heap these happen to get, and each heap keeps its holes: on a busy machine a call grew
    by 6 MB in ten minutes, and a kiosk by 4 MB in 200 web calls.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def tidy() -> None:
    """Free what a call has left behind. May take tens of milliseconds: use it between calls.

    Its objects refer to each other, and Python collects them only after many calls: a kiosk was
    9 MB larger after 150 web calls, and still growing.
    """
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
