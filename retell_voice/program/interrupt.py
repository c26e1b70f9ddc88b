"""Ctrl-C while there is nothing to clean up: it ends the program at once, without a traceback.

That is while Python imports, and again while it exits; in between, a command handles it. Imports
almost nothing, as it is imported first.
"""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def exit_on_interrupt(*_: object) -> None:
    """End the program; a signal handler."""
    os._exit(INTERRUPTED)


def exit_on_interrupt_from_here() -> None:
    """Take SIGINT so, unless it is ignored (nohup, a job in the background)."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, exit_on_interrupt)
