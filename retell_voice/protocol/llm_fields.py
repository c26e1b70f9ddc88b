"""Reads the fields of a JSON object by name and type; errors name the field."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")
_LARGEST = 2**53
"""Beyond it a number is not the same to every reader of JSON (RFC 8259, section 6)."""
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class LlmPayloadError(ValueError):
    """A message is malformed: not a JSON object, or a field is missing or of the wrong type.

    Attributes:
        field: the path of the field (``agent_config.responsiveness``); empty if it is the message
            as a whole.
    """

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.field = field


class Fields:
    """The fields of one JSON object; null counts as absent.

    The methods named after a type return the value, or None if it is absent, and raise
    ``LlmPayloadError`` if it is anything else.

    Args:
        body: the object, as parsed.
        message: name of the message, for errors.
        path: path of the object in the message, with a trailing dot.
    """

    def __init__(self, body: dict[str, Any], message: str, path: str = "") -> None:
        self._body = body
        self._message = message
        self._path = path

    @property
    def body(self) -> dict[str, Any]:
        """The object, as parsed."""
        return self._body

    def need(self, read: Callable[[str], _T | None], name: str) -> _T:
        """Read a required field: ``fields.need(fields.string, "name")``."""
        value = read(name)
        if value is None:
            raise self.error(name, "is missing")
        return value

    def anything(self, name: str) -> Any:
        """Return a required field of any type, null included."""
        if name not in self._body:
            raise self.error(name, "is missing")
        return self._body[name]

    def string(self, name: str) -> str | None:
        return self._typed(name, str)

    def identifier(self, name: str) -> str | None:
        """A string, or a whole number, as one."""
        value = self._body.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            return str(value)
        return self._typed(name, str)

    def flag(self, name: str) -> bool | None:
        return self._typed(name, bool)

    def mapping(self, name: str) -> dict[str, Any] | None:
        return self._typed(name, dict)

    def number(self, name: str) -> float | None:
        value = self._body.get(name)
        # bool is an int to Python and is not a number to JSON.
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise self._wrong(name, value, float)
        if value is not None and abs(value) > _LARGEST:
            raise self.error(name, "is too large a number")
        return value

    def share(self, name: str) -> float | None:
        """A number from 0 to 1."""
        value = self.number(name)
        if value is not None and not 0 <= value <= 1:
            raise self.error(name, f"is {value:g}, must be from 0 to 1")
        return value

    def whole(self, name: str, least: int = -_LARGEST) -> int | None:
        """An integer, which may be written as ``3.0``."""
        value = self.number(name)
        if value is not None and value != int(value):
            raise self.error(name, f"is {value:g}, must be a whole number")
        return self.rounded(name, least)

    def rounded(self, name: str, least: int = -_LARGEST) -> int | None:
        """A number whose fraction does not matter, such as milliseconds."""
        value = self.number(name)
        if value is not None and value < least:
            raise self.error(name, f"is {value:g}, must be at least {least}")
        return None if value is None else round(value)

    def milliseconds(self, name: str) -> int | None:
        """A timestamp; None also if it is not a number of a sensible size."""
        try:
            return self.rounded(name)
        except LlmPayloadError:
            return None

    def inner(self, name: str) -> Fields | None:
        """A nested object."""
        value = self.mapping(name)
        return None if value is None else Fields(value, self._message, f"{self._path}{name}.")

    def items(self, name: str) -> list[Fields] | None:
        """An array of objects."""
        values = self._typed(name, list)
        if values is None:
            return None
        for position, value in enumerate(values):
            if not isinstance(value, dict):
                raise self._wrong(f"{name}[{position}]", value, dict)
        return [
            Fields(value, self._message, f"{self._path}{name}[{position}].")
            for position, value in enumerate(values)
        ]

    def error(self, name: str, problem: str) -> LlmPayloadError:
        """Return the error that names a field and its problem."""
        field = f"{self._path}{name}"
        return LlmPayloadError(f"{self._message}: {field} {problem}", field)

    def _typed(self, name: str, kind: type[_T]) -> _T | None:
        value = self._body.get(name)
        if value is not None and not isinstance(value, kind):
            raise self._wrong(name, value, kind)
        return value

    def _wrong(self, name: str, value: object, wanted: type) -> LlmPayloadError:
        return self.error(name, f"is {_KINDS[type(value)]}, must be {_KINDS[wanted]}")


def load_object(text: str | bytes) -> dict[str, Any]:
    """Parse a message that must be a JSON object; raises ``LlmPayloadError``."""
    if isinstance(text, str):
        text = text.removeprefix("\ufeff")
    try:
        body = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise LlmPayloadError(f"not JSON ({error})") from None
    if not isinstance(body, dict):
        raise LlmPayloadError(f"{_KINDS[type(body)]}, not a JSON object")
    return body


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is not a number in JSON")
    return value
