"""The two kinds of lights: at a GPIO line, and those that the kernel has a driver for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from retell_voice.kiosk import gpio
from retell_voice.kiosk.lamps.blinking import Blinking
from retell_voice.kiosk.lamps.patterns import Role
from retell_voice.kiosk.ports import Part, PartFailed, Surroundings
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import Lamp, Line

LEDS = Path("/sys/class/leds")


def make(settings: KioskSettings, _: Surroundings) -> Iterable[Part]:
    """Return the lamps that the settings want.

    Raises:
        ConfigError: gpiod is not installed, and one of them is at a GPIO line.
    """
    to_power = settings.led_to.value == "power"
    for role in Role:
        lamp: Lamp | None = getattr(settings, role.value).value
        if lamp is None:
            continue
        if lamp.line is None:
            yield Blinking(f"lamp {lamp}", role, partial(SysLight, LEDS / lamp.led))
        else:
            gpio.library()
            chip = settings.gpio_chip.value
            light = partial(LineLight, lamp.line, chip, to_power=to_power)
            yield Blinking(f"lamp {lamp}", role, light)


class LineLight:
    """A light at a GPIO line.

    Args:
        line: which.
        chip: of which chip, as in ``gpio.request``.
        to_power: its other side is at the supply, so that the line is low when it is on.
        request: requests the line.

    Raises:
        PartFailed: the line cannot be had.
    """

    def __init__(
        self,
        line: Line,
        chip: str | None,
        *,
        to_power: bool,
        request: gpio.Request = gpio.request,
    ) -> None:
        lib = gpio.library()
        self._on, self._off = lib.line.Value.ACTIVE, lib.line.Value.INACTIVE
        settings = lib.LineSettings(
            direction=lib.line.Direction.OUTPUT, active_low=to_power, output_value=self._off
        )
        self._id = line.id
        self._request: Any = request(chip, {line.id: settings})

    def set(self, on: bool) -> None:
        """Turn it on or off."""
        self._request.set_value(self._id, self._on if on else self._off)

    def close(self) -> None:
        """Turn it off and give the line back."""
        with suppress(OSError):
            self.set(False)
        self._request.release()


class SysLight:
    """A light below /sys/class/leds.

    Args:
        path: its directory.

    Raises:
        PartFailed: it is not there, or we have no right to it.
    """

    def __init__(self, path: Path) -> None:
        self._full = b"1"
        self._fd = -1
        try:
            self._full = str(max(1, int((path / "max_brightness").read_text()))).encode()
            # What lights it otherwise, such as the card's activity, would light it still.
            (path / "trigger").write_text("none")
            self._fd = os.open(path / "brightness", os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            there = sorted(each.name for each in path.parent.glob("*"))
            listed = f"there are {', '.join(there)}" if there else "there is none"
            raise PartFailed(f"no lamp {path.name} in {path.parent}", listed) from None
        except PermissionError:
            hint = "'retell-voice kiosk install' with led= set writes a rule of udev for that"
            raise PartFailed(f"we may not light {path}", hint) from None
        except ValueError:
            raise PartFailed(f"{path} is no lamp") from None

    def set(self, on: bool) -> None:
        """Turn it on or off."""
        os.pwrite(self._fd, self._full if on else b"0", 0)

    def close(self) -> None:
        """Turn it off."""
        if self._fd >= 0:
            with suppress(OSError):
                self.set(False)
            os.close(self._fd)
            self._fd = -1
