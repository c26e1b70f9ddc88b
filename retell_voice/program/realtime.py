"""What keeps Python from holding up audio: both are for the whole process, so for programs only."""

from __future__ import annotations

import gc
import sys

SWITCH_INTERVAL = 0.0005
"""Seconds after which a Python thread gives way: at Python's own 5 ms, two busy threads were
heard as some 240 gaps in 20 s, at this as two."""


def set_switch_interval() -> None:
    """Let busy Python threads give way to the audio callbacks sooner."""
    sys.setswitchinterval(SWITCH_INTERVAL)


def freeze_memory() -> None:
    """Keep what is loaded by now out of garbage collection, which makes audio late by 30 ms."""
    gc.collect()
    gc.freeze()
