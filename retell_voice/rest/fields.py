"""Fields of what a server answered; one of the wrong type counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MOST = 1e15
"""More than milliseconds of any time, and cents of any cost."""


def text(body: Mapping[str, Any], name: str) -> str | None:
    """Return a string."""
    value = body.get(name)
    return value if isinstance(value, str) else None


def number(body: Mapping[str, Any], name: str) -> float | None:
    """Return a number; one that no server means (NaN, 1e999, 400 digits) counts as absent."""
    value = body.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if -_MOST < value < _MOST else None


def flag(body: Mapping[str, Any], name: str) -> bool | None:
    """Return true or false."""
    value = body.get(name)
    return value if isinstance(value, bool) else None


def inner(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object; an empty one if there is none."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}
