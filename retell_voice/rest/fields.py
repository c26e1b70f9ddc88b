"""Fields of what a server answered; one of the wrong type counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(body: Mapping[str, Any], name: str) -> str | None:
    """Return a string."""
    value = body.get(name)
    return value if isinstance(value, str) else None


def number(body: Mapping[str, Any], name: str) -> float | None:
    """Return a number."""
    value = body.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def flag(body: Mapping[str, Any], name: str) -> bool | None:
    """Return true or false."""
    value = body.get(name)
    return value if isinstance(value, bool) else None


def inner(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object; an empty one if there is none."""
    value = body.get(name)
    return value if isinstance(value, dict) else {}
