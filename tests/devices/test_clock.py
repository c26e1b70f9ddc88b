"""The clock of file and null devices; time is real, and short."""

import threading
import time

import pytest

from retell_voice.devices.clock import Clock

TIMEOUT = 5.0
NAME = "a clock under test"


def no_fault(error: Exception) -> None:
    raise AssertionError(error)


def running() -> bool:
    return any(thread.name == NAME for thread in threading.enumerate())


class Counter:
    """Counts ticks, and the threads they came on."""

    def __init__(self, enough: int = 10) -> None:
        self.times: list[float] = []
        self.threads: set[int] = set()
        self.enough = enough
        self.full = threading.Event()

    def tick(self) -> int | None:
        self.times.append(time.monotonic())
        self.threads.add(threading.get_ident())
        if len(self.times) == self.enough:
            self.full.set()
        return None


class Rare(Counter):
    """Needs each fifth tick only; after enough of them, each thousandth."""

    def tick(self) -> int | None:
        super().tick()
        return 999 if self.full.is_set() else 4


@pytest.fixture
def clock():
    clock = Clock(NAME)
    yield clock
    assert not running()


def test_everything_ticks_on_one_thread_that_ends_with_the_last(clock: Clock) -> None:
    counters = [Counter() for _ in range(5)]
    ticking = [
        clock.begin(0.001 * (1 + index % 2), counter.tick, no_fault)
        for index, counter in enumerate(counters)
    ]
    for counter in counters:
        assert counter.full.wait(TIMEOUT)
    assert len(set.union(*(counter.threads for counter in counters))) == 1
    for each in ticking[1:]:
        clock.end(each)
        assert running()
    clock.end(ticking[0])
    clock.end(ticking[0])
    assert not running()


def test_what_has_ended_does_not_tick_again(clock: Clock) -> None:
    ended, other = Counter(1), Counter(200)
    first = clock.begin(0.0005, ended.tick, no_fault)
    second = clock.begin(0.0005, other.tick, no_fault)
    assert ended.full.wait(TIMEOUT)
    clock.end(first)
    ticks = len(ended.times)
    assert other.full.wait(TIMEOUT)
    assert len(ended.times) == ticks
    clock.end(second)


def test_ending_waits_for_the_tick_that_is_under_way(clock: Clock) -> None:
    inside, go, over = threading.Event(), threading.Event(), threading.Event()

    def tick() -> None:
        inside.set()
        go.wait(TIMEOUT)
        over.set()

    ticking = clock.begin(0.001, tick, no_fault)
    assert inside.wait(TIMEOUT)
    threading.Timer(0.02, go.set).start()
    clock.end(ticking)
    assert over.is_set()


def test_ticks_that_came_late_are_made_up_for(clock: Clock) -> None:
    held, counter = threading.Event(), Counter(100)
    began = time.monotonic()

    def tick() -> None:
        if not counter.times:
            held.wait(0.5)
        counter.tick()

    ticking = clock.begin(0.01, tick, no_fault)
    assert counter.full.wait(TIMEOUT)
    clock.end(ticking)
    # 99 periods after the first, by no more than the time it takes to notice; had the late ones
    # been left out, it would be half a second later.
    assert counter.times[99] - began == pytest.approx(99 * 0.01, abs=0.4)


def test_a_tick_may_end_itself(clock: Clock) -> None:
    counter = Counter(1)

    def tick() -> None:
        counter.tick()
        clock.end(made[0])

    made = []
    made.append(clock.begin(0.05, lambda: None, no_fault))
    clock.end(made.pop())
    other = Counter(5)
    keeping = clock.begin(0.01, other.tick, no_fault)
    made.append(clock.begin(0.01, tick, no_fault))
    assert counter.full.wait(TIMEOUT)
    assert other.full.wait(TIMEOUT)
    clock.end(keeping)
    assert len(counter.times) == 1


def test_one_that_raises_is_told_and_the_others_go_on(clock: Clock) -> None:
    errors: list[Exception] = []
    other = Counter(5)

    def tick() -> None:
        raise ValueError("broken")

    broken = clock.begin(0.001, tick, errors.append)
    sound = clock.begin(0.001, other.tick, no_fault)
    assert other.full.wait(TIMEOUT)
    clock.end(broken)
    clock.end(sound)
    assert [str(error) for error in errors] == ["broken"]


def test_it_begins_again_after_its_thread_has_ended(clock: Clock) -> None:
    for _ in range(3):
        counter = Counter(2)
        ticking = clock.begin(0.001, counter.tick, no_fault)
        assert counter.full.wait(TIMEOUT)
        clock.end(ticking)
        assert not running()


def test_ticks_that_a_whole_beat_can_do_without_are_left_out(clock: Clock) -> None:
    rare, other = Rare(3), Rare(3)
    began = time.monotonic()
    first, second = (clock.begin(0.02, each.tick, no_fault) for each in (rare, other))
    assert rare.full.wait(TIMEOUT)
    assert other.full.wait(TIMEOUT)
    assert rare.times[2] - began >= 2 * 5 * 0.02
    clock.end(second)
    often, before = Counter(20), len(rare.times)
    third = clock.begin(0.02, often.tick, no_fault)
    assert often.full.wait(TIMEOUT), "it ticks soon, and not when the others want it"
    assert len(rare.times) - before >= 18, "whoever needs them all gets them, and so do the others"
    clock.end(third)
    clock.end(first)
