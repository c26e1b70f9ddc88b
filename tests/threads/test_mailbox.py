"""Notices from any thread to an event loop."""

import asyncio
import threading
from typing import Any

from retell_voice.threads.mailbox import Mailbox, mailbox_of


async def test_notices_of_many_threads_arrive_each_in_its_order() -> None:
    got: list[tuple[int, int]] = []
    box = mailbox_of(asyncio.get_running_loop())
    everything = asyncio.Event()

    def take(notice: tuple[int, int], waited: float) -> None:
        got.append(notice)
        assert waited < 5
        if len(got) == 4000:
            everything.set()

    def post(thread: int) -> None:
        for number in range(1000):
            box.post(take, (thread, number))

    threads = [threading.Thread(target=post, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(everything.wait(), 5)
    for index in range(4):
        assert [number for thread, number in got if thread == index] == list(range(1000))
    for thread in threads:
        thread.join()


async def test_what_comes_in_one_go_wakes_the_loop_once(monkeypatch) -> None:
    loop = asyncio.get_running_loop()
    wake_ups = []
    real = loop.call_soon_threadsafe

    def call_soon_threadsafe(callback, *args):
        wake_ups.append(callback)
        return real(callback, *args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", call_soon_threadsafe)
    got: list[int] = []

    def take(number: int, waited: float) -> None:
        got.append(number)

    box = Mailbox(loop)
    for number in range(100):
        box.post(take, number)
    await asyncio.sleep(0)
    assert got == list(range(100))
    assert len(wake_ups) == 1
    box.post(take, 100)
    await asyncio.sleep(0)
    assert got[-1] == 100


async def test_a_taker_that_raises_holds_nobody_up() -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    got: list[int] = []
    box = Mailbox(loop)
    broken: Any = lambda _, waited: int("x")  # noqa: E731
    box.post(broken, 1)
    box.post(lambda notice, waited: got.append(notice), 1)
    await asyncio.sleep(0)
    assert got == [1]
    assert isinstance(told[0]["exception"], ValueError)


def test_a_loop_has_one_mailbox_and_a_closed_one_takes_nothing() -> None:
    async def main() -> Mailbox:
        loop = asyncio.get_running_loop()
        box = mailbox_of(loop)
        assert mailbox_of(loop) is box
        return box

    box = asyncio.run(main())
    got: list[int] = []
    box.post(lambda notice, waited: got.append(notice), 1)
    assert got == []


async def test_it_says_how_long_a_notice_waited(monkeypatch) -> None:
    now = 10.0
    monkeypatch.setattr("retell_voice.threads.mailbox.monotonic", lambda: now)
    got: list[tuple[str, float]] = []
    box = Mailbox(asyncio.get_running_loop())
    for notice in ("early", "late"):
        box.post(lambda *taken: got.append(taken), notice)
        now += 2.5
    await asyncio.sleep(0)
    assert got == [("early", 5.0), ("late", 2.5)]
