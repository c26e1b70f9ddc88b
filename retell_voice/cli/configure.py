"""``retell-voice config``: where the config file is, its effect, and writing a new one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from retell_voice.cli import reference
from retell_voice.errors import ConfigError
from retell_voice.private import privately
from retell_voice.program import stdout
from retell_voice.settings.load import ConfigFile, default_path, environment, find_key, load
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.shown import clean, escape_json


def show(settings: TalkSettings, file: ConfigFile) -> None:
    """Print every setting, its value and where it came from; ``--json``: as an array."""
    settings = replace(settings, api_key=find_key(settings.api_key))
    emulator = load(EmulatorSettings, file, environment(), {})
    kiosk = load(KioskSettings, file, environment(), {})
    rows = [*reference.in_force(settings), *reference.in_force(emulator)]
    shown = {key for key, _, _ in rows}  # a kiosk has those of calls, too
    rows += [row for row in reference.in_force(kiosk) if row[0] not in shown]
    if settings.json.value and settings.json.is_flag:
        keys = ("key", "value", "source")
        listed = [dict(zip(keys, row, strict=True)) for row in rows]
        stdout.say(escape_json(json.dumps(listed, indent=2)))
        return
    stdout.say(clean(f"# config file: {file.path or f'none, {default_path()} does not exist'}"))
    width = max(len(f"{key} = {value}") for key, value, _ in rows)
    for key, value, source in rows:
        stdout.say(clean(f"{f'{key} = {value}':{width}}  # {source}"))


def init(path: Path | None, *, force: bool) -> None:
    """Write a config file with all defaults, readable only by its owner, and print its path.

    Raises:
        ConfigError: it exists and ``force`` is not given, or it cannot be written.
    """
    path = path or default_path()
    if path.is_dir():
        raise ConfigError(f"{path} is a directory", f"name a file: {path / 'config.toml'}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = "w" if force else "x"
        with open(path, mode, encoding="utf-8", newline="\n", opener=privately) as file:
            if os.name == "posix":  # an existing file keeps its mode, which may be too open
                os.fchmod(file.fileno(), 0o600)
            file.write(reference.example())
    except FileExistsError:
        raise ConfigError(f"{path} already exists", "--force replaces it") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    stdout.say(str(path))
