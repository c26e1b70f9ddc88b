"""Reads the fields of a REST request; anything wrong is a 4xx that says what."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from retell_voice.emulator.rest.replies import HttpError

_DEEPEST = 100  # levels of nesting: what is kept must be encoded again


def parse_object(body: bytes, *, optional: bool = False) -> Fields:
    """Read a body that is a JSON object; one that is optional may be empty.

    Raises:
        HttpError: 400, it is not one.
    """
    return Fields({} if optional and not body else load_object(body))


def load_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        HttpError: 400, it is not one.
    """
    try:
        fields = json.loads(body.decode(), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, f"the body is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise HttpError(400, "the body is not a JSON object")
    if _depth(fields) > _DEEPEST:
        raise HttpError(400, f"the body is nested more than {_DEEPEST} deep")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too great a number")
    return number


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [
            inner for each in level for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


class Fields:
    """Reads the fields of a JSON object by name and type; null counts as absent.

    Every method raises ``HttpError`` 422, which names the field, for a value of the wrong type
    and for a required one that is absent. Without ``required`` it returns None for an absent
    field.

    Args:
        fields: the object.
        path: its path in the body, with a trailing dot.
    """

    def __init__(self, fields: Mapping[str, Any], path: str = "") -> None:
        self._fields = fields
        self._path = path

    def wrong(self, name: str, what: str) -> NoReturn:
        """Refuse a field."""
        raise HttpError(422, f"{self._path}{name} {what}")

    def only(self, names: Collection[str]) -> None:
        """Refuse fields of other names."""
        for name in self._fields:
            if name not in names:
                self.wrong(name, "is unknown")

    def has(self, name: str) -> bool:
        """Return whether a field is there, even if it is null."""
        return name in self._fields

    def any(self, name: str) -> Any:
        """Return a field of whatever type."""
        return self._fields.get(name)

    def string(self, name: str, required: bool = False) -> Any:
        return self._get(name, str, "a string", required)

    def boolean(self, name: str, required: bool = False) -> Any:
        return self._get(name, bool, "true or false", required)

    def number(self, name: str, required: bool = False) -> Any:
        return self._get(name, (int, float), "a number", required)

    def integer(
        self, name: str, least: int | None = None, most: int | None = None, required: bool = False
    ) -> Any:
        value = self._get(name, int, "a whole number", required)
        if value is not None and least is not None and value < least:
            self.wrong(name, f"must be {least}–{most}" if most else f"must be at least {least}")
        if value is not None and most is not None and value > most:
            self.wrong(name, f"must be {least}–{most}" if least else f"must be at most {most}")
        return value

    def choice(self, name: str, values: tuple[str, ...], required: bool = False) -> Any:
        value = self._get(name, str, "a string", required)
        if value is not None and value not in values:
            self.wrong(name, f"must be one of {', '.join(values)}")
        return value

    def version(self, name: str) -> Any:
        """Return the version of an agent: a number or a tag."""
        value = self._get(name, (int, str), "a whole number or a tag", False)
        if value == "" or (isinstance(value, int) and value < 0):
            self.wrong(name, "must be a whole number or a tag")
        return value

    def object(self, name: str, required: bool = False) -> Any:
        return self._get(name, dict, "an object", required)

    def array(self, name: str, required: bool = False) -> Any:
        return self._get(name, list, "an array", required)

    def map(self, name: str, kind: type | tuple[type, ...], what: str) -> Any:
        """Return an object whose values are all of one type."""
        value = self.object(name)
        if value is not None and not all(isinstance(each, kind) for each in value.values()):
            self.wrong(name, f"must be an object whose values are {what}")
        return value

    def inner(self, name: str) -> Fields | None:
        """Return the fields of a nested object."""
        value = self.object(name)
        return None if value is None else Fields(value, f"{self._path}{name}.")

    def each(self, name: str) -> list[Fields] | None:
        """Return the fields of each object in an array."""
        values = self.array(name)
        if values is None:
            return None
        if not all(isinstance(value, dict) for value in values):
            self.wrong(name, "must be an array of objects")
        return [Fields(value, f"{self._path}{name}[{n}].") for n, value in enumerate(values)]

    def _get(self, name: str, kind: type | tuple[type, ...], what: str, required: bool) -> Any:
        value = self._fields.get(name)
        if value is None:
            return self.wrong(name, "is required") if required else None
        # bool is an int to Python and is not a number to JSON.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.wrong(name, f"must be {what}")
        return value
