"""``retell-voice kiosk doctor``: looks at what a kiosk takes beside what ``doctor`` looks at."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from retell_voice.doctor.findings import Finding, exit_code, report
from retell_voice.doctor.telling import line, summary
from retell_voice.errors import ConfigError
from retell_voice.kiosk.examining import board, parts, service
from retell_voice.kiosk.examining.host import Host
from retell_voice.kiosk.service.commands import CONFIG
from retell_voice.program import stdout
from retell_voice.settings.load import default_path, environment, load, read_file
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.shown import escape_json


def doctor(config: Path | None, *, as_json: bool, host: Host | None = None) -> int:
    """Examine, tell, and return the exit code.

    Args:
        config: the kiosk's config file; None: that of the system's service, or yours.
        as_json: print one object at the end instead of lines.
        host: this machine, or another.

    Raises:
        ConfigError: the config file cannot be read, or this is no Linux.
    """
    if sys.platform != "linux":
        raise ConfigError("a kiosk runs on Linux", "'retell-voice doctor' looks at other systems")
    if config is None:
        config = CONFIG if CONFIG.exists() else default_path()
    file = read_file(config if config.exists() else None)
    settings = load(KioskSettings, file, environment(), {})
    findings = []
    colours = stdout.is_terminal() and not os.environ.get("NO_COLOR")
    for finding in examine(host or Host(), settings):
        findings.append(finding)
        if not as_json:
            stdout.put(line(finding, colours=colours) + "\n")
    if as_json:
        stdout.say(escape_json(json.dumps(report(findings), indent=2)))
    else:
        stdout.say(summary(findings))
    return exit_code(findings)


def examine(host: Host, settings: KioskSettings) -> Iterator[Finding]:
    """Look at everything."""
    yield from service.examine(host, settings)
    yield from parts.examine(host, settings)
    yield from board.examine(host)
