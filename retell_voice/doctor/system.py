"""Python, packages, timers and the clock; the config file."""

from __future__ import annotations

import os
import platform
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from retell_voice.doctor.findings import Finding, Part, Verdict
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_add

PACKAGES = ("h11", "numpy", "rich", "sounddevice", "soxr", "truststore", "typer", "websockets")
_LEAST_PYTHON = (3, 11)
_BUILT = 1_735_689_600  # 2025-01-01: an earlier clock has not been set
_NAPS = 60
_NAP = 0.005
_LATE = 0.010


def examine(switch_interval: float) -> Iterator[Finding]:
    """Check the interpreter and the machine.

    Args:
        switch_interval: seconds that the programs use for ``sys.setswitchinterval``.
    """
    yield judge_python(sys.version_info[:3], f"{platform.system()} {platform.machine()}")
    yield judge_packages({name: _version(name) for name in PACKAGES})
    yield judge_switch_interval(sys.getswitchinterval(), switch_interval)
    yield from _timers()


def judge_python(found: tuple[int, int, int], machine: str) -> Finding:
    """Judge the version of Python."""
    words = ".".join(map(str, found))
    if found < _LEAST_PYTHON:
        hint = "install Python 3.11 or later"
        return _of("system", "Python", Verdict.FAIL, f"{words} on {machine}", hint)
    return _of("system", "Python", Verdict.PASS, f"{words} on {machine}")


def judge_packages(found: Mapping[str, str | None]) -> Finding:
    """Judge the installed packages; None for missing ones."""
    missing = [name for name, each in found.items() if each is None]
    if missing:
        return _of(
            "system",
            "packages",
            Verdict.FAIL,
            f"missing: {', '.join(missing)}",
            how_to_add(*missing),
        )
    listed = ", ".join(f"{name} {each}" for name, each in found.items())
    return _of("system", "packages", Verdict.PASS, listed)


def judge_switch_interval(found: float, wanted: float) -> Finding:
    """Say how soon a busy Python thread yields to the audio callbacks."""
    words = f"busy threads yield after {found * 1000:g} ms; talk sets {wanted * 1000:g}"
    hint = ""
    if found > wanted:
        hint = f"in your own program with busy threads: sys.setswitchinterval({wanted:g})"
    return _of("system", "GIL", Verdict.PASS, words, hint)


def judge_naps(late: list[float]) -> Finding:
    """Judge by how many seconds short sleeps ended late."""
    late = sorted(late)
    worst = late[int(len(late) * 0.98)] * 1000
    slow = worst > _LATE * 1000
    return Finding(
        "system",
        "timers",
        Verdict.WARN if slow else Verdict.PASS,
        f"a thread wakes up within {worst:.1f} ms (98th percentile)",
        "the machine is busy: sound may have gaps; close other programs" if slow else "",
        {"late_p98_ms": round(worst, 2), "late_max_ms": round(late[-1] * 1000, 2)},
    )


def judge_wall_clock(now: float, jump: float) -> Finding:
    """Judge the time of day, which certificates are checked against.

    Args:
        now: seconds since 1970.
        jump: seconds by which it moved relative to the monotonic clock meanwhile.
    """
    day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if now < _BUILT:
        return _of(
            "system",
            "clock",
            Verdict.FAIL,
            f"this machine thinks it is {day}",
            "set it (a Raspberry Pi has no clock of its own: timedatectl set-ntp true); "
            "TLS certificates look invalid until then",
        )
    if abs(jump) > 0.5:
        hint = "it is being set: check again in a minute"
        return _of("system", "clock", Verdict.WARN, f"{day}, and it jumped {jump:+.1f} s", hint)
    return _of("system", "clock", Verdict.PASS, day)


def examine_config(
    path: Path, *, named: bool, read: Callable[[], tuple[str, ...]]
) -> Iterator[Finding]:
    """Check the config file.

    Args:
        path: where it is, or would be.
        named: whether it was named explicitly, and so must exist.
        read: reads it, returns warnings, raises ConfigError.
    """
    try:
        warnings = read()
    except ConfigError as error:
        yield _of("config", "config file", Verdict.FAIL, str(error), error.hint)
        return
    if not named and not path.exists():
        hint = "'retell-voice config init' writes one"
        yield _of("config", "config file", Verdict.PASS, f"none at {path}: using defaults ({hint})")
        return
    yield _of("config", "config file", Verdict.PASS, str(path))
    for warning in warnings:
        says, _, hint = warning.partition(": ")
        yield _of("config", "permissions", Verdict.WARN, says, hint)
    if not warnings and os.name == "posix":
        mode = stat.S_IMODE(path.stat().st_mode)
        yield _of("config", "permissions", Verdict.PASS, f"mode {mode:04o}")


def _timers() -> Iterator[Finding]:
    wall, began = time.time(), time.monotonic()
    late = []
    for _ in range(_NAPS):
        due = time.monotonic() + _NAP
        time.sleep(_NAP)
        late.append(max(0.0, time.monotonic() - due))
    yield judge_naps(late)
    now = time.time()
    yield judge_wall_clock(now, (now - wall) - (time.monotonic() - began))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _of(part: Part, check: str, verdict: Verdict, says: str, hint: str = "") -> Finding:
    return Finding(part, check, verdict, says, hint)
