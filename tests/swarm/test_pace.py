"""One clock for all callers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from retell_voice.swarm.figures import Times
from retell_voice.swarm.pace import Pace

FRAME = 0.02


class Clock:
    """An event loop's time, moved by a test; timers run when it passes them."""

    def __init__(self) -> None:
        self.now = 100.0
        self._timers: list[tuple[float, Callable[[], None], Handle]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> Handle:
        handle = Handle()
        self._timers.append((when, call, handle))
        return handle

    def move(self, to: float, step: float = 0.001) -> None:
        while self.now < to:
            self.now += step
            for timer in [each for each in self._timers if each[0] <= self.now]:
                self._timers.remove(timer)
                if not timer[2].is_cancelled:
                    timer[1]()


class Handle:
    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    return clock


def test_each_caller_has_its_frames_in_time_and_not_all_at_once(clock: Clock) -> None:
    late = Times()
    pace = Pace(FRAME, late)
    ticks: list[list[float]] = [[] for _ in range(10)]

    def tick(number: int) -> Callable[[], bool]:
        def tick() -> bool:
            ticks[number].append(clock.now)
            return number > 0 or len(ticks[number]) < 5

        return tick

    begins = [pace.join(tick(number)) for number in range(10)]
    assert len({round(at % FRAME, 3) for at in begins}) == 10
    clock.move(101.0)
    assert len(ticks[0]) == 5, "it has said that it is the last one"
    for begin, at in zip(begins[1:], ticks[1:], strict=True):
        assert len(at) in (49, 50)
        assert all(0 <= when - begin - n * FRAME < 0.0011 for n, when in enumerate(at))
    assert late.count == sum(map(len, ticks))
    assert late.highest < 0.0012
    assert pace.late_share() == 0


def test_a_caller_with_a_defect_leaves_the_others_alone(clock: Clock) -> None:
    pace, ticks = Pace(FRAME, Times()), []

    def broken() -> bool:
        raise RuntimeError("a defect")

    def tick() -> bool:
        ticks.append(clock.now)
        return True

    pace.join(broken, clock.now)
    pace.join(tick, clock.now)
    with pytest.raises(RuntimeError, match="a defect"):
        clock.move(100.01)
    clock.move(101.0)
    assert len(ticks) == 51, "every 20 ms, from 100.00 to 101.00"


def test_a_loop_that_stood_still_sends_what_it_owes_and_was_late(clock: Clock) -> None:
    pace, ticks = Pace(FRAME, Times()), []

    def tick() -> bool:
        ticks.append(clock.now)
        return True

    pace.join(tick, clock.now)
    clock.move(100.5)
    assert (len(ticks), pace.late_share()) == (26, 0)
    clock.now = 101.0
    clock.move(101.01)
    assert len(ticks) == 51
    assert pace.late_share() == pytest.approx(24 / 50, abs=0.03)
    clock.move(102.1)
    assert pace.late_share() == 0, "that of the last second"
    pace.leave(tick)
    pace.join(tick, clock.now - 1)
    count = len(ticks)
    clock.move(clock.now + 0.01)
    assert (len(ticks) - count, pace.late_share()) == (51, 0), "it had to wait for the server"
    pace.leave(tick)
    count = len(ticks)
    clock.move(103.0)
    assert len(ticks) == count
