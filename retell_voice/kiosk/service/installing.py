"""``retell-voice kiosk install`` and ``uninstall``: from what the machine is to the steps."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from retell_voice.errors import ConfigError
from retell_voice.kiosk.service.steps import Remove, Run, Step, Write
from retell_voice.kiosk.service.unit import (
    CREDENTIALS,
    LEAST_SYSTEMD,
    NAME,
    UNIT,
    Service,
    led_rule,
    system_unit,
    user_unit,
)

SYSTEM_UNITS, UDEV_RULES = Path("/etc/systemd/system"), Path("/etc/udev/rules.d")
STORE = Path("/etc/credstore")
GROUPS = ("audio", "input", "gpio")
"""Those of the devices. ``gpio`` is Raspberry Pi OS's."""
HOMES = (Path("/home"), Path("/root"))
_RULE = f"60-{NAME}-leds.rules"


@dataclass(frozen=True, slots=True)
class Machine:
    """What an installation depends on.

    Attributes:
        uid: of who runs this.
        user: the name of that, or of who ran sudo.
        home: of ``user``.
        systemd: its version, 0 where there is none.
        users, groups: those that there are.
        program: this Python, as an absolute path.
        unreachable: a directory on the way to the program that other users cannot enter; empty
            when they can.
        in_home: the program, or the Python that it is a link to, is below /home or /root.
        lingers: the services of ``user`` run without a session.
        sound_server: whether one runs for ``user``.
        stored: credentials of ``user`` that are there.
    """

    uid: int
    user: str
    home: Path
    systemd: int
    users: frozenset[str]
    groups: frozenset[str]
    program: Path
    unreachable: str = ""
    in_home: bool = False
    lingers: bool = False
    sound_server: bool = False
    stored: dict[str, Path] = field(default_factory=dict)


def look() -> Machine:
    """Return what this machine is."""
    uid = os.getuid()
    sudo = os.environ.get("SUDO_UID", "")
    owner = int(sudo) if uid == 0 and sudo.isdecimal() else uid
    try:
        entry = pwd.getpwuid(owner)
        user, home = entry.pw_name, Path(entry.pw_dir)
    except KeyError:
        user, home = str(owner), Path("/")
    runtime = Path(f"/run/user/{owner}")
    program = Path(sys.executable).absolute()
    store = home / ".config" / "credstore"
    return Machine(
        uid=uid,
        user=user,
        home=home,
        systemd=_systemd(),
        users=frozenset(each.pw_name for each in pwd.getpwall()),
        groups=frozenset(each.gr_name for each in grp.getgrall()),
        program=program,
        unreachable=unreachable(program) or unreachable(program.resolve()),
        # A virtual environment's Python is a link, to one that uv or pyenv has put there perhaps.
        in_home=any(
            each.is_relative_to(home) for each in (program, program.resolve()) for home in HOMES
        ),
        lingers=Path(f"/var/lib/systemd/linger/{user}").exists(),
        sound_server=any((runtime / each).exists() for each in ("pipewire-0", "pulse/native")),
        stored={name: store / name for name in CREDENTIALS if (store / name).exists()},
    )


def unreachable(program: Path) -> str:
    """Return a directory on the way to a program that only its owner can enter, or ""."""
    for each in reversed(program.parents):
        try:
            if not each.stat().st_mode & 0o001:
                return str(each)
        except OSError:
            return str(each)
    return ""


def for_user(machine: Machine, *, system: bool | None) -> bool:
    """Tell whether the unit is to be one of the user.

    Args:
        machine: where.
        system: what was asked for; None leaves it to us: a sound server holds the cards for its
            user, and without one they are the system's.
    """
    return machine.sound_server if system is None else not system


