"""Eight hours of a kiosk's own clockwork, on a clock that jumps: the state machine with its timers,
a trigger that calls by itself, a button and a lamp that fail, and the look at whether all moves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, Self

from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulated import simulate

from retell_voice.kiosk.keeping import keep
from retell_voice.kiosk.looks import Looks
from retell_voice.kiosk.machine import Machine
from retell_voice.kiosk.ports import Look, PartFailed, Pressed, TriggerEvent
from retell_voice.kiosk.states import LIMITS, RUNNING, Action, Event, Say, State
from retell_voice.kiosk.triggers.always_on import AlwaysOn
from retell_voice.kiosk.vitals import Vitals

HOURS = 8
_UNPLUGGED = 0.02


class Part:
    """What may be unplugged at any time, and is opened once at a time."""

    name = "a part"
    is_open = False

    def __init__(self, world: World) -> None:
        self.world = world
        self.openings = 0

    async def __aenter__(self) -> Self:
        assert not self.is_open
        self.fails()
        self.is_open = True
        self.openings += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_open = False

    def fails(self) -> None:
        if self.world.random.random() < _UNPLUGGED:
            raise PartFailed("it is unplugged")


class Button(Part):
    """Somebody presses now and then."""

    async def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        while True:
            await asyncio.sleep(self.world.random.expovariate(1 / 300))
            self.fails()
            yield Pressed("somebody")


class Lamp(Part):
    """Notes what it shows."""

    shown = Look()

    async def show(self, look: Look) -> None:
        await asyncio.sleep(0.01)
        self.fails()
        self.shown = look


class World:
    """A kiosk with a network that comes and goes; the calls are tasks."""

    # What a part may know of it
    is_sounding = False

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.looks = Looks()
        self.machine = Machine(self._do, self._show, lambda: LIMITS, draw=self.random.random)
        self.call: asyncio.Task[None] | None = None
        self.checks: set[asyncio.Task[None]] = set()
        self.network = True
        self.calls = self.live = 0
        self.vitals = Vitals(lambda: None, lambda: self.machine.is_stuck)
        self.recovered_at = self.offline_since = 0.0

    @property
    def look(self) -> Look:
        return self.looks.now

    async def changed(self, seen: Look) -> Look:
        return await self.looks.changed(seen)

    def listen(self, side: str = "near_end") -> Any:
        raise AssertionError

    def take(self, event: TriggerEvent) -> None:
        self.machine.happen(Event.PRESS if isinstance(event, Pressed) else Event.CALL)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.machine.start()
        self._do(Action.CHECK)
        by_itself = AlwaysOn(self, clock=loop.time, draw=self.random.random)
        lamp = Lamp(self)
        parts: list[Any] = [by_itself, Button(self), lamp]
        keeping = [
            asyncio.create_task(keep(part, self, self.take, draw=self.random.random))
            for part in parts
        ]
        keeping += [asyncio.create_task(self._weather()), asyncio.create_task(self._watch())]
        done, _ = await asyncio.wait(keeping, timeout=HOURS * 3600)
        assert not done, [task.exception() for task in done]
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        assert lamp.openings > 1
        assert not lamp.is_open
        self.machine.stop()
        if self.call is not None:
            self.call.cancel()
        await asyncio.sleep(30)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left"

    async def _weather(self) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(1 / 1800))
            self.network = False
            await asyncio.sleep(self.random.expovariate(1 / 120))
            self.network = True
            self.recovered_at = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(10)
            assert self.vitals.look(), self.vitals.trouble
            since = max(self.recovered_at, self.offline_since)
            if self.network and self.look.state is State.OFFLINE:
                waited = asyncio.get_running_loop().time() - since
                assert waited < LIMITS[State.OFFLINE] + 15, "it recovers by itself"

    def _do(self, step: Action | Say) -> None:
        match step:
            case Action.DIAL:
                assert self.call is None, "two calls at a time"
                self.calls += 1
                self.call = asyncio.create_task(self._hold())
                self.call.add_done_callback(self._over)
            case Action.HANG_UP | Action.GIVE_UP:
                assert self.call is not None
                result = Event.OVER if step is Action.HANG_UP else Event.CUT_OFF
                self.call.cancel(result.value)
            case Action.CHECK:
                task = asyncio.create_task(self._check())
                self.checks.add(task)
                task.add_done_callback(self.checks.discard)
            case Action.RESTART | Action.EXIT:
                raise AssertionError("no call hangs here")

    async def _hold(self) -> None:
        if self.random.random() < 0.05:
            await asyncio.Event().wait()  # nobody ever answers
        await asyncio.sleep(self.random.uniform(0.02, 3))
        if not self.network:
            raise ConnectionError
        self.live += 1
        self.machine.happen(Event.LIVE)
        ends = asyncio.get_running_loop().time() + self.random.expovariate(1 / 120)
        while (left := ends - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, 5))
            if not self.network:
                raise ConnectionError

    def _over(self, task: asyncio.Task[None]) -> None:
        self.call = None
        if task.cancelled():
            try:
                task.result()
            except asyncio.CancelledError as told:
                result = Event(told.args[0]) if told.args else Event.OVER
        else:
            result = Event.OVER if task.exception() is None else Event.CUT_OFF
        self.machine.happen(result)

    async def _check(self) -> None:
        await asyncio.sleep(self.random.uniform(0.01, 5))
        self.machine.happen(Event.WELL if self.network else Event.UNREACHED)

    def _show(self) -> None:
        standing = self.machine.standing
        assert self.call is None or standing.state in RUNNING
        if standing.state is State.OFFLINE and self.look.state is not State.OFFLINE:
            self.offline_since = asyncio.get_running_loop().time()
        self.looks.set(Look(state=standing.state, muted=standing.muted, calls=self.calls))


@given(st.integers(0, 2**32))
@settings(max_examples=4, deadline=None)
def test_eight_hours_keep_every_rule_and_leave_nothing_behind(seed: int) -> None:
    world = World(seed)
    simulate(world.run())
    assert world.live > HOURS * 5
    assert world.calls < HOURS * 3600 / 10
