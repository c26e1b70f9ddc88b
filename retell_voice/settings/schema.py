"""What a setting is; the settings themselves are in ``retell_voice.settings.tables``.

Those tables define the options and their help, the names of the environment variables, the keys
of the config file, ``config.example.toml`` and the tables of the documentation
(``retell_voice.cli.reference``). ``retell_voice.settings.load`` reads the values.

A value carries where it came from, so that an error can say which of the four to fix.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Generic, TypeVar

from retell_voice.errors import ConfigError, closest, show
from retell_voice.secret import Secret

T = TypeVar("T")

DEFAULT = "default"
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_KINDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


@dataclass(frozen=True, slots=True)
class Sourced(Generic[T]):
    """A value and where it came from: ``default``, ``…/config.toml line 7``, a variable, a flag."""

    value: T
    source: str = DEFAULT

    @property
    def is_flag(self) -> bool:
        """Whether it was given on the command line."""
        return self.source.startswith("-") or self.source == "CALL_ID"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. ``minimum`` and ``maximum`` are inclusive."""

    kind: type
    default: Any
    help: str
    panel: str
    metavar: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    read: Callable[[str], object] | None = None
    """Parses a text with its own syntax, of which ``str`` is the inverse; raises ValueError with
    what it should be."""
    variable: str = ""
    """Name of its environment variable, if not derived from its own name."""
    is_option: bool = True
    """Whether it can be given on the command line."""
    repeated: bool = False
    """Whether there may be several: an option given again, an array in the file, and in the
    environment separated as in PATH. The value is a tuple."""
    name: str = ""
    section: str = ""

    @property
    def env(self) -> str:
        """Name of its environment variable."""
        made = "_".join(filter(None, ("RETELL_VOICE", self.section, self.name))).upper()
        return self.variable or made

    @property
    def flag(self) -> str:
        """Name of its option; ``call_id`` is an argument."""
        return "CALL_ID" if self.name == "call_id" else "--" + self.name.replace("_", "-")

    @property
    def allowed(self) -> str:
        """What it accepts, for people; empty if that is obvious."""
        if self.minimum is not None:
            return f"{self.minimum}–{self.maximum} {self.unit}".rstrip()
        return ", ".join(self.choices)

    def check(self, value: object, label: str) -> Any:
        """Return the value that the program works with; ``""`` means unset if the default is None.

        Args:
            value: what was given.
            label: how an error names the setting, and where it was given.

        Raises:
            ConfigError: wrong type or out of range. Never shows a secret.
        """
        if value == "" and self.default is None:
            return None
        if self.repeated:
            one = replace(self, repeated=False, default="")
            return tuple(one.check(each, label) for each in _listed(value) if each != "") or None
        if self.read is not None and type(value) is int:
            value = str(value)  # a string setting such as a version may look like a number
        kind: type = str if self.kind is Secret else self.kind
        right = isinstance(value, (int, float) if kind is float else kind)
        if not right or (isinstance(value, bool) and kind is not bool):
            given = "" if self.kind is Secret else f", not {show(value)}"
            raise ConfigError(f"{label} must be {_KINDS[kind]}{given}")
        if isinstance(value, (int, float)) and kind is not bool:
            low = -math.inf if self.minimum is None else self.minimum
            high = math.inf if self.maximum is None else self.maximum
            if not low <= value <= high or value in (math.inf, -math.inf):
                allowed = f"outside {self.allowed}" if self.allowed else "no usable number"
                raise ConfigError(f"{label}: {show(value)} is {allowed}")
        if self.choices and value not in self.choices:
            raise ConfigError(
                f"{label}: {show(value)} is not one of {self.allowed}",
                closest(str(value), self.choices),
            )
        if self.prefixes and not str(value).startswith(self.prefixes):
            allowed = " or ".join(self.prefixes)
            raise ConfigError(f"{label}: {show(value)} does not begin with {allowed}")
        if self.read is not None:
            try:
                return self.read(str(value))
            except ValueError as error:
                hint = "" if self.default is None else f"for example {self.default}"
                raise ConfigError(f"{label}: {show(value)} is not {error}", hint) from None
        return self.kind(value)

    def parse(self, text: str, label: str) -> Any:
        """Parse a text from the environment or the command line."""
        value: object = text
        if self.repeated:
            value = text and [each for each in text.split(os.pathsep) if each]
        elif self.kind is bool:
            low = text.strip().lower()
            value = True if low in _TRUE else False if low in _FALSE else text
        elif self.kind in (int, float):
            try:
                value = self.kind(text)
            except ValueError:
                value = text
        return self.check(value, label)


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]


def setting(
    default: T,
    text: str,
    panel: str,
    *,
    kind: type | None = None,
    **more: Any,
) -> Sourced[T]:
    """Declare a row of the table; its name is the name of the field."""
    row = Setting(kind or type(default), default, text, panel, **more)
    return field(default=Sourced(default), metadata={"setting": row})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of the tables.

    ``section`` is the section of the config file for the rows a class declares, "" its top level.
    Tables that inherit from this one share its rows, with their section and variables.
    """

    section: ClassVar[str] = ""


def table(settings: type[Settings]) -> dict[str, Setting]:
    """Return the rows of a table by name, in the order of declaration."""
    sections: dict[str, str] = {}
    for each in reversed(settings.__mro__):
        if issubclass(each, Settings):
            sections = {one.name: each.section for one in fields(each)} | sections
    return {
        one.name: replace(one.metadata["setting"], name=one.name, section=sections[one.name])
        for one in fields(settings)
    }