def install(
    machine: Machine,
    config: Path,
    *,
    user: bool,
    start: bool = True,
    leds: bool = False,
) -> list[Step]:
    """Return what is to be done for the kiosk to run from now on, and after every boot.

    Args:
        machine: where.
        config: the config file, which must be there.
        user: as a unit of ``machine.user`` instead of the system.
        start: now, too.
        leds: it lights lamps of /sys/class/leds.

    Raises:
        ConfigError: it would not run; says why.
    """
    _check(machine, user=user)
    program = machine.program
    command = (str(program), "-P", "-m", "retell_voice", "kiosk", "--config", str(config))
    service = Service(
        start=command,
        groups=tuple(each for each in GROUPS if each in machine.groups),
        in_home=machine.in_home,
        leds=leds,
    )
    control = ("systemctl", "--user") if user else ("systemctl",)
    if user:
        steps: list[Step] = [Write(_user_units(machine) / UNIT, user_unit(service, machine.stored))]
        if not machine.lingers:
            # Or the user's manager ends with the last session, and the kiosk falls silent.
            hint = f"sudo loginctl enable-linger {machine.user}, then this again"
            steps.append(Run(("loginctl", "enable-linger", machine.user), hint=hint))
    else:
        steps = _account(machine)
        steps += [
            Run(("chgrp", NAME, str(config))),
            Run(("chmod", "u=rw,g=r,o=", str(config))),
            Write(SYSTEM_UNITS / UNIT, system_unit(service)),
        ]
        if leds:
            steps += [
                Write(UDEV_RULES / _RULE, led_rule()),
                Run(("udevadm", "control", "--reload"), needed=False),
                Run(("udevadm", "trigger", "--subsystem-match=leds"), needed=False),
            ]
    steps += [Run((*control, "daemon-reload")), Run((*control, "enable", UNIT))]
    if start:  # anew, if an older one runs
        steps.append(Run((*control, "restart", "--no-block", UNIT)))
    return steps


def uninstall(machine: Machine, *, user: bool) -> list[Step]:
    """Return what is to be done for it to run no more; config, keys and figures stay.

    Raises:
        ConfigError: that takes another user, or there is no systemd.
    """
    _check_rights(machine, user=user)
    control: tuple[str, ...] = ("systemctl", "--user") if user else ("systemctl",)
    steps: list[Step] = [Run((*control, "disable", "--now", UNIT), needed=False)]
    if user:
        steps.append(Remove(_user_units(machine) / UNIT))
    else:
        steps += [Remove(SYSTEM_UNITS / UNIT), Remove(UDEV_RULES / _RULE)]
    return [*steps, Run((*control, "daemon-reload"))]


def _account(machine: Machine) -> list[Step]:
    if NAME in machine.users:
        return []
    home, group = f"/var/lib/{NAME}", "--gid" if NAME in machine.groups else "--user-group"
    words = ("useradd", "--system", group, *([NAME] if group == "--gid" else []))
    return [Run((*words, "--home-dir", home, "--shell", "/usr/sbin/nologin", NAME))]


def _user_units(machine: Machine) -> Path:
    return machine.home / ".config" / "systemd" / "user"


def _check(machine: Machine, *, user: bool) -> None:
    _check_rights(machine, user=user)
    if machine.systemd < LEAST_SYSTEMD:
        raise ConfigError(
            f"systemd {machine.systemd} is too old for the kiosk's unit",
            f"it takes {LEAST_SYSTEMD} or later: Raspberry Pi OS Bookworm, Trixie",
        )
    if set(str(machine.program)) & set("\\\"'"):
        raise ConfigError(f"systemd starts no program with quotes in its name: {machine.program}")
    if not user and machine.unreachable:
        raise ConfigError(
            f"the kiosk would run as user {NAME}, which cannot enter {machine.unreachable}, "
            f"where this program is",
            "install it where everyone can read it: sudo python3 -m venv /opt/retell-voice",
        )


def _check_rights(machine: Machine, *, user: bool) -> None:
    if not machine.systemd:
        raise ConfigError("there is no systemd on this machine", "start 'retell-voice kiosk' by it")
    if user and machine.uid == 0:
        raise ConfigError(
            f"a sound server runs for {machine.user}, so this is to be a unit of that user"
            if machine.sound_server
            else "a unit of a user is installed by that user",
            "run it without sudo, or with --system for a unit that has the sound card for itself",
        )
    if not user and machine.uid != 0:
        raise ConfigError("a unit of the system takes root to install", "run it with sudo")


def _systemd() -> int:
    program = shutil.which("systemctl")
    if program is None:
        return 0
    said = subprocess.run(  # noqa: S603 - no shell, no word of others
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.match(r"systemd (\d+)", said)
    return int(found[1]) if found else 0
