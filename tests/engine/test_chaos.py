"""Cancelling whoever holds or reads a call cancels nothing of the call's own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from support.calls import calling, listen, until

from retell_voice import Call, Ended
from retell_voice.emulator import Session
from retell_voice.events import CallState

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from chaos_parts.storm import FATES, storm


async def test_calls_whatever_happens_at_any_moment() -> None:
    """``scripts/chaos`` holds thousands of these."""
    report = await storm(27, 7, at_once=9)
    assert report.faults == []
    assert report.calls == 28
    assert len(report.fates) > len(FATES) // 2
    assert report.longest < 5


class Slow:
    """An observer that takes a while at the end."""

    def __init__(self) -> None:
        self.ending, self.go, self.over = asyncio.Event(), False, False
        self._loop = asyncio.get_running_loop()

    def begin(self, call: object) -> None:
        pass

    def event(self, event: object) -> None:
        pass

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self.ending.set)
        while not self.go:
            pass
        self.over = True


async def hangs_up(session: Session) -> None:
    await session.receive()


async def test_whoever_reads_is_cancelled_while_the_call_ends() -> None:
    recorder = Slow()
    async with calling(hangs_up, recorder=recorder) as call:
        reader = asyncio.create_task(until_the_end(call))
        await recorder.ending.wait()
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        recorder.go = True
        assert [event async for event in call] == []
    assert recorder.over
    assert call.state is CallState.ENDED


async def until_the_end(call: Call) -> None:
    async for _ in call:
        pass


async def test_a_timeout_around_the_loop_ends_in_a_timeout() -> None:
    recorder = Slow()
    with pytest.raises(TimeoutError):
        async with calling(hangs_up, recorder=recorder) as call:
            asyncio.get_running_loop().call_later(0.3, setattr, recorder, "go", True)
            async with asyncio.timeout(0.2):
                await until_the_end(call)
    assert recorder.over


async def test_whoever_leaves_is_cancelled_and_has_it_over_all_the_same() -> None:
    recorder = Slow()

    async def holds() -> None:
        async with calling(listen, recorder=recorder) as call:
            calls.append(call)

    calls: list[Call] = []
    holding = asyncio.create_task(holds())
    await recorder.ending.wait()
    holding.cancel()
    await asyncio.sleep(0.01)
    recorder.go = True
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert recorder.over
    assert calls[0].state is CallState.ENDED


async def test_hanging_up_that_is_cancelled_hangs_up() -> None:
    async with calling(listen) as call:
        hanging_up = asyncio.create_task(call.hang_up())
        await asyncio.sleep(0)
        hanging_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging_up
        ended = await until(call, Ended)
    assert (ended.by, ended.error) == ("you", None)
