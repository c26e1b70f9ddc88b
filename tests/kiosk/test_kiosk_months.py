"""A kiosk's table through months of simulated time, with a network, devices, people and calls."""

from __future__ import annotations

import random
from collections import defaultdict
from heapq import heappop, heappush
from itertools import count
from typing import Any

import pytest

from retell_voice.kiosk.states import (
    LIMITS,
    RUNNING,
    TABLE,
    Action,
    Event,
    Say,
    Standing,
    State,
    limit,
    step,
)

DAY = 86400.0


class World:
    """What a kiosk stands in; its clock jumps from one event to the next.

    Args:
        seed: of all that is left to chance.
        calls_by_itself: it wants a call whenever it is idle, as always-on does.
        refuses: the server refuses every call, though all looks well.
    """

    def __init__(self, seed: int, *, calls_by_itself: bool = False, refuses: bool = False) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.standing = Standing()
        self.network = self.devices = True
        self.trouble_over = 0.0  # when the last of the two was back
        self.call: int | None = None  # the number of the one that is up
        self.called = self.live_at = 0.0
        self.dials: list[float] = []
        self.looks: list[float] = []
        self.spent: dict[State, float] = defaultdict(float)
        self.longest = 0.0
        self._by_itself, self._refuses = calls_by_itself, refuses
        self._entered, self._armed = 0.0, 0
        self._numbers = count()
        self._queue: list[tuple[float, int, str, Any]] = []
        self._arm()
        self._check()
        for what, mean in (("network", DAY), ("devices", 7 * DAY), ("person", 3600.0)):
            self._later(self.random.expovariate(1 / mean), what)

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] < until:
            self.now, _, what, about = heappop(self._queue)
            getattr(self, f"_{what}")(about)
        self.now = until

    def _later(self, seconds: float, what: str, about: Any = None) -> None:
        heappush(self._queue, (self.now + seconds, next(self._numbers), what, about))

    # What happens around it

    def _network(self, _: Any) -> None:
        self.network = not self.network
        mean = DAY if self.network else 1800.0
        self.trouble_over = max(self.trouble_over, self.now)
        if not self.network and self.call is not None:
            self._later(self.random.uniform(5, 30), "ends", (self.call, Event.CUT_OFF))
        self._later(self.random.expovariate(1 / mean), "network")

    def _devices(self, _: Any) -> None:
        self.devices = not self.devices
        self.trouble_over = max(self.trouble_over, self.now)
        self._later(self.random.expovariate(1 / (7 * DAY if self.devices else 600.0)), "devices")
        self._happen(Event.BACK if self.devices else Event.AWAY)
        if not self.devices and self.call is not None:
            self._later(10.0, "ends", (self.call, Event.REFUSED))

    def _person(self, _: Any) -> None:
        wish = self.random.choices(
            [Event.PRESS, Event.CALL, Event.TOGGLE_MUTE, Event.HANG_UP], [6, 2, 1, 1]
        )[0]
        self._happen(wish)
        again = self.random.random() < 0.4  # impatient
        self._later(
            self.random.uniform(0.05, 3) if again else self.random.expovariate(1 / 3600), "person"
        )

    # What it has begun

    def _answered(self, number: int) -> None:
        if self.call != number:
            return
        if not self.devices or self._refuses:
            self._ends((number, Event.REFUSED))
        elif not self.network:
            self._ends((number, Event.CUT_OFF))
        else:
            self._happen(Event.LIVE)
            self._later(self.random.expovariate(1 / 120), "ends", (number, Event.OVER))
            if self.random.random() < 0.1:
                self._later(60.0, "quiet", number)

    def _quiet(self, number: int) -> None:
        if self.call == number:
            self._happen(Event.QUIET)

    def _ends(self, about: tuple[int, Event]) -> None:
        if self.call == about[0]:
            self.longest = max(self.longest, self.now - self.called)
            self.call = None
            self._happen(about[1])

    def _looked(self, _: Any) -> None:
        well = Event.WELL if self.network else Event.UNREACHED
        self._happen(well if self.devices else Event.UNWELL)

    def _check(self) -> None:
        self.looks.append(self.now)
        self._later(self.random.uniform(0.05, 5), "looked")

    # The kiosk

    def _limit(self, armed: int) -> None:
        if armed == self._armed:
            self._happen(Event.LIMIT)

    def _arm(self) -> None:
        self._armed += 1
        seconds = limit(self.standing, LIMITS, self.random.random)
        self._later(seconds, "limit", self._armed)

    def _happen(self, event: Event) -> None:
        before = self.standing
        self.standing, steps = step(before, event)
        if self.standing.state is not before.state:
            self.spent[before.state] += self.now - self._entered
            self._entered = self.now
        if (before.state, event) in TABLE:
            self._arm()
        for each in steps:
            match each:
                case Action.DIAL:
                    assert self.call is None, "two calls at a time"
                    self.call, self.called = next(self._numbers), self.now
                    self.dials.append(self.now)
                    lost = self.random.random() < 0.01  # nothing ever comes back
                    self._later(
                        3600.0 if lost else self.random.uniform(0.1, 5), "answered", self.call
                    )
                case Action.HANG_UP | Action.GIVE_UP:
                    assert self.call is not None
                    result = Event.OVER if each is Action.HANG_UP else Event.CUT_OFF
                    self._later(self.random.uniform(0.01, 3), "ends", (self.call, result))
                case Action.LOOK if not self.devices:
                    self._later(0.0, "away")
                case Action.CHECK:
                    self._check()
                case Action.RESTART | Action.EXIT:
                    raise AssertionError("it had to be started again")
                case Say() | Action():
                    pass
        if self._by_itself and self.standing.state is State.IDLE and before.state is not State.IDLE:
            self._later(0.0, "wants")
        assert self.call is None or self.standing.state in RUNNING

    def _away(self, _: Any) -> None:
        self._happen(Event.AWAY)

    def _wants(self, _: Any) -> None:
        self._happen(Event.CALL)


@pytest.mark.parametrize("seed", range(3))
def test_two_months_leave_it_as_it_was(seed: int) -> None:
    world = World(seed)
    for hour in range(60 * 24):
        world.run(hour * 3600.0)
        if world.network and world.devices and world.now - world.trouble_over > 300:
            down = (State.OFFLINE, State.FAULTED)
            assert world.standing.state not in down, "it recovers by itself"
    assert len(world.dials) > 500
    assert world.longest < LIMITS[State.IN_CALL] + LIMITS[State.DIALLING] + 10
    whole = sum(world.spent.values())
    assert world.spent[State.IDLE] / whole > 0.8
    assert world.spent[State.WRAPPING_UP] / whole < 0.01


def test_an_account_without_credit_is_not_asked_without_end() -> None:
    """Nobody is there, it calls by itself, and every call is refused, though all looks well."""
    world = World(1, calls_by_itself=True, refuses=True)
    world.run(DAY)
    later = [at for at in world.dials if at > 3600]
    assert len(later) < (DAY - 3600) / 20, "a call every 20 s at most, once it has gone on for long"
