"""Blocks reach their work in order, whole, with their times, on the thread that was chosen."""

import threading
from time import monotonic

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.threads.relay import Block, Relay

RATE = 8000
TIMEOUT = 5.0


class Work:
    """Collects blocks, and the threads on which they came."""

    def __init__(self, wanted: int) -> None:
        self.blocks: list[Block] = []
        self.threads: set[str] = set()
        self.enough, self.over = threading.Event(), threading.Event()
        self.wanted = wanted

    def __call__(self, block: Block) -> None:
        self.blocks.append(block._replace(samples=block.samples.copy()))
        self.threads.add(threading.current_thread().name)
        if block.position >= self.wanted:
            self.enough.set()

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate([block.samples for block in self.blocks])


def numbers(count: int, first: int = 0) -> np.ndarray:
    return np.arange(first, first + count).astype(np.int16)


@pytest.mark.parametrize("inline", [False, True])
def test_everything_arrives_in_order_on_the_thread_that_was_chosen(inline: bool) -> None:
    work = Work(800)
    relay = Relay("relay under test", RATE, work)
    relay.inline = inline
    relay.start()
    for part in np.split(numbers(800), 10):
        relay.write_rt(part)
    assert work.enough.wait(TIMEOUT)
    relay.stop()
    assert np.array_equal(work.samples, numbers(800))
    here = threading.current_thread().name
    assert work.threads == {here if inline else "relay under test"}
    assert relay.position == relay.done == 800


def test_what_is_not_enough_yet_is_handed_over_when_that_is_asked_for() -> None:
    work, asked = Work(1010), threading.Semaphore(0)

    def needed() -> int:
        asked.release()
        return 1000

    relay = Relay("relay under test", RATE, work, needed=needed, look=10 * TIMEOUT)
    relay.start()
    relay.write_rt(numbers(1000))
    while relay.done < 1000:
        assert asked.acquire(timeout=TIMEOUT)
    relay.write_rt(numbers(10, 1000))
    relay.hurry()
    assert work.enough.wait(TIMEOUT)
    relay.stop()
    assert np.array_equal(work.samples, numbers(1010))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=40))
def test_no_block_overtakes_another_while_the_thread_changes(steps) -> None:
    total = sum(size for size, _ in steps)
    work = Work(total)
    relay = Relay("relay under test", RATE, work)
    written = 0
    for size, inline in steps:
        relay.inline = inline
        relay.start()
        relay.write_rt(numbers(size, written))
        written += size
    relay.inline = False
    relay.start()
    assert not total or work.enough.wait(TIMEOUT)
    relay.stop()
    assert relay.fault is None
    if steps:
        assert np.array_equal(work.samples, numbers(total))
        assert all(
            block.position == end
            for block, end in zip(
                work.blocks, np.cumsum([len(each.samples) for each in work.blocks]), strict=True
            )
        )


@pytest.mark.parametrize("inline", [False, True])
def test_a_block_says_when_it_was_spoken(inline: bool) -> None:
    work = Work(240)
    relay = Relay("relay under test", RATE, work)
    relay.inline = inline
    before = monotonic()
    relay.write_rt(numbers(80), delay=0.5)
    relay.write_rt(numbers(80), delay=0.49)
    relay.write_rt(numbers(80))  # unknown: it has just ended
    after = monotonic()
    relay.start()
    assert work.enough.wait(TIMEOUT)
    relay.stop()
    first, last = work.blocks[0], work.blocks[-1]
    if inline:
        assert before - 0.5 <= first.spoken_at <= after - 0.5
        assert before - 0.01 <= last.spoken_at <= after - 0.01
    else:  # all in one, dated by the newest
        assert len(work.blocks) == 1
        assert before - 0.03 <= first.spoken_at <= after - 0.03


def test_what_nobody_takes_within_a_second_is_lost_oldest_first_and_counted() -> None:
    work = Work(12000)
    relay = Relay("relay under test", RATE, work)
    for part in np.split(numbers(12000), 100):
        relay.write_rt(part)
    relay.start()  # a thread that only now gets to run
    assert work.enough.wait(TIMEOUT)
    relay.stop()
    assert np.array_equal(work.samples, numbers(8000, 4000))
    assert [block.lost for block in work.blocks] == [4000]


