"""``retell-voice doctor``: looks at everything a call needs, and says what to fix."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from retell_voice.doctor import account, network, sound, system
from retell_voice.doctor.findings import ON_REQUEST, PARTS, Finding, Verdict, exit_code, report
from retell_voice.doctor.telling import line, summary
from retell_voice.errors import ConfigError, did_you_mean
from retell_voice.program import stdout
from retell_voice.program.opening import audio_format
from retell_voice.program.realtime import SWITCH_INTERVAL, set_switch_interval
from retell_voice.program.registration import audio_url
from retell_voice.settings.load import (
    ConfigFile,
    default_path,
    environment,
    find_key,
    load,
    read_file,
    unknown_variables,
)
from retell_voice.settings.schema import DEFAULT
from retell_voice.settings.sections import SECTIONS
from retell_voice.settings.tables.call import CallSettings
from retell_voice.shown import escape_json

_BAR = 30
_LOWEST = -60.0


def examine(
    only: list[str],
    *,
    config: Path | None,
    flags: dict[str, Any],
    seconds: float,
    chimes: bool,
    as_json: bool,
) -> int:
    """Run the checks, report, and return the exit code.

    Args:
        only: parts to check; empty for all.
        config: the config file, None for the default one.
        flags: settings from the command line, by name.
        seconds: how long to listen to the microphone.
        chimes: whether to play sound.
        as_json: print one object at the end instead of lines.

    Raises:
        ConfigError: an unknown part, or a flag that cannot be used.
    """
    for part in only:
        if part not in PARTS:
            raise ConfigError(f"--only: unknown part {part!r}", did_you_mean(part, [*PARTS]))
    load(CallSettings, ConfigFile(), {}, flags)  # what cannot be used is told before anything
    wanted = only or [part for part in PARTS if part not in ON_REQUEST]
    findings = []
    for finding in _findings(
        wanted, config=config, flags=flags, seconds=seconds, chimes=chimes, quiet=as_json
    ):
        findings.append(finding)
        if not as_json:
            stdout.put(line(finding, colours=_colours()) + "\n")
    if as_json:
        stdout.say(escape_json(json.dumps(report(findings), indent=2)))
    else:
        stdout.say(summary(findings))
    return exit_code(findings)


def _findings(
    wanted: list[str],
    *,
    config: Path | None,
    flags: dict[str, Any],
    seconds: float,
    chimes: bool,
    quiet: bool,
) -> Iterator[Finding]:
    if "system" in wanted:
        yield from system.examine(SWITCH_INTERVAL)
    set_switch_interval()
    file, environ = ConfigFile(), environment()

    def read() -> tuple[str, ...]:
        nonlocal file
        file = read_file(config)
        for each in SECTIONS.values():
            load(each, file, environ, {})
        return (*file.warnings, *unknown_variables(environ))

    found = list(
        system.examine_config(config or default_path(), named=config is not None, read=read)
    )
    if "config" in wanted:
        yield from found
    elif failed := [each for each in found if each.verdict is Verdict.FAIL]:
        raise ConfigError(failed[0].says, failed[0].hint)
    broken = any(each.verdict is Verdict.FAIL for each in found)
    settings = load(CallSettings, file, {} if broken else environ, flags)
    if "sound" in wanted:
        audio = audio_format(settings)
        meter = _Meter(shown=not quiet and sys.stderr is not None and sys.stderr.isatty())

        def ask() -> None:
            if not quiet:
                stdout.say(f"      speak now, for {seconds:g} seconds …")

        for finding in sound.examine(
            audio,
            settings.input.value,
            settings.output.value,
            echo=settings.echo.value,
            seconds=seconds,
            chimes=chimes,
            ask=ask,
            meter=meter,
        ):
            meter.wipe()
            yield finding
    api_url, agent = settings.api_url.value, settings.agent
    if "network" in wanted:
        url = settings.url.value
        if settings.url.source == DEFAULT != settings.api_url.source:
            url = audio_url(api_url)  # which calls that are registered there are joined at
        yield from asyncio.run(_all_of(network.examine(url)))
    key = find_key(settings.api_key) if {"account", "call"} & {*wanted} else settings.api_key
    if "account" in wanted:
        yield from asyncio.run(_all_of(account.examine(api_url, key, agent)))
    if "call" in wanted:
        from retell_voice.doctor import web_call  # only then

        yield from asyncio.run(_all_of(web_call.examine(api_url, key, agent)))


async def _all_of(looking: AsyncIterator[Finding]) -> list[Finding]:
    return [finding async for finding in looking]


class _Meter:
    """A bar on the terminal that follows the microphone."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._drawn = False

    def __call__(self, level: float, left: float) -> None:
        if self._shown:
            filled = round(_BAR * min(1.0, max(0.0, 1 - level / _LOWEST)))
            bar = "#" * filled + "." * (_BAR - filled)
            sys.stderr.write(f"\r      [{bar}] {level:4.0f} dBFS {left:4.1f} s ")
            sys.stderr.flush()
            self._drawn = True

    def wipe(self) -> None:
        """Erase it from the screen."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def _colours() -> bool:
    return stdout.is_terminal() and not os.environ.get("NO_COLOR")
