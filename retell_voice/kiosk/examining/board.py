"""The machine under a kiosk: power, network, time, disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from retell_voice.doctor.findings import Finding
from retell_voice.kiosk.examining.host import Host, failed, passed, warned

_THROTTLED = {
    0: "its voltage is too low",
    1: "it runs slower than it could",
    2: "it is throttled",
    3: "it is too hot to run at full speed",
}
"""Bits of ``vcgencmd get_throttled`` for now; 16 higher for some time since it was started."""
_BEFORE = 16
_SUPPLY = "give it a better power supply: 5.1 V, 3 A or more, and a short cable"
_LEAST, _FEW = 50, 500
"""Megabytes: nothing works with less; soon nothing will."""


def examine(host: Host) -> Iterator[Finding]:
    """Look at all of it."""
    yield judge_power(host.run("vcgencmd", "get_throttled"), _low_voltage(host))
    yield from _wifi(host)
    yield _time(host)
    yield from _disk(host)
    yield judge_root(host.read("/proc/mounts") or "")


def judge_power(said: str | None, alarm: bool | None) -> Finding:
    """Judge the power supply.

    Args:
        said: by ``vcgencmd get_throttled``, such as ``throttled=0x50005``.
        alarm: whether the kernel's sensor says that the voltage has been too low; None without one.
    """
    try:
        bits = int((said or "").partition("=")[2], 16)
    except ValueError:
        if alarm is None:
            return passed("power", "nothing here measures it (no vcgencmd)")
        if alarm:
            return failed("power", "its voltage has been too low", _SUPPLY)
        return passed("power", "its voltage has not been too low")
    now = [words for bit, words in _THROTTLED.items() if bits >> bit & 1]
    once = [words for bit, words in _THROTTLED.items() if bits >> (bit + _BEFORE) & 1]
    too_low = bits & (1 | 1 << _BEFORE)
    hint = _SUPPLY if too_low else "give it air, or a heat sink"
    if now:
        return failed("power", f"now {' and '.join(now)}", hint)
    if once:
        return warned("power", f"at some time since boot: {' and '.join(once)}", hint)
    return passed("power", "its voltage was never too low, and it was never throttled")


def _low_voltage(host: Host) -> bool | None:
    for each in sorted(host.path("/sys/class/hwmon").glob("*/name")):
        name = f"/{each.relative_to(host.root)}"
        if host.read(name) == "rpi_volt":
            return host.read(name.replace("/name", "/in0_lcrit_alarm")) == "1"
    return None


def _wifi(host: Host) -> Iterator[Finding]:
    cards = sorted(each.parent.name for each in host.path("/sys/class/net").glob("*/wireless"))
    if not cards:
        yield passed("Wi-Fi", "there is none")
    for card in cards:
        if host.read(f"/sys/class/net/{card}/operstate") == "down":
            yield passed("Wi-Fi", f"{card} is not in use")
            continue
        yield judge_power_save(card, host.run("iw", "dev", card, "get", "power_save"))


def judge_power_save(card: str, said: str | None) -> Finding:
    """Judge what ``iw dev CARD get power_save`` says."""
    hint = (
        "it adds pauses of 100 ms and more: sudo nmcli connection modify NAME "
        "802-11-wireless.powersave 2, for every connection, then reboot"
    )
    if said is None:
        return warned("Wi-Fi", f"whether {card} saves power is not known", "apt install iw")
    if said.rpartition(":")[2].strip() == "off":
        return passed("Wi-Fi", f"{card} does not save power")
    return warned("Wi-Fi", f"{card} saves power", hint)


def _time(host: Host) -> Finding:
    said = host.run("timedatectl", "show", "-p", "NTPSynchronized", "--value")
    if said is None and host.path("/run/systemd/timesync/synchronized").exists():
        said = "yes"
    return judge_time(said)


def judge_time(said: str | None) -> Finding:
    """Judge whether the clock is set by the network: yes, no, or None where that is not known."""
    if said == "yes":
        return passed("time", "set by the network")
    hint = "sudo timedatectl set-ntp true; certificates look invalid while the clock is wrong"
    if said == "no":
        return warned("time", "the clock has not been set by the network", hint)
    return warned("time", "nothing here tells whether the clock is set", hint)


def _disk(host: Host) -> Iterator[Finding]:
    for name in ("/", "/var/lib/retell-voice"):
        path = host.path(name)
        if name != "/" and (not path.exists() or path.stat().st_dev == host.root.stat().st_dev):
            continue
        try:
            space, files = shutil.disk_usage(path), os.statvfs(path)
        except OSError as error:
            yield warned("disk", f"{name}: {error.strerror}")
            continue
        yield judge_disk(name, space.free, files.f_favail if files.f_files else None)


def judge_disk(name: str, free: int, files: int | None) -> Finding:
    """Judge what is free.

    Args:
        name: of which directory.
        free: bytes.
        files: how many more there can be; None where there is no limit.
    """
    megabytes = free // 1_000_000
    says = f"{name}: {megabytes} MB free" + (f", {files} files" if files is not None else "")
    if megabytes < _LEAST or (files is not None and files < 100):
        return failed("disk", says, "make room: journalctl --vacuum-size=50M, apt clean")
    if megabytes < _FEW or (files is not None and files < 10_000):
        return warned("disk", says, "journalctl --vacuum-size=50M, apt clean")
    return passed("disk", says)


def judge_root(mounts: str) -> Finding:
    """Judge whether a power cut can harm what the machine boots from.

    Args:
        mounts: of /proc/mounts.
    """
    kind, options = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) >= 4 and fields[1] == "/":  # the last one is on top
            kind, options = fields[2], fields[3]
    if kind == "overlay" or "ro" in options.split(","):
        return passed(
            "root",
            "read-only: a power cut harms nothing",
            "no change survives a reboot: turn that off for updates",
        )
    return passed(
        "root",
        "is writable",
        "a power cut may harm the card: sudo raspi-config, Performance, Overlay File System",
    )
