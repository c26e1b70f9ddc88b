"""The kiosk's service: whether it is installed and runs, its groups, its keys, its sessions."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from retell_voice.doctor.findings import Finding
from retell_voice.kiosk.examining.host import Host, failed, passed, warned
from retell_voice.kiosk.service.unit import CREDENTIALS, NAME, UNIT
from retell_voice.settings.tables.kiosk import KioskSettings

_MANY = 5
_INSTALL = "retell-voice kiosk install"


def examine(host: Host, settings: KioskSettings) -> Iterator[Finding]:
    """Look at all of it."""
    system = host.path("/etc/systemd/system") / UNIT
    home = Path.home()
    own = host.path(str(home / ".config/systemd/user")) / UNIT
    if not system.exists() and not own.exists():
        yield warned("service", "is not installed: nothing starts the kiosk at boot", _INSTALL)
        yield judge_groups("you", _groups_of_process(), wanted_groups(settings, alsa=False))
        return
    is_user = not system.exists()
    control = ("systemctl", "--user") if is_user else ("systemctl",)
    names = ("ActiveState", "UnitFileState", "NRestarts")
    said = host.run(*control, "show", UNIT, "-p", ",".join(names))
    yield judge_service(said)
    if is_user:
        user = pwd.getpwuid(os.getuid()).pw_name
        yield judge_linger(user, host.path(f"/var/lib/systemd/linger/{user}").exists())
        yield judge_groups(user, _groups_of_process(), wanted_groups(settings, alsa=False))
    else:
        yield judge_groups(
            NAME, unit_groups(system.read_text()), wanted_groups(settings, alsa=True)
        )
    store = host.path(str(home / ".config/credstore" if is_user else "/etc/credstore"))
    yield from _credentials(store, settings)


def judge_service(said: str | None) -> Finding:
    """Judge what ``systemctl show`` says of the service."""
    if said is None:
        return warned("service", "is installed; systemctl does not answer")
    told = dict(line.partition("=")[::2] for line in said.splitlines())
    state, enabled = told.get("ActiveState", ""), told.get("UnitFileState", "")
    restarts = int(told["NRestarts"]) if told.get("NRestarts", "").isdecimal() else 0
    log = f"journalctl -u {UNIT.partition('.')[0]} -e says why"
    if enabled != "enabled":
        return failed(
            "service", f"is {enabled or 'not known'}: it does not start at boot", _INSTALL
        )
    if state != "active":
        return failed("service", f"is {state}", log)
    if restarts > _MANY:
        return warned("service", f"runs, and was started again {restarts} times", log)
    return passed("service", "runs, and starts at boot")


def judge_linger(user: str, lingers: bool) -> Finding:
    """Judge whether a user's services go on without a session."""
    if lingers:
        return passed("linger", f"services of {user} run without a session")
    hint = f"sudo loginctl enable-linger {user}"
    return failed("linger", f"the kiosk of {user} ends with the last session", hint)


def judge_groups(user: str, has: frozenset[str], wanted: dict[str, str]) -> Finding:
    """Judge groups.

    Args:
        user: whose.
        has: groups of that user's.
        wanted: groups that it takes, and for what.
    """
    missing = {name: what for name, what in wanted.items() if name not in has}
    if not missing:
        listed = ", ".join(wanted) or "none is needed"
        return passed("groups", f"{user}: {listed}")
    says = ", ".join(f"{name} (for {what})" for name, what in missing.items())
    hint = _INSTALL if user == NAME else f"sudo usermod -aG {','.join(missing)} $USER, then reboot"
    return failed("groups", f"{user}: not in {says}", hint)


def wanted_groups(settings: KioskSettings, *, alsa: bool) -> dict[str, str]:
    """Return the groups whose devices the settings want, and for what.

    Args:
        settings: of the kiosk.
        alsa: the sound card is used without a sound server.
    """
    wanted = {"audio": "sound"} if alsa else {}
    lamps = (settings.led, settings.led_ready, settings.led_call, settings.led_muted)
    lines = [each.value is not None and each.value.line for each in (*lamps, settings.led_error)]
    if settings.button.value is not None or any(lines):
        wanted["gpio"] = "button and lamps"
    if settings.input_device.value is not None:
        wanted["input"] = "the input device"
    return wanted


def unit_groups(text: str) -> frozenset[str]:
    """Return the groups that a unit gives its process."""
    lines = [line.partition("=") for line in text.splitlines()]
    return frozenset(
        group
        for name, _, value in lines
        if name in ("SupplementaryGroups", "Group")
        for group in value.split()
    )


def judge_credential(path: Path, mode: int) -> Finding:
    """Judge who can read a key.

    Args:
        path: its file.
        mode: of that.
    """
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return failed("credentials", f"{path} may be read by others", f"chmod 600 {path}")
    return passed("credentials", f"{path.name} is there, for its owner alone")


def _credentials(store: Path, settings: KioskSettings) -> Iterator[Finding]:
    if store.exists() and not os.access(store, os.X_OK):
        yield warned("credentials", f"{store} may be looked into by root only", "run it with sudo")
        return
    there = [store / name for name in CREDENTIALS if (store / name).exists()]
    for path in there:
        yield judge_credential(path, path.stat().st_mode)
    ways = (settings.call_command, settings.call_url, settings.api_key_file, settings.api_key)
    if all(each.value is None for each in ways) and store / CREDENTIALS[0] not in there:
        yield failed(
            "credentials",
            f"there is no API key in {store / CREDENTIALS[0]}",
            f"sudo install -D -m 600 /dev/stdin {store / CREDENTIALS[0]}",
        )


def _groups_of_process() -> frozenset[str]:
    names = set()
    for each in {os.getgid(), *os.getgroups()}:
        try:
            names.add(grp.getgrgid(each).gr_name)
        except KeyError:
            continue
    # Root needs none.
    return frozenset(names | ({"audio", "gpio", "input"} if os.getuid() == 0 else set()))
