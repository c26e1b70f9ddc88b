"""Loading of settings: defaults < config.toml < environment < command line.

``retell_voice.settings.schema`` defines what a setting is.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from retell_voice.errors import ConfigError, show
from retell_voice.secret import Secret
from retell_voice.settings.schema import Settings, Sourced, table
from retell_voice.settings.tables import SECTIONS, rows_of

S = TypeVar("S", bound=Settings)

_NO_SETTINGS = ("RETELL_VOICE_DEBUG", "RETELL_VOICE_PYTHON", "RETELL_VOICE_VENV")
"""Variables that are not settings but known: those of ``reported`` and of the scripts."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a config file says, checked.

    Attributes:
        values: by section and name.
        warnings: lines for people.
        path: the file that was read, None if there is none.
    """

    values: Mapping[tuple[str, str], Sourced[Any]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    path: Path | None = None


def default_path() -> Path:
    """Return where the config file is looked for by default."""
    import typer  # noqa: PLC0415 - the table alone needs no typer

    return Path(typer.get_app_dir("retell-voice")) / "config.toml"


def read_file(path: Path | None) -> ConfigFile:
    """Read a config file; None is the default one, which may be missing.

    Raises:
        ConfigError: unreadable, not TOML, an unknown key, a wrong value; names file and line.
    """
    given, path = path, path or default_path()
    try:
        text = Secret(path.read_bytes().decode("utf-8-sig"))  # it may contain the API key
        mode = path.stat().st_mode
    except FileNotFoundError:
        if given is None:
            return ConfigFile()
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text at byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # an impossible path, such as one with a NUL
        raise ConfigError(f"{path!s}: {error}") from None
    values = parse_toml(text, str(path))
    secret = any(rows_of(s)[n].kind is Secret and v.value for (s, n), v in values.items())
    warnings: tuple[str, ...] = ()
    if secret and os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings = (f"{path} contains a secret, and others may read it: chmod 600",)
    return ConfigFile(values, warnings, path)


def parse_toml(text: str, path: str) -> dict[tuple[str, str], Sourced[Any]]:
    """Return the checked values of a config file's text.

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


def environment() -> dict[str, str]:
    """Return the variables that may be settings, secrets as ``Secret``."""
    rows = [row for section in SECTIONS for row in rows_of(section).values()]
    secrets = {row.env for row in rows if row.kind is Secret}
    return {
        name: Secret(text) if name in secrets else text
        for name, text in os.environ.items()
        if name.startswith("RETELL_")
    }


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that has our prefix but is not a setting."""
    known = [row.env for section in SECTIONS for row in rows_of(section).values()]
    return [
        f"{name} is unknown" + (f": did you mean {close[0]}?" if close else "")
        for name in environ
        if name.startswith("RETELL_VOICE_") and name not in (*known, *_NO_SETTINGS)
        for close in [get_close_matches(name, known, n=1, cutoff=0.9)]
    ]


def load(
    settings: type[S], file: ConfigFile, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> S:
    """Return the settings of one program.

    Args:
        settings: its table.
        file: what the config file says.
        environ: the environment; an empty variable counts as unset.
        flags: what the command line says, by name; None if not given. Text is parsed.

    Raises:
        ConfigError: a variable or a flag cannot be used.
    """
    values: dict[str, Sourced[Any]] = {}
    for name, row in table(settings).items():
        if (row.section, name) in file.values:
            values[name] = file.values[row.section, name]
        if text := environ.get(row.env):
            values[name] = Sourced(row.parse(text, row.env), row.env)
        if (given := flags.get(name)) not in (None, []):
            flag = f"--no-{row.flag[2:]}" if given is False else row.flag
            parse = row.parse if isinstance(given, str) and not row.repeated else row.check
            values[name] = Sourced(parse(given, flag), flag)
    return settings(**values)


def load_again(settings: S, path: Path | None) -> S:
    """Return settings as file and environment have them by now; what flags said still holds.

    Args:
        settings: as they were.
        path: of the config file that was read, None for the usual one.

    Raises:
        ConfigError: the file cannot be read, or what it says not be used.
    """
    loaded = load(type(settings), read_file(path), environment(), {})
    flags = {
        name: getattr(settings, name)
        for name in table(type(settings))
        if getattr(settings, name).is_flag
    }
    return replace(loaded, **flags)


def find_key(given: Sourced[str | None]) -> Sourced[str | None]:
    """Return Retell's API key: the one given, else the one in the system keyring, if any."""
    if given.value is not None:
        return given
    try:
        import keyring  # noqa: PLC0415 - an extra, and slow

        key = keyring.get_password("retell-voice", "api-key")
    except Exception:  # not installed, or locked, or no D-Bus: each backend raises its own
        key = None
    return Sourced(Secret(key), "the system keyring") if key else given
