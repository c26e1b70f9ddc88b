"""Runs a kiosk with words that ``kiosk run`` hands over: ``config=FILE NAME=VALUE …``.

That reads the command line with typer, which takes ten megabytes that a kiosk would hold for
months: so it hands over to this, in the same process, which reads nothing but such words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retell_voice.devices.portaudio.stderr import native_stderr_silenced
from retell_voice.errors import ConfigError
from retell_voice.program.failure import complain, ending, reported
from retell_voice.settings.load import (
    environment,
    load,
    load_again,
    read_file,
    unknown_variables,
)
from retell_voice.settings.schema import table
from retell_voice.settings.tables.kiosk import KioskSettings

_CONFIG, _DEBUG = "config", "debug"


def words(settings: KioskSettings, config: Path | None) -> Iterator[str]:
    """Yield the words for the settings that the command line gave, and for the config file."""
    if config is not None:
        yield f"{_CONFIG}={config}"
    for name, row in table(KioskSettings).items():
        given = getattr(settings, name)
        if given.is_flag:
            for value in given.value or ("",) if row.repeated else (given.value,):
                yield f"{name}={'' if value is None else value}"


def run(arguments: list[str]) -> int:
    """Run a kiosk with these words, until a signal ends it, and return the exit code.

    Raises:
        ConfigError: a word is none, or what it says cannot be used.
    """
    given: dict[str, Any] = {}
    rows = table(KioskSettings)
    for word in arguments:
        name, mark, value = word.partition("=")
        if not mark or name not in (_CONFIG, _DEBUG, *rows):
            raise ConfigError(f"{word!r} is no setting of a kiosk", "NAME=VALUE, or config=FILE")
        if name in rows and rows[name].repeated:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    config = given.pop(_CONFIG, None)
    given.pop(_DEBUG, None)
    file = read_file(None if config is None else Path(config))
    for warning in (*file.warnings, *unknown_variables(environment())):
        complain(warning)
    settings = load(KioskSettings, file, environment(), given)
    # After the complaints about what it is given: all of it takes a moment to load.
    from retell_voice.kiosk import journal, program  # noqa: PLC0415

    handler = journal.begin_logging()
    try:
        return program.run(settings, lambda: load_again(settings, file.path))
    finally:
        journal.end_logging(handler)


def main() -> None:
    """Run a kiosk; never returns but by SystemExit."""
    arguments = sys.argv[1:]
    debug = any(word.startswith(f"{_DEBUG}=") for word in arguments)
    with ending(), native_stderr_silenced(), reported(debug=debug):
        raise SystemExit(run(arguments))
