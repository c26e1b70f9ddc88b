"""``retell-voice kiosk install`` and ``uninstall``: what they show and tell."""

from __future__ import annotations

import sys
from pathlib import Path

from retell_voice.errors import ConfigError
from retell_voice.kiosk.lamps.patterns import Role
from retell_voice.kiosk.service import installing
from retell_voice.kiosk.service.steps import carry_out, show
from retell_voice.kiosk.service.unit import CREDENTIALS, NAME, UNIT
from retell_voice.program import stdout
from retell_voice.settings.load import default_path, load, read_file
from retell_voice.settings.tables.kiosk import KioskSettings

CONFIG = Path(f"/etc/{NAME}/config.toml")
"""Of the system's unit."""


def install(config: Path | None, *, system: bool | None, dry_run: bool, start: bool) -> None:
    """Install, or show how.

    Args:
        config: its config file, None for the usual place.
        system: a unit of the system; None: as fits the machine.
        dry_run: only show it.
        start: now, too.

    Raises:
        ConfigError: it cannot be installed; says why.
    """
    machine = _machine()
    user = installing.for_user(machine, system=system)
    path = (config or (default_path() if user else CONFIG)).absolute()
    is_there = path.exists()
    if not is_there and not dry_run:
        hint = f"'retell-voice config init {path}' writes one for you to change"
        raise ConfigError(f"{path}: there is no such file", hint)
    # What it says is looked at now, and not when nobody is there any more.
    settings = load(KioskSettings, read_file(path), {}, {}) if is_there else KioskSettings()
    steps = installing.install(machine, path, user=user, start=start, leds=_lights_leds(settings))
    if dry_run:
        stdout.say(show(steps), end="")
        return
    carry_out(steps)
    whose = f"of {machine.user}" if user else f"of the system, run by the user {NAME}"
    stdout.say(f"installed {UNIT}, a unit {whose}")
    store = machine.home / ".config" / "credstore" if user else installing.STORE
    if _takes_a_key(settings) and not (store / CREDENTIALS[0]).exists():
        sudo = "" if user else "sudo "
        again = "retell-voice kiosk install --user" if user else f"sudo systemctl restart {UNIT}"
        stdout.say(
            f"it has no API key yet: {sudo}install -D -m 600 /dev/stdin {store / CREDENTIALS[0]}"
        )
        stdout.say(f"then: {again}")
    journal = f"journalctl {'--user-unit' if user else '-u'} {UNIT.partition('.')[0]} -f"
    stdout.say(f"its log: {journal}")


def uninstall(*, system: bool | None, dry_run: bool) -> None:
    """Remove what was installed, or show how; arguments as of ``install``.

    Raises:
        ConfigError: it cannot be removed; says why.
    """
    machine = _machine()
    user = installing.for_user(machine, system=system)
    steps = installing.uninstall(machine, user=user)
    if dry_run:
        stdout.say(show(steps), end="")
        return
    carry_out(steps)
    stdout.say(f"removed {UNIT}; config file, keys and figures are where they were")


def _machine() -> installing.Machine:
    if sys.platform != "linux":
        raise ConfigError("only Linux has systemd", "start 'retell-voice kiosk' by other means")
    return installing.look()


def _lights_leds(settings: KioskSettings) -> bool:
    lamps = [getattr(settings, role.value).value for role in Role]
    return any(lamp is not None and lamp.led for lamp in lamps)


def _takes_a_key(settings: KioskSettings) -> bool:
    others = (settings.call_command, settings.call_url, settings.api_key_file, settings.api_key)
    return all(each.value is None for each in others)
