"""The GPIO chip that buttons and lamps are at, found by what it is called.

Its number is not to be relied on: that of a Raspberry Pi 5's header has been 4 and is 0, depending
on the kernel.
"""

from __future__ import annotations

import glob
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.kiosk.ports import PartFailed
from retell_voice.settings.tables.kiosk_parts import Line

if TYPE_CHECKING:
    import gpiod

HEADERS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of the chips of a Raspberry Pi's header: 5; 4; the others."""

Lines = dict[int | str, "gpiod.LineSettings"]
Request = Callable[[str | None, Lines], Any]
"""Requests lines of a chip, by label or path; returns what ``gpiod`` does. Raises PartFailed."""


def library() -> Any:
    """Return gpiod.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import gpiod  # noqa: PLC0415 - of an extra
    except ImportError as error:
        hint = f"on Linux only: {how_to_install('kiosk-gpio')}"
        raise ConfigError(f"GPIO lines take the package gpiod: {error}", hint) from None
    return gpiod


def request(chip: str | None, lines: Lines) -> gpiod.LineRequest:
    """Request lines of a chip.

    Args:
        chip: label or path; None: that of a Raspberry Pi's header, or the only one.
        lines: settings of each.

    Raises:
        PartFailed: there is no such chip or line, it is in use, or we have no right to it.
    """
    path = chip if chip is not None and chip.startswith("/") else find(chip, chips())
    try:
        requested: gpiod.LineRequest = library().request_lines(
            path, consumer="retell-voice", config=lines
        )
        return requested
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        what = ", ".join(str(Line(each)) for each in lines)
        hint = {
            "Device or resource busy": "another program uses it (gpioinfo shows which)",
            "Permission denied": "the user must be in the group gpio",
        }.get(why, "")
        raise PartFailed(f"{what} at {path}: {why}", hint) from None


def chips() -> dict[str, str]:
    """Return the label of each chip by its path, those that cannot be opened with an empty one."""
    gpiod = library()
    found = {}
    for path in sorted(glob.glob("/dev/gpiochip*")):
        try:
            with gpiod.Chip(path) as chip:
                found[path] = chip.get_info().label
        except OSError:
            found[path] = ""
    return found


def find(wanted: str | None, there: dict[str, str]) -> str:
    """Return the path of the chip that is meant.

    Args:
        wanted: its label; None: any that the header of a Raspberry Pi is at, or the only one.
        there: labels by path.

    Raises:
        PartFailed: it is not there, or which is meant is not clear.
    """
    labels = {label: path for path, label in reversed(there.items())}
    for each in HEADERS if wanted is None else (wanted,):
        if each in labels:
            return labels[each]
    if wanted is None and len(there) == 1:
        return next(iter(there))
    if not there:
        raise PartFailed("this machine has no GPIO chip (/dev/gpiochip*)")
    if not any(there.values()):
        raise PartFailed(
            "no GPIO chip can be opened", "the user must be in the group gpio: see kiosk doctor"
        )
    listed = ", ".join(f"{label or 'one that cannot be opened'}" for label in there.values())
    meant = f"no GPIO chip is called {wanted!r}" if wanted else "there are several GPIO chips"
    raise PartFailed(f"{meant}: there are {listed}", "name one in gpio_chip")
