"""The parts that a kiosk can have: which of them the settings want."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from retell_voice.kiosk.lamps import lights
from retell_voice.kiosk.ports import Part, Surroundings
from retell_voice.kiosk.triggers import (
    always_on,
    gpio_button,
    input_device,
    mqtt,
    voice_activity,
    wake_word,
)
from retell_voice.settings.tables.kiosk import KioskSettings

Maker = Callable[[KioskSettings, Surroundings], Iterable[Part]]
"""Makes those of one kind that the settings want, not yet entered. Raises ``ConfigError`` where
they can never be had: a name that is none, a package that is not installed."""

MAKERS: tuple[Maker, ...] = (
    gpio_button.make,
    input_device.make,
    wake_word.make,
    voice_activity.make,
    always_on.make,
    mqtt.make,
    lights.make,
)


def make_parts(settings: KioskSettings, surroundings: Surroundings) -> list[Part]:
    """Return the parts that the settings want.

    Raises:
        ConfigError: one can never be had.
    """
    return [part for make in MAKERS for part in make(settings, surroundings)]
