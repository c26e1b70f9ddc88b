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
    """Raise the collection threshold until ``freeze_memory`` restores it, or ``collect_as_usual``.

    Modules that load have no garbage in them, and looking for it takes an eighth of the start of a
    call.
    """
    gc.set_threshold(_FEW)


def collect_as_usual() -> None:
    """Restore the collection threshold if it was raised; what is loaded is not looked through."""
    if gc.get_threshold() != _USUAL:
        freeze_memory()


def freeze_memory() -> None:
    """Exempt everything loaded so far from garbage collection, which delays audio by 30 ms."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
