"""Lamps: what they show, when they change, and the files of /sys."""

from __future__ import annotations

import asyncio
import os
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support.surroundings import PATIENCE, Kiosk

from retell_voice.kiosk.lamps import lights
from retell_voice.kiosk.lamps.blinking import Blinking
from retell_voice.kiosk.lamps.lights import LineLight, SysLight, make
from retell_voice.kiosk.lamps.patterns import OFF, ON, Role, pattern
from retell_voice.kiosk.ports import Indicator, Look, PartFailed
from retell_voice.kiosk.states import State
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import Lamp

CALL = Look(state=State.IN_CALL)


class Light:
    """Keeps when it was lit."""

    def __init__(self) -> None:
        self.changes: list[tuple[bool, float]] = []
        self.fails = False
        self.closed = False
        self.changed = asyncio.Event()

    def set(self, on: bool) -> None:
        if self.fails:
            self.changed.set()
            raise OSError(19, "No such device")
        self.changes.append((on, asyncio.get_running_loop().time()))
        self.changed.set()

    def close(self) -> None:
        self.closed = True

    async def change(self) -> None:
        self.changed.clear()
        await asyncio.wait_for(self.changed.wait(), PATIENCE)

    async def next(self, count: int) -> list[bool]:
        """What it changes to from now on; a busy machine may change it twice before we look."""
        begin = len(self.changes)
        while len(self.changes) < begin + count:
            await self.change()
        return [on for on, _ in self.changes[begin : begin + count]]


@pytest.fixture
def light() -> Light:
    return Light()


def lamp(light: Light, role: Role = Role.CALL) -> Blinking:
    return Blinking("lamp x", role, lambda: light)


def test_one_lamp_tells_all_apart_that_someone_must_know() -> None:
    looks = {
        "idle": Look(state=State.IDLE),
        "dialling": Look(state=State.DIALLING),
        "listening": CALL,
        "speaking": Look(state=State.IN_CALL, speaking=True),
        "muted": Look(state=State.IN_CALL, muted=True),
        "offline": Look(state=State.OFFLINE),
        "faulted": Look(state=State.FAULTED),
        "starting": Look(state=State.STARTING),
    }
    patterns = {name: pattern(Role.ALL, look) for name, look in looks.items()}
    assert len(set(patterns.values())) == len(patterns)
    assert patterns["starting"] == OFF
    assert patterns["listening"] == ON


def test_no_pattern_flickers_and_each_takes_turns() -> None:
    for role, state, muted, speaking, why in product(
        Role, State, (True, False), (True, False), ("", "away")
    ):
        shown = pattern(role, Look(state=state, muted=muted, speaking=speaking, why=why))
        assert len(shown) < 2 or len(shown) % 2 == 0
        if len(shown) > 1:
            assert len(shown) / 2 / sum(shown) <= 5


def test_each_lamp_has_its_role() -> None:
    assert pattern(Role.READY, Look(state=State.IDLE)) == ON
    assert pattern(Role.READY, CALL) == OFF
    assert pattern(Role.CALL, CALL) == ON
    assert pattern(Role.MUTED, Look(state=State.IN_CALL, muted=True)) == ON
    assert pattern(Role.MUTED, CALL) == OFF
    assert pattern(Role.ERROR, CALL) == OFF
    assert pattern(Role.ERROR, Look(state=State.IN_CALL, why="the speaker is away")) != OFF
    offline, faulted = (pattern(Role.ERROR, Look(state=s)) for s in (State.OFFLINE, State.FAULTED))
    assert len({offline, faulted, OFF}) == 3


async def test_it_follows_what_it_shows(light: Light) -> None:
    part = lamp(light)
    assert isinstance(part, Indicator)
    async with part:
        await part.show(Look(state=State.DIALLING))
        assert await light.next(4) == [False, True, False, True]
        await part.show(CALL)
        assert light.changes[-1][0]
        assert not part.is_blinking
        await part.show(Look())
        assert not light.changes[-1][0]
        assert not light.closed
    assert light.closed


