"""A button at a GPIO line; a pipe is the line."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from support.surroundings import Kiosk, settled, told

from retell_voice.kiosk import gpio
from retell_voice.kiosk.ports import LongPressed, PartFailed, Pressed, Trigger
from retell_voice.kiosk.states import State
from retell_voice.kiosk.triggers.gpio_button import GpioButton, make
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import Line

gpiod = pytest.importorskip("gpiod", reason="gpiod is Linux's")
Kind = gpiod.EdgeEvent.Type


class Request:
    """What gpiod's requests are, as far as a button uses them; its events are gpiod's own."""

    def __init__(self) -> None:
        self.fd, self._end = os.pipe()
        self._events: list[Any] = []
        self.fails: OSError | None = None

    def edge(self, active: bool, at: float) -> None:
        kind = Kind.RISING_EDGE if active else Kind.FALLING_EDGE
        self._events.append(gpiod.EdgeEvent(kind.value, round(at * 1e9), 17, 1, 1))
        os.write(self._end, b"!")

    def read_edge_events(self) -> list[Any]:
        if self.fails is not None:
            raise self.fails
        os.read(self.fd, 100)
        events, self._events = self._events, []
        return events

    def release(self) -> None:
        os.close(self.fd)
        os.close(self._end)
        self.fd = -1


class Board:
    """Makes requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self) -> Request:
        self.requests.append(Request())
        return self.requests[-1]

    @property
    def now(self) -> Request:
        return self.requests[-1]


def button(board: Board, kiosk: Kiosk, long: float = 0.8) -> GpioButton:
    return GpioButton("GPIO17", board, kiosk, long=long)


async def test_presses_come_through() -> None:
    board, kiosk = Board(), Kiosk()
    part = button(board, kiosk)
    assert isinstance(part, Trigger)
    async with told(part) as running:
        board.now.edge(True, 1.0)
        assert await running.next() == Pressed("button GPIO17")
        kiosk.become(State.DIALLING)
        board.now.edge(False, 1.1)
        board.now.edge(True, 2.0)
        board.now.edge(False, 2.1)
        assert await running.next() == Pressed("button GPIO17")
        board.now.edge(True, 3.0)
        board.now.edge(False, 3.9)
        assert await running.next() == LongPressed("button GPIO17")
        assert running.waiting == 0


async def test_a_long_press_is_told_while_the_button_is_down() -> None:
    board = Board()
    async with told(button(board, Kiosk(State.IN_CALL), long=0.02)) as running:
        board.now.edge(True, 1.0)
        assert await running.next() == LongPressed("button GPIO17")
        board.now.edge(False, 9.0)
        await settled()
        assert running.waiting == 0


async def test_a_line_that_fails_is_told_and_can_be_had_again() -> None:
    board = Board()
    part = button(board, Kiosk())
    async with told(part) as running:
        board.now.fails = OSError(19, "No such device")
        board.now.edge(True, 1.0)
        with pytest.raises(OSError, match="No such device"):
            await running.next()
    async with told(part) as running:
        board.now.edge(True, 1.0)
        assert await running.next() == Pressed("button GPIO17")
    assert [each.fd for each in board.requests] == [-1, -1]


async def test_nothing_stays_open_after_many_turns() -> None:
    board = Board()
    part = button(board, Kiosk())
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        async with told(part) as running:
            board.now.edge(True, 1.0)
            await running.next()
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(
    ("to", "bias", "low"),
    [("ground", gpiod.line.Bias.PULL_UP, True), ("power", gpiod.line.Bias.PULL_DOWN, False)],
)
async def test_the_kernel_debounces_and_pulls(
    to: str, bias: Any, low: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def request(chip: str | None, lines: gpio.Lines) -> Request:
        asked.append((chip, lines))
        return Request()

    monkeypatch.setattr(gpio, "request", request)
    settings = KioskSettings(
        button=Sourced(Line(17)), button_to=Sourced(to), button_debounce=Sourced(25)
    )
    (part,) = make(settings, Kiosk())
    async with part:
        pass
    ((chip, lines),) = asked
    assert chip is None
    assert lines == {
        17: gpiod.LineSettings(
            edge_detection=gpiod.line.Edge.BOTH,
            bias=bias,
            active_low=low,
            debounce_period=timedelta(milliseconds=25),
        )
    }
    assert list(make(KioskSettings(), Kiosk())) == []


PI_5 = {
    "/dev/gpiochip0": "pinctrl-rp1",
    "/dev/gpiochip10": "gpio-brcmstb@107d508500",
    "/dev/gpiochip4": "pinctrl-bcm2712",
}


def test_the_header_is_found_by_its_label_whatever_its_number() -> None:
    assert gpio.find(None, PI_5) == "/dev/gpiochip0"
    older = {"/dev/gpiochip0": "gpio-brcmstb@107d508500", "/dev/gpiochip4": "pinctrl-rp1"}
    assert gpio.find(None, older) == "/dev/gpiochip4"
    pi_4 = {"/dev/gpiochip0": "pinctrl-bcm2711", "/dev/gpiochip1": "raspberrypi-exp-gpio"}
    assert gpio.find(None, pi_4) == "/dev/gpiochip0"
    assert gpio.find("raspberrypi-exp-gpio", pi_4) == "/dev/gpiochip1"
    assert gpio.find(None, {"/dev/gpiochip0": "1c20800.pinctrl"}) == "/dev/gpiochip0"


@pytest.mark.parametrize(
    ("wanted", "there", "says"),
    [
        (None, {}, "no GPIO chip"),
        (None, {"/dev/gpiochip0": "", "/dev/gpiochip1": ""}, "can be opened"),
        (
            None,
            {"/dev/gpiochip0": "a", "/dev/gpiochip1": "b"},
            r"several .*: there are a, b",
        ),
        ("x", {"/dev/gpiochip0": "a"}, "no GPIO chip is called 'x'"),
    ],
)
def test_which_chip_is_meant_must_be_clear(
    wanted: str | None, there: dict[str, str], says: str
) -> None:
    with pytest.raises(PartFailed, match=says):
        gpio.find(wanted, there)


def test_a_chip_that_is_not_there_is_a_line_for_people() -> None:
    with pytest.raises(PartFailed, match="GPIO17 at /dev/gpiochip99: No such file"):
        gpio.request("/dev/gpiochip99", {17: gpiod.LineSettings()})
    with pytest.raises(PartFailed, match="GPIO17, LAMP at /dev/null: "):
        gpio.request("/dev/null", {17: gpiod.LineSettings(), "LAMP": gpiod.LineSettings()})
    assert isinstance(gpio.chips(), dict)
