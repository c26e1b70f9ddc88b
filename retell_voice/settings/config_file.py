"""What a config file says, each value checked, and in which line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from retell_voice.errors import ConfigError, show
from retell_voice.secret import Secret
from retell_voice.settings.schema import Sourced
from retell_voice.settings.sections import SECTIONS, rows_of


def has_secret(values: Mapping[tuple[str, str], Sourced[Any]]) -> bool:
    """Tell whether there is a secret among the values of ``parse_toml``."""
    return any(
        rows_of(section)[name].kind is Secret and each.value
        for (section, name), each in values.items()
    )


def parse_toml(text: str, path: str) -> dict[tuple[str, str], Sourced[Any]]:
    """Return the checked values of a config file's text, by section and name.

    Raises:
        ConfigError: as ``read_file``.
    """
    try:
        tomllib.loads(text)
        return _checked(_statements(text), path)
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _checked(
    statements: Iterator[tuple[int, tuple[str, ...], Any]], path: str
) -> dict[tuple[str, str], Sourced[Any]]:
    values: dict[tuple[str, str], Sourced[Any]] = {}
    for line, where, value in statements:
        source = f"{path} line {line}"
        *sections, name = where
        section = ".".join(sections)
        rows = rows_of(section)
        if name not in rows:
            raise _unknown(source, where)
        values[section, name] = Sourced(rows[name].check(value, f"{source}: {name}"), source)
    return values


def _unknown(source: str, where: tuple[str, ...]) -> ConfigError:
    """Return the error for an unknown key or section."""
    key = ".".join(where)
    keys = [f"{s}.{n}".lstrip(".") for s in SECTIONS for n in rows_of(s)]
    elsewhere = [each for each in keys if each.rpartition(".")[2] == where[-1]]
    if len(where) == 1 and (close := get_close_matches(key, filter(None, SECTIONS), n=1)):
        hint = f"did you mean [{close[0]}]?"
    elif close := elsewhere or get_close_matches(key, keys, n=1):
        place = ", before any [section]" if len(where) > 1 and "." not in close[0] else ""
        hint = f"did you mean {close[0]}{place}?"
    else:
        hint = "`retell-voice config init FILE` writes a file with all keys"
    return ConfigError(f"{source}: unknown key {show(key)}", hint)


def _statements(text: str) -> Iterator[tuple[int, tuple[str, ...], Any]]:
    """Yield line, path and value of every key. The text must be valid as a whole.

    tomllib reports no line numbers. But any statement by itself is valid TOML, too: lines are
    collected until they parse, and the first of them is where the statement starts.
    """
    section: tuple[str, ...] = ()
    gathered: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        gathered.append(line)
        statement = "\n".join(gathered)
        try:
            parsed: Any = tomllib.loads(statement)
        except ValueError:
            continue
        start = number - len(gathered) + 1
        gathered = []
        if statement.lstrip().startswith("["):
            section = ()
            while parsed:
                if isinstance(parsed, list):
                    parsed = parsed[0]
                    continue
                (name, parsed), *_ = parsed.items()
                section += (name,)
            if section and section[0] not in SECTIONS:
                yield start, section, None
            continue
        for name, value in parsed.items():
            if isinstance(value, dict) and (not section and name in SECTIONS):
                yield from ((start, (name, inner), deep) for inner, deep in value.items())
            else:
                yield start, (*section, name), value
