"""Calls to whose users, servers and connections anything may happen at any moment.

A call's own tasks are nobody else's: whoever is cancelled, nothing of the call may be, and nobody
who was not. When all is over there is as much of everything (tasks, threads, open files) as before.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from websockets.exceptions import ConnectionClosed

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator, Session
from retell_voice.engine.call import Call
from retell_voice.errors import RetellVoiceError
from retell_voice.events import CallState, Ended

AUDIO = AudioFormat(rate=8000)
LONGEST = 10.0
"""Seconds that a call may take to be over once it was left."""
_SPEED = 20.0
_MOMENT = 0.15
_SETTLE = 3.0

Fate = Callable[[Call, random.Random], Awaitable[None]]


@dataclass
class Report:
    """What became of the calls.

    Attributes:
        calls: how many were held.
        fates: how many met with each fate.
        faults: what must not happen, a line each.
        longest: seconds that a call took to be over once it was left, at the most.
        memory: resident bytes: after a quarter of the calls, and at the end.
    """

    calls: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest: float = 0.0
    memory: tuple[int, int] = (0, 0)


class _Mine(Exception):
    """Raised by the program of a call's user."""


async def _read_on(call: Call) -> None:
    async for event in call:
        if isinstance(event, Ended):
            assert call.state is CallState.ENDED


async def _until_the_end(call: Call, dice: random.Random) -> None:
    asyncio.get_running_loop().call_later(dice.random() * _MOMENT, _hang_up_later, call)
    await _read_on(call)


async def _cancelled(call: Call, dice: random.Random) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(dice.random() * _MOMENT, task.cancel)
    await _read_on(call)
    await asyncio.sleep(_MOMENT)


async def _timed_out(call: Call, dice: random.Random) -> None:
    async with asyncio.timeout(dice.random() * _MOMENT):
        await _read_on(call)


async def _reader_cancelled_at_the_end(call: Call, dice: random.Random) -> None:
    """At the very end whoever reads waits for the call's own task."""
    reader = asyncio.create_task(_read_on(call))
    await asyncio.sleep(dice.random() * _MOMENT)
    hanging_up = asyncio.create_task(call.hang_up())
    await asyncio.sleep(dice.random() * 0.02)
    reader.cancel()
    await asyncio.wait((reader,))
    await hanging_up


async def _hang_up_cancelled(call: Call, dice: random.Random) -> None:
    hanging_up = asyncio.create_task(call.hang_up())
    await asyncio.sleep(dice.random() * 0.005)
    hanging_up.cancel()
    await asyncio.wait((hanging_up,))
    await _read_on(call)


async def _several_hang_up(call: Call, dice: random.Random) -> None:
    await asyncio.sleep(dice.random() * _MOMENT)
    await asyncio.gather(*(call.hang_up() for _ in range(3)))
    await _read_on(call)


async def _left(call: Call, dice: random.Random) -> None:
    async for _ in call:
        if dice.random() < 0.2:
            return


async def _raises(call: Call, dice: random.Random) -> None:
    await _left(call, dice)
    raise _Mine


async def _devices_changed(call: Call, dice: random.Random) -> None:
    using = asyncio.create_task(call.use(microphone=_microphone(), speaker=_speaker()))
    await asyncio.sleep(dice.random() * 0.1)
    if dice.random() < 0.5:
        using.cancel()
    await asyncio.wait((using,))
    if not using.cancelled():
        using.exception()


FATES: tuple[Fate, ...] = (
    _until_the_end,
    _cancelled,
    _timed_out,
    _reader_cancelled_at_the_end,
    _hang_up_cancelled,
    _several_hang_up,
    _left,
    _raises,
    _devices_changed,
)


def _hang_up_later(call: Call) -> None:
    if call.state in (CallState.LIVE, CallState.DRAINING):
        _kept.append(asyncio.create_task(call.hang_up()))


_kept: list[asyncio.Task[None]] = []


def _microphone() -> NullMicrophone:
    return NullMicrophone(AUDIO.rate, speed=_SPEED)


def _speaker() -> NullSpeaker:
    return NullSpeaker(AUDIO.rate, speed=_SPEED)


