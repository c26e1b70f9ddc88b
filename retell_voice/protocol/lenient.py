"""Reading what servers send as JSON and base64: as much of it as has a meaning.

Python's parser takes numbers and texts that no other reader of JSON would: NaN, numbers that are
infinite to a float, halves of surrogate pairs. None of them leaves here.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from base64 import b64decode
from typing import Any

MAX_DEPTH = 100
"""Objects and arrays inside each other that are passed on."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_STANDARD = str.maketrans("-_", "+/", " \t\r\n")
# Made once: json.loads and json.dumps make them for each message.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None)
_ENCODER = json.JSONEncoder(allow_nan=False)


def load_json(text: str) -> Any:
    """Parse JSON; in texts halves of surrogate pairs become U+FFFD, NaN and Infinity null.

    A number may still be infinite (``1e999``), see ``tidy``.

    Raises:
        ValueError: it cannot be read; says why, for people.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError:
        raise ValueError("a number has too many digits") from None
    # Text from a WebSocket holds none; only an escape sequence can make one.
    return tidy(value) if "\\ud" in text or "\\uD" in text else value


def tidy(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return a parsed value as JSON can have it: infinite numbers are null.

    Raises:
        ValueError: it is nested more than ``depth`` levels deep.
    """
    if depth < 0:
        raise ValueError("nested too deeply")
    match value:
        case str():
            return _SURROGATES.sub("\ufffd", value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {tidy(key): tidy(each, depth - 1) for key, each in value.items()}
        case list():
            return [tidy(each, depth - 1) for each in value]
    return value


def to_json(value: Any) -> str:
    """Return a value as JSON to everybody: ASCII, infinite numbers as null."""
    try:
        return _ENCODER.encode(value)
    except ValueError:
        return _ENCODER.encode(tidy(value))


def decode_base64(text: str) -> bytes:
    """Decode base64, standard or URL-safe, padded or not, broken into lines or not.

    A last character that is not even a byte is left out.

    Raises:
        ValueError: there is something else in it; says what, for people.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)  # as almost all of it is
    except ValueError:
        pass
    text = text.translate(_STANDARD).rstrip("=")
    whole = len(text) - (len(text) % 4 == 1)
    try:
        return b64decode(text[:whole] + "=" * (-whole % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"audio is not base64: {error}") from None


def expected(kind: str, value: Any) -> str:
    """Return what is wrong with a value that should be of another type, for people."""
    return "is missing" if value is None else f"expected {kind}, got {type(value).__name__}"
