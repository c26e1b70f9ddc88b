"""A push button at a GPIO line: the kernel debounces it and says when it changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from retell_voice.kiosk import gpio
from retell_voice.kiosk.ports import Part, PartFailed, Surroundings, TriggerEvent
from retell_voice.kiosk.triggers.presses import Edge, Presses
from retell_voice.kiosk.triggers.reading import Reading
from retell_voice.settings.tables.kiosk import KioskSettings


def make(settings: KioskSettings, surroundings: Surroundings) -> Iterable[Part]:
    """Return the button that the settings want, if any.

    Raises:
        ConfigError: gpiod is not installed.
    """
    button = settings.button.value
    if button is None:
        return
    gpiod = gpio.library()
    to_ground = settings.button_to.value == "ground"
    line = gpiod.LineSettings(
        edge_detection=gpiod.line.Edge.BOTH,
        bias=gpiod.line.Bias.PULL_UP if to_ground else gpiod.line.Bias.PULL_DOWN,
        active_low=to_ground,
        debounce_period=timedelta(milliseconds=settings.button_debounce.value),
    )
    yield GpioButton(
        str(button),
        lambda: gpio.request(settings.gpio_chip.value, {button.id: line}),
        surroundings,
        long=settings.long_press.value,
    )


class GpioButton:
    """A trigger.

    Args:
        line: what the line is called.
        request: requests it; raises ``PartFailed``.
        surroundings: its kiosk.
        long: seconds for which a long press is held.
    """

    def __init__(
        self, line: str, request: Callable[[], Any], surroundings: Surroundings, *, long: float
    ) -> None:
        self.name = f"button {line}"
        self._make = request
        self._presses = Presses(self.name, long)
        self._surroundings = surroundings
        self._request: Any = None
        self._reading: Reading | None = None

    async def __aenter__(self) -> Self:
        self._request = self._make()
        self._presses.forget()
        self._reading = Reading(self._request.fd, self._read, self._presses, self._surroundings)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reading is not None:
            self._reading.stop()
            self._reading = None
        if self._request is not None:
            self._request.release()
            self._request = None

    def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        if self._reading is None:
            raise PartFailed(f"{self.name} is not open")
        return self._reading.happenings()

    def _read(self) -> Iterator[Edge]:
        for event in self._request.read_edge_events():
            # Active low or not, what becomes active rises.
            down = event.event_type is event.Type.RISING_EDGE
            yield Edge(down, event.timestamp_ns / 1e9)