@pytest.mark.parametrize("inline", [False, True])
def test_gaps_of_the_device_are_passed_on(inline: bool) -> None:
    work = Work(30)
    relay = Relay("relay under test", RATE, work)
    relay.inline = inline
    relay.write_rt(numbers(10), xrun=True)
    relay.write_rt(numbers(20))
    relay.start()
    assert work.enough.wait(TIMEOUT)
    relay.stop()
    assert sum(block.xrun for block in work.blocks) == 1
    assert work.blocks[0].xrun


@pytest.mark.parametrize("inline", [False, True])
def test_the_end_comes_after_the_last_audio(inline: bool) -> None:
    said: list[int] = []
    over = threading.Event()
    relay: Relay

    def finished() -> None:
        said.append(relay.done)
        over.set()

    relay = Relay("relay under test", RATE, lambda _: None, finished=finished)
    relay.inline = inline
    relay.write_rt(numbers(160))
    relay.finish()
    relay.start()
    assert over.wait(TIMEOUT)
    relay.stop()
    assert said == [160]


@pytest.mark.parametrize("inline", [False, True])
def test_a_fault_in_the_work_is_kept_and_not_raised(inline: bool) -> None:
    failed = threading.Event()

    def work(block: Block) -> None:
        failed.set()
        raise ValueError("a defect")

    relay = Relay("relay under test", RATE, work)
    relay.inline = inline
    relay.write_rt(numbers(10))
    relay.start()
    assert failed.wait(TIMEOUT)
    relay.stop()
    assert isinstance(relay.fault, ValueError)


def test_what_is_no_block_is_a_fault() -> None:
    relay = Relay("relay under test", RATE, lambda _: None)
    relay.write_rt(None)  # type: ignore[arg-type]
    assert isinstance(relay.fault, TypeError)


def test_the_thread_wakes_only_when_enough_is_there() -> None:
    sizes: list[int] = []
    enough = threading.Event()

    def work(block: Block) -> None:
        sizes.append(len(block.samples))
        if block.position == 880:
            enough.set()

    relay = Relay("relay under test", RATE, work, needed=lambda: 400, look=TIMEOUT)
    relay.start()
    for part in np.split(numbers(880), 11):
        relay.write_rt(part)
    assert enough.wait(TIMEOUT)
    relay.stop()
    assert sum(sizes) == 880
    assert all(size >= 400 for size in sizes[1:])


def test_no_thread_is_left() -> None:
    relay = Relay("relay under test", RATE, lambda _: None)
    relay.start()
    relay.stop()
    assert "relay under test" not in {thread.name for thread in threading.enumerate()}


def test_each_block_that_was_written_keeps_its_time() -> None:
    work, asked = Work(400), threading.Event()

    def needed() -> int:
        asked.set()
        return 300

    relay = Relay("relay under test", RATE, work, needed=needed)
    relay.write_rt(numbers(100), delay=0.5)
    relay.start()
    assert asked.wait(TIMEOUT)
    now = monotonic()
    for number, delay in enumerate((0.5, 0.4, 0.1)):
        relay.write_rt(numbers(100), delay=delay + number)
    assert work.enough.wait(TIMEOUT)
    relay.stop()
    first, last = work.blocks
    assert [begin for begin, _ in first.times] == [0]
    assert first.times[0][1] == first.spoken_at
    assert [begin for begin, _ in last.times] == [0, 100, 200]
    spoken_at = [at - now for _, at in last.times]
    assert spoken_at == pytest.approx([-0.5, -1.4, -2.1], abs=0.2)
    assert last.spoken_at == pytest.approx(last.times[-1][1] - 200 / RATE)


def test_the_times_of_what_was_lost_are_lost_with_it() -> None:
    held, go_on = threading.Event(), threading.Event()
    work = Work(4100)

    def held_up(block: Block) -> None:
        held.set()
        assert go_on.wait(TIMEOUT)
        work(block)

    relay = Relay("relay under test", RATE, held_up, seconds=0.3)
    relay.start()
    relay.write_rt(numbers(100))
    assert held.wait(TIMEOUT)
    for number in range(4):
        relay.write_rt(numbers(1000), delay=10 - number)
    go_on.set()
    assert work.enough.wait(TIMEOUT)
    relay.stop()
    last = work.blocks[-1]
    assert (len(last.samples), last.lost) == (2400, 1600)
    assert [begin for begin, _ in last.times] == [0, 400, 1400]
    (_, first), (_, second), _ = last.times
    # The first is a later part of a block than its beginning.
    assert second - first == pytest.approx(1 - 600 / RATE, abs=0.2)
