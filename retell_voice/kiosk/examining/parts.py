"""The parts that the settings want: packages, lines, devices, lamps, the broker."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from retell_voice.doctor.findings import Finding
from retell_voice.errors import ConfigError
from retell_voice.kiosk import gpio
from retell_voice.kiosk.examining.host import Host, failed, passed, warned
from retell_voice.kiosk.lamps.patterns import Role
from retell_voice.kiosk.parts import MAKERS
from retell_voice.kiosk.ports import PartFailed, Surroundings
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import Lamp, Line

_SECONDS = 5.0
_OURS = "retell-voice"


def examine(host: Host, settings: KioskSettings) -> Iterator[Finding]:
    """Look at all of it."""
    names: list[str] = []
    for make in MAKERS:
        try:
            # Nothing is entered, so that they need no kiosk around them.
            names += [part.name for part in make(settings, cast(Surroundings, None))]
        except ConfigError as error:
            yield failed("parts", str(error), error.hint)
    yield passed("parts", ", ".join(names) or "none is set: only the control socket can call")
    lamps: list[Lamp] = [
        lamp for role in Role if (lamp := getattr(settings, role.value).value) is not None
    ]
    lines = [lamp.line for lamp in lamps if lamp.line is not None]
    if settings.button.value is not None:
        lines.insert(0, settings.button.value)
    if lines:
        yield from _lines(settings.gpio_chip.value, lines)
    if settings.input_device.value is not None:
        yield judge_input_device(host, Path(settings.input_device.value))
    for lamp in lamps:
        if lamp.led:
            yield judge_led(host, lamp.led)
    if settings.mqtt_url.value is not None:
        yield _broker(settings.mqtt_url.value)


def _lines(chip: str | None, lines: list[Line]) -> Iterator[Finding]:
    try:
        library = gpio.library()
        path = chip if chip is not None and chip.startswith("/") else gpio.find(chip, gpio.chips())
        with library.Chip(path) as opened:
            for line in lines:
                yield judge_line(line, opened.get_line_info(line.id), opened.get_info().label)
    except ConfigError:
        return  # told above
    except PartFailed as error:
        yield failed("GPIO", str(error), error.hint)
    except (OSError, ValueError) as error:
        yield failed("GPIO", f"{chip or 'the chip'}: {getattr(error, 'strerror', None) or error}")


def judge_line(line: Line, info: Any, label: str) -> Finding:
    """Judge whether a line can be had.

    Args:
        line: which.
        info: of gpiod's.
        label: what its chip is called.
    """
    if info.used and info.consumer != _OURS:
        says = f"{line} at {label} is used by {info.consumer or 'the kernel'}"
        return failed(
            "GPIO", says, "use another line, or remove what uses this one (dtparam, dtoverlay)"
        )
    return passed("GPIO", f"{line} at {label} is {'ours' if info.used else 'free'}")


def judge_input_device(host: Host, path: Path) -> Finding:
    """Judge whether an input device is there, and will be the same tomorrow."""
    if not host.path(str(path)).exists():
        hint = "ls /dev/input/by-id lists those that are plugged in"
        return failed("input device", f"{path} is not there", hint)
    if path.parent.name not in ("by-id", "by-path"):
        says = f"{path} may be another device after a reboot"
        return warned("input device", says, "name it by /dev/input/by-id/…-event-kbd")
    return passed("input device", f"{path.name} is plugged in")


def judge_led(host: Host, name: str) -> Finding:
    """Judge whether a lamp is there, and our service may light it."""
    path = host.path(f"/sys/class/leds/{name}")
    if not path.exists():
        there = ", ".join(sorted(each.name for each in path.parent.glob("*"))) or "none"
        return failed("lamp", f"there is no lamp {name}", f"there are: {there}")
    try:
        mode = (path / "brightness").stat().st_mode
    except OSError:
        return failed("lamp", f"{name} is no lamp")
    if not mode & 0o020:
        hint = "'retell-voice kiosk install' with it in the config file writes a rule of udev"
        return warned("lamp", f"only root may light {name}", hint)
    return passed("lamp", f"{name} may be lit")


def _broker(url: str) -> Finding:
    parts = urlsplit(url)
    port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
    try:
        with socket.create_connection((parts.hostname or "", port), _SECONDS):
            return passed("MQTT", f"{parts.hostname}:{port} answers")
    except OSError as error:
        why = error.strerror or str(error)
        return warned("MQTT", f"{parts.hostname}:{port}: {why}", "calls go on without it")
