"""One table of a TOML file, read key by key, with errors for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

from retell_voice.errors import ConfigError, did_you_mean, show


class Table:
    """Reads the keys of a table; as a context manager it rejects keys that were not read.

    Every method raises ``ConfigError`` for a value that is missing, of the wrong type or out
    of range.

    Args:
        where: the place in the file; begins every error.
        body: the value at that place.
    """

    def __init__(self, where: str, body: Any) -> None:
        self.where = where
        self._body = dict(self._expect(Mapping, body, "a table, like {key = 1}"))
        self._known: list[str] = []

    @property
    def keys(self) -> list[str]:
        """Its keys."""
        return list(self._body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            for key in self._body:
                if key not in self._known:
                    raise self.wrong(f"unknown key {show(key)}", did_you_mean(key, self._known))

    def __contains__(self, key: str) -> bool:
        return key in self._body

    def wrong(self, what: str, hint: str = "") -> ConfigError:
        """Return an error about this table."""
        return ConfigError(f"{self.where}: {what}", hint)

    def take(self, key: str, default: Any = None) -> Any:
        """Return a value of any type, ``default`` if there is none."""
        self._known.append(key)
        return self._body.get(key, default)

    def text(self, key: str, default: str | None = None, *, least: int = 0) -> str:
        """Return a text of ``least`` characters or more; required if there is no default."""
        value: str = self._expect(str, self._given(key, default), "text", key)
        if len(value) < least:
            raise self.wrong(f"{key} must not be empty")
        return value

    def choice(self, key: str, known: Sequence[str], default: str | None = None) -> str:
        """Return one of the known values."""
        value = self.text(key, default)
        if value not in known:
            hint = did_you_mean(value, list(known))
            raise self.wrong(f"{key}: {show(value)} is not one of {', '.join(known)}", hint)
        return value

    def flag(self, key: str) -> bool:
        """Return whether the key is there; its only value is ``true``."""
        if self.take(key, True) is not True:
            raise self.wrong(f"{key} can only be true", "leave it out otherwise")
        return key in self._body

    def number(
        self, key: str, least: float, most: float, unit: str = "", default: float | None = None
    ) -> float:
        """Return a number from ``least`` to ``most``, both included."""
        value = self._given(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(f"{key} must be a number, not {show(value)}")
        return float(self._within(key, value, least, most, unit))

    def whole(
        self, key: str, least: int, most: int, unit: str = "", default: int | None = None
    ) -> int:
        """Return a whole number from ``least`` to ``most``, both included."""
        value = self._given(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(f"{key} must be a whole number, not {show(value)}")
        return int(self._within(key, value, least, most, unit))

    def json_body(self) -> dict[str, Any]:
        """Return all of it, values that JSON has."""
        return {key: self.json(key) for key in self._body}

    def table(self, key: str) -> Table:
        """Return a table within this one."""
        return Table(f"{self.where}, {key}", self._given(key, None))

    def tables(self, key: str) -> list[Any]:
        """Return the items of an array, unchecked."""
        items: list[Any] = self._expect(list, self._given(key, None), f"a list of [[{key}]]", key)
        return items

    def json(self, key: str) -> Any:
        """Return any value that JSON has."""
        value = self._given(key, None)
        if not _is_json(value):
            raise self.wrong(f"{key} contains a date, a time, nan or inf, which JSON does not have")
        return value

    def _given(self, key: str, default: Any) -> Any:
        value = self.take(key, default)
        if value is None:
            raise self.wrong(f"{key} is missing")
        return value

    def _expect(self, kind: Any, value: Any, words: str, key: str = "it") -> Any:
        if not isinstance(value, kind):
            raise self.wrong(f"{key} must be {words}, not {show(value)}")
        return value

    def _within(self, key: str, value: float, least: float, most: float, unit: str) -> float:
        if not least <= value <= most:
            raise self.wrong(f"{key}: {show(value)} is outside {least:g}–{most:g} {unit}".rstrip())
        return value


def _is_json(value: Any) -> bool:
    match value:
        case dict():
            return all(map(_is_json, value.values()))
        case list():
            return all(map(_is_json, value))
        case float():
            return math.isfinite(value)
    return isinstance(value, (str, int))
