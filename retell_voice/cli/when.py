"""Times in the past, as given on the command line and as shown."""

from __future__ import annotations

import re
from datetime import datetime

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def read_time(text: str, now: float) -> float:
    """Return a Unix time, in seconds.

    Args:
        text: how long ago (``90m``, ``2h``, ``3d``, ``1w``), or a date or date and time of ISO
            8601, in local time unless it names a zone.
        now: Unix time, seconds.

    Raises:
        ValueError: it is neither.
    """
    if ago := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", text, re.ASCII):
        return now - float(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):  # the last two: out of the system's range
        raise ValueError(f"{text[:40]!r} is neither like 2h nor like 2026-01-31T12:00") from None


def show_time(at: float | None) -> str:
    """Return a Unix time for people, in local time; empty for None."""
    try:
        return "" if at is None else datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a server may send any number
        return ""
