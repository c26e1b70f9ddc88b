"""The texts that are installed: the unit of the system or of a user, and the rule for lamps.

What holds a unit of the system in. Left out is what takes away the sound::

    MemoryDenyWriteExecute   cffi cannot make PortAudio's callbacks: MemoryError
    PrivateDevices           no /dev/snd, /dev/input, /dev/gpiochip*: a list of devices instead
    PrivateUsers             the groups audio, input and gpio become nobody's
    PrivateIPC               dmix and dsnoop share memory with others no more
    AF_NETLINK forbidden     WebRTC cannot list the network's interfaces

ProtectClock makes the list of devices one of what is allowed, so ``char-alsa`` must be in it.

A user's manager has no rights to give up and none to mount: there even an empty
CapabilityBoundingSet ends the start (218/CAPABILITIES), and so does whatever implies one
(ProtectKernelModules, ProtectKernelLogs, ProtectClock, PrivateDevices). What the kernel filters by
system call is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAME = "retell-voice"
"""Of its user and group, and of its directories below /run and /var/lib."""
UNIT = f"{NAME}-kiosk.service"
CREDENTIALS = (
    "retell-api-key",
    "retell-call-token",
    "retell-control-token",
    "retell-mqtt-password",
)
"""Files that reach the kiosk through systemd, if they are there. No other program can read them."""
DEVICES = ("char-alsa rw", "char-input r", "char-gpiochip rw")
LEAST_SYSTEMD = 252
"""Bookworm's. From here on a credential that is not there is no failure."""

_BOTH = """\
Type=notify
NotifyAccess=main
ExecStart={start}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
WatchdogSec={watchdog}
TimeoutStopSec=20
SyslogIdentifier={name}
UMask=0077
"""

_FILTERED = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
"""

_CLOSED = """\
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={home}
PrivateTmp=yes
ProtectProc=invisible
ProtectKernelTunables={tunables}
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictRealtime=yes
DevicePolicy=closed
"""


@dataclass(frozen=True, slots=True)
class Service:
    """What a unit is made of.

    Attributes:
        start: the command and its arguments; the first is an absolute path.
        groups: those whose devices are used; each must exist, or the unit does not start.
        in_home: the program is below /home or /root, and must be read there.
        leds: lamps of /sys/class/leds are lit, which are tunables of the kernel's.
        watchdog: seconds without a sign of life after which it is ended and started again.
    """

    start: tuple[str, ...]
    groups: tuple[str, ...] = ()
    in_home: bool = False
    leds: bool = False
    watchdog: int = 30


def system_unit(service: Service) -> str:
    """Return the unit of a machine without a sound server: it has the cards for itself."""
    allowed = "".join(f"DeviceAllow={each}\n" for each in DEVICES)
    closed = _CLOSED.format(
        home="read-only" if service.in_home else "yes",
        tunables="no" if service.leds else "yes",
    )
    groups = f"SupplementaryGroups={' '.join(service.groups)}\n" if service.groups else ""
    return (
        # No wish for network-online: without a network the kiosk says so, and waits by itself.
        _head("network.target sound.target")
        + _body(service)
        + f"User={NAME}\nGroup={NAME}\n{groups}"
        + f"StateDirectory={NAME}\nRuntimeDirectory={NAME}\nStateDirectoryMode=0750\n"
        + "RuntimeDirectoryMode=0750\n"
        + "".join(f"LoadCredential={each}\n" for each in CREDENTIALS)
        # PortAudio opens plughw:, which converts, where hw: knows no 24 kHz (-9997).
        + "Environment=PA_ALSA_PLUGHW=1\n"
        + f"\n{closed}{allowed}{_FILTERED}"
        + "\n[Install]\nWantedBy=multi-user.target\n"
    )


def user_unit(service: Service, credentials: dict[str, Path]) -> str:
    """Return the unit of a user for whom PipeWire or PulseAudio runs.

    Args:
        service: what it is made of; a user has the groups that he has.
        credentials: where each is. One that is not there would keep the unit from starting: the
            user's manager looks for none by name.
    """
    loaded = "".join(
        f"LoadCredential={name}:{str(at).replace('%', '%%')}\n" for name, at in credentials.items()
    )
    return (
        _head("pipewire.service pipewire-pulse.service wireplumber.service pulseaudio.service")
        + _body(service)
        + f"StateDirectory={NAME}\nRuntimeDirectory={NAME}\n{loaded}"
        + f"\n{_FILTERED}"
        + "\n[Install]\nWantedBy=default.target\n"
    )


def led_rule() -> str:
    """Return the rule of udev that lets our group light the lamps of /sys/class/leds."""
    return (
        f"# Lets {NAME} light the board's lamps.\n"
        'SUBSYSTEM=="leds", ACTION=="add|change", '
        f'RUN+="/bin/chgrp {NAME} /sys%p/brightness /sys%p/trigger", '
        'RUN+="/bin/chmod g+w /sys%p/brightness /sys%p/trigger"\n'
    )


def _head(after: str) -> str:
    return (
        "[Unit]\nDescription=Voice kiosk (retell-voice)\n"
        f"After={after}\n"
        # Or five quick failures would leave it dead for good.
        "StartLimitIntervalSec=0\n\n[Service]\n"
    )


def _body(service: Service) -> str:
    program, *arguments = service.start
    # In the first word no variable is replaced, so that its $ stays one.
    start = " ".join([_word(program), *(_word(each).replace("$", "$$") for each in arguments)])
    return _BOTH.format(start=start, watchdog=service.watchdog, name=NAME)


def _word(word: str) -> str:
    """Return a word of a command, in quotes if need be; nothing in it is a specifier."""
    word = word.replace("\\", "\\\\").replace("%", "%%")
    return f'"{word.replace(chr(34), chr(92) + chr(34))}"' if set(word) & set(" \t\"';") else word