def _agent(dice: random.Random) -> Callable[[Session], Awaitable[None]]:
    async def agent(session: Session) -> None:
        for _ in range(dice.randrange(4)):
            await session.send_audio(np.full(800, 1000, np.int16), "word")
            await asyncio.sleep(dice.random() * 0.05)
            if dice.random() < 0.5:
                await session.clear()
        match dice.randrange(5):
            case 0:
                await session.close(1000, "bye")
            case 1:
                await session.close(1011, "oops")
            case 2:
                session.websocket.transport.abort()
            case 3:
                with suppress(ConnectionClosed):  # half a sample, and then nothing more
                    await session.websocket.send(b"\0")
                await session.wait_closed()
            case _:
                async for _ in session:
                    pass

    return agent


async def storm(calls: int, seed: int, *, at_once: int = 8) -> Report:
    """Hold so many calls, each with a fate of its own, and report what became of them.

    Args:
        calls: how many.
        seed: the same gives the same fates, though not the same moments.
        at_once: how many are up at a time.
    """
    report = Report()
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler() if hasattr(loop, "get_exception_handler") else None
    loop.set_exception_handler(lambda _, context: report.faults.append(f"{context}"))
    dice = random.Random(seed)
    turn = asyncio.Semaphore(at_once)
    try:
        agent = _agent(random.Random(seed + 1))
        # Those that nobody joins count as open until they expire.
        async with Emulator(agent=agent, max_kept=500, expiry=10.0) as emulator:
            await _hold(emulator, dice, report)  # what is made once is made by now
            await _settle()
            tasks, threads, files = _counts()
            memory = 0

            async def held() -> None:
                async with turn:
                    await _hold(emulator, dice, report)

            for quarter in range(4):
                count = calls // 4 + (quarter < calls % 4)
                await asyncio.gather(*(held() for _ in range(count)))
                _kept.clear()
                if quarter == 0:
                    memory = _resident()
            await _settle()
            report.memory = memory, _resident()
            for name, was, now in zip(
                ("tasks", "threads", "files"), (tasks, threads, files), _counts(), strict=True
            ):
                if now > was:
                    report.faults.append(f"{name}: {was} before, {now} after")
    finally:
        loop.set_exception_handler(before)
    return report


async def _hold(emulator: Emulator, dice: random.Random, report: Report) -> None:
    fate = dice.choice(FATES)
    own = random.Random(dice.random())
    early = own.random() * 0.05 if own.random() < 0.1 else None
    left = 0.0

    async def user() -> None:
        nonlocal left
        call = Call(
            emulator.register(AUDIO).call_id,
            url=emulator.url,
            audio=AUDIO,
            microphone=_microphone(),
            speaker=_speaker(),
            connect_attempts=1,
        )
        async with call:
            try:
                await fate(call, own)
            finally:
                left = time.monotonic()

    task = asyncio.create_task(user())
    if early is not None:
        asyncio.get_running_loop().call_later(early, task.cancel)
    report.calls += 1
    report.fates[fate.__name__.strip("_")] += 1
    await asyncio.wait((task,))
    if left:
        took = time.monotonic() - left
        report.longest = max(report.longest, took)
        if took > LONGEST:
            report.faults.append(f"{fate.__name__}: it took {took:.1f} s to be over")
    if task.cancelled():
        if fate is not _cancelled and early is None:
            report.faults.append(f"{fate.__name__}: CancelledError in a task that nobody cancelled")
    elif (error := task.exception()) is not None and not isinstance(
        error, _Mine | TimeoutError | RetellVoiceError
    ):
        report.faults.append(f"{fate.__name__}: {error!r}")


async def _settle() -> None:
    """Wait for what ends by itself a moment later: closing handshakes, threads that were told."""
    deadline = time.monotonic() + _SETTLE
    calm = 0
    last = _counts()
    while calm < 5 and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        now = _counts()
        calm = calm + 1 if now == last else 0
        last = now


def _counts() -> tuple[int, int, int]:
    files = Path("/proc/self/fd")
    return (
        len(asyncio.all_tasks()),
        # Those in which asyncio looks up names are as many as were ever needed at once.
        sum(not each.name.startswith("asyncio_") for each in threading.enumerate()),
        len(os.listdir(files)) if files.exists() else 0,
    )


def _resident() -> int:
    """Bytes in use: what the allocator keeps for later, in an arena a thread, says nothing."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
