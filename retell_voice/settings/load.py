"""Loading of settings: defaults < config.toml < environment < command line.

``retell_voice.settings.schema`` defines what a setting is. The reader of config files and the
tables of other programs are loaded only where there is something for them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from retell_voice.errors import ConfigError
from retell_voice.secret import Secret
from retell_voice.settings.schema import Setting, Settings, Sourced, table

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
    import typer

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
    from retell_voice.settings.config_file import has_secret, parse_toml

    values = parse_toml(text, str(path))
    warnings: tuple[str, ...] = ()
    if has_secret(values) and os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings = (f"{path} contains a secret, and others may read it: chmod 600",)
    return ConfigFile(values, warnings, path)


def environment() -> dict[str, str]:
    """Return the variables that may be settings, secrets as ``Secret``."""
    given = {name: text for name, text in os.environ.items() if name.startswith("RETELL_")}
    secrets = {row.env for row in _all_rows() if row.kind is Secret} if given else set()
    return {name: Secret(text) if name in secrets else text for name, text in given.items()}


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Return a warning for each variable that has our prefix but is not a setting."""
    ours = [name for name in environ if name.startswith("RETELL_VOICE_")]
    known = [row.env for row in _all_rows()] if ours else []
    return [
        f"{name} is unknown" + (f": did you mean {close[0]}?" if close else "")
        for name in ours
        if name not in (*known, *_NO_SETTINGS)
        for close in [get_close_matches(name, known, n=1, cutoff=0.9)]
    ]


def _all_rows() -> list[Setting]:
    from retell_voice.settings.sections import SECTIONS, rows_of

    return [row for section in SECTIONS for row in rows_of(section).values()]


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
        import keyring  # an extra, and slow

        key = keyring.get_password("retell-voice", "api-key")
    except Exception:  # not installed, or locked, or no D-Bus: each backend raises its own
        key = None
    return Sourced(Secret(key), "the system keyring") if key else given
