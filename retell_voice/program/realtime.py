"""Settings that keep Python from delaying audio. Both are process-wide, so for programs only."""

from __future__ import annotations

import gc
import sys

_USUAL = gc.get_threshold()
_FEW = 100_000

SWITCH_INTERVAL = 0.0005
"""Seconds after which a Python thread yields: with Python's default of 5 ms, two busy threads
caused about 240 gaps in 20 s, with this value two."""


def set_switch_interval() -> None:
    """Make busy Python threads yield to the audio callbacks sooner."""
    sys.setswitchinterval(SWITCH_INTERVAL)


def put_off_collecting() -> None:
    """Let modules load without being looked through for garbage, in which there is none: that
    takes an eighth of the start of a call. Until ``freeze_memory``, or as much as a call is made of
    comes up anew."""
    gc.set_threshold(_FEW)


def freeze_memory() -> None:
    """Exempt everything loaded so far from garbage collection, which delays audio by 30 ms."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
