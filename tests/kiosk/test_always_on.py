"""Calls whenever no call is up."""

from __future__ import annotations

import asyncio

from support.surroundings import Kiosk, settled, told

from retell_voice.kiosk.ports import WantsCall
from retell_voice.kiosk.states import State
from retell_voice.kiosk.triggers.always_on import PAUSE, AlwaysOn, make
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings

WISH = WantsCall("always on")


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._waiting: list[asyncio.Future[None]] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._waiting.append(asyncio.get_running_loop().create_future())
        await self._waiting[-1]

    def time(self) -> float:
        return self.now

    async def pass_(self) -> None:
        self._waiting.pop().set_result(None)
        await settled()


async def test_it_calls_after_a_pause_once_each_time_it_is_idle() -> None:
    kiosk, clock = Kiosk(State.STARTING), Clock()
    async with told(AlwaysOn(kiosk, clock.sleep, clock=clock.time)) as running:
        await settled()
        assert clock.slept == []
        kiosk.become(State.IDLE)
        await settled()
        assert running.waiting == 0
        await clock.pass_()
        assert await running.next() == WISH
        await settled()
        assert clock.slept == [PAUSE]  # and no second wish, until something has come of it
        for state in (State.DIALLING, State.IN_CALL, State.COOLING):
            kiosk.become(state)
            await settled()
            clock.now += 60.0
        kiosk.become(State.IDLE)
        await settled()
        await clock.pass_()
        assert await running.next() == WISH
        assert clock.slept == [PAUSE, PAUSE]


async def test_whoever_was_quicker_is_left_alone() -> None:
    kiosk, clock = Kiosk(), Clock()
    async with told(AlwaysOn(kiosk, clock.sleep)) as running:
        await settled()
        kiosk.become(State.IN_CALL)
        await clock.pass_()
        assert running.waiting == 0
        kiosk.become(State.OFFLINE)
        await settled()
        assert clock.slept == [PAUSE]


async def test_calls_that_come_to_nothing_are_further_and_further_apart() -> None:
    kiosk, clock = Kiosk(), Clock()
    trigger = AlwaysOn(kiosk, clock.sleep, clock=clock.time, draw=lambda: 1.0)
    ends: list[tuple[State, float]] = [
        *[(State.OFFLINE, 0.0)] * 3,  # no call at all
        *[(State.COOLING, 2.0)] * 5,  # the server hangs up at once
        (State.COOLING, 60.0),
        (State.FAULTED, 0.0),
    ]
    async with told(trigger) as running:
        await settled()
        for state, talked in ends:
            await clock.pass_()
            assert await running.next() == WISH
            kiosk.become(State.DIALLING)
            await settled()
            if talked:
                kiosk.become(State.IN_CALL)
                await settled()
                clock.now += talked
            kiosk.become(state)
            await settled()
            clock.now += 3600.0  # in another state than that, time does not count
            kiosk.become(State.IDLE)
            await settled()
    assert clock.slept == [3, 6, 12, 24, 48, 96, 192, 300, 300, 3, 6]


def test_it_is_made_of_settings() -> None:
    (part,) = make(KioskSettings(always_on=Sourced(True)), Kiosk())
    assert part.name == "always on"
    assert list(make(KioskSettings(), Kiosk())) == []
