"""JSON as JavaScript writes it. Pure.

Retell's webhooks come from ``JSON.stringify``, and servers that verify what they have parsed and
written again must arrive at the same bytes: no spaces, no escapes that are not needed, numbers and
the order of keys as in JavaScript.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

_EXACT = 2**53
_SURROGATE = re.compile("[\ud800-\udfff]")
_INDEX = re.compile(r"0|[1-9]\d{0,9}", re.ASCII)
_MOST = 2**32 - 1  # indices of arrays, which come first among the keys, are below it


def stringify(value: Any) -> str:
    """Return a JSON value as ``JSON.stringify`` writes what ``JSON.parse`` made of it."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", _written(value))


def _written(value: Any) -> str:
    match value:
        case dict():
            items = ",".join(f"{_text(key)}:{_written(value[key])}" for key in _ordered(value))
            return f"{{{items}}}"
        case list() | tuple():
            return f"[{','.join(map(_written, value))}]"
        case bool() | None:
            return json.dumps(value)
        case int() if abs(value) <= _EXACT:
            return str(value)
        case int() | float():
            return _number(value)
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _ordered(body: dict[str, Any]) -> list[str]:
    """The keys, those that are indices of an array first, by their value."""
    indices = {key for key in body if _INDEX.fullmatch(key) and int(key) < _MOST}
    return [*sorted(indices, key=int), *(key for key in body if key not in indices)]


def _number(value: float) -> str:  # noqa: PLR0911 - a table
    """Return a double: the shortest digits that mean it, with an exponent from 21 places on."""
    try:
        double = float(value)
    except OverflowError:
        return "null"
    if not math.isfinite(double):
        return "null"
    if double == 0:
        return "0"  # -0, too
    sign = "-" if double < 0 else ""
    _, digits, exponent = Decimal(repr(abs(double))).normalize().as_tuple()
    text = "".join(map(str, digits))
    places = len(text) + int(exponent)  # before the point
    if not -6 < places <= 21:
        power = places - 1
        point = f".{text[1:]}" if len(text) > 1 else ""
        return f"{sign}{text[0]}{point}e{'+' if power > 0 else '-'}{abs(power)}"
    if places <= 0:
        return f"{sign}0.{'0' * -places}{text}"
    if len(text) <= places:
        return f"{sign}{text}{'0' * (places - len(text))}"
    return f"{sign}{text[:places]}.{text[places:]}"