async def test_what_it_shows_already_keeps_its_step(light: Light) -> None:
    part = lamp(light)
    async with part:
        await part.show(Look(state=State.DIALLING))
        await light.next(1)
        count = len(light.changes)
        await part.show(Look(state=State.DIALLING, volume=20))
        assert len(light.changes) == count


async def test_blinking_keeps_its_time(light: Light) -> None:
    part = lamp(light)
    async with part:
        await part.show(Look(state=State.DIALLING))
        await light.next(6)
    first, last = light.changes[0][1], light.changes[6][1]
    # Each turn is due by the clock, so what a turn is late does not add up.
    assert last - first >= 0.6 - 1e-3


async def test_a_lamp_that_is_gone_is_told_at_the_next_show(light: Light) -> None:
    part = lamp(light)
    async with part:
        await part.show(Look(state=State.DIALLING))
        light.fails = True
        await light.change()
        with pytest.raises(PartFailed, match="lamp x: No such device"):
            await part.show(Look(state=State.DIALLING))
    light.fails = False
    async with part:
        await part.show(CALL)
        assert light.changes[-1][0]


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    led = tmp_path / "ACT"
    led.mkdir()
    (led / "max_brightness").write_text("255\n")
    (led / "trigger").write_text("[mmc0] none timer\n")
    (led / "brightness").write_text("0\n")
    return led


async def test_a_lamp_of_sys_is_lit_by_its_files(sysfs: Path) -> None:
    part = Blinking("lamp ACT", Role.CALL, lambda: SysLight(sysfs))
    before = descriptors()
    async with part:
        assert (sysfs / "trigger").read_text() == "none"
        await part.show(CALL)
        assert (sysfs / "brightness").read_text() == "255"
        await part.show(Look())
        assert (sysfs / "brightness").read_text()[0] == "0"
        await part.show(CALL)
    assert (sysfs / "brightness").read_text()[0] == "0"
    assert descriptors() == before


def test_a_lamp_that_is_not_there_is_told_with_those_that_are(sysfs: Path) -> None:
    with pytest.raises(PartFailed, match="no lamp PWR") as caught:
        SysLight(sysfs.with_name("PWR"))
    assert "ACT" in caught.value.hint
    (sysfs / "max_brightness").write_text("much")
    with pytest.raises(PartFailed, match="is no lamp"):
        SysLight(sysfs)


def test_a_lamp_at_a_line_is_an_output_that_begins_dark() -> None:
    gpiod = pytest.importorskip("gpiod", reason="gpiod is Linux's")
    asked: list[Any] = []

    class Request:
        def __init__(self) -> None:
            self.values: list[Any] = []
            self.released = False

        def set_value(self, line: int | str, value: Any) -> None:
            self.values.append((line, value))

        def release(self) -> None:
            self.released = True

    made = Request()

    def request(chip: str | None, lines: Any) -> Request:
        asked.append((chip, lines))
        return made

    line = Lamp.read("GPIO27").line
    assert line is not None
    light = LineLight(line, "pinctrl-rp1", to_power=True, request=request)
    light.set(True)
    light.close()
    active, inactive = gpiod.line.Value.ACTIVE, gpiod.line.Value.INACTIVE
    assert made.values == [(27, active), (27, inactive)]
    assert made.released
    settings = gpiod.LineSettings(
        direction=gpiod.line.Direction.OUTPUT, active_low=True, output_value=inactive
    )
    assert asked == [("pinctrl-rp1", {27: settings})]


def test_lamps_are_made_of_settings(sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lights, "LEDS", sysfs.parent)
    settings = KioskSettings(led=Sourced(Lamp.read("ACT")), led_error=Sourced(Lamp.read("PWR")))
    assert [part.name for part in make(settings, Kiosk())] == ["lamp ACT", "lamp PWR"]
    assert list(make(KioskSettings(), Kiosk())) == []
