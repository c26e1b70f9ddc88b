"""Calls over real sockets with an agent that a test plays, and devices that need no sound card."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.ports import Source
from retell_voice.emulator import Emulator, RegisteredCall, Session
from retell_voice.engine.call import Call
from retell_voice.engine.journal import Journal
from retell_voice.errors import DeviceError
from retell_voice.events import Ended, Event

AUDIO = AudioFormat(rate=8000)
LONG = 30.0
"""Seconds after which whatever is waited for has failed."""

Agent = Callable[[Session], Awaitable[None]]
Kind = TypeVar("Kind", bound=Event)


class EmulatedCall(Call):
    """A call whose other side a test may look at.

    Attributes:
        registered: the emulator's side of it.
    """

    registered: RegisteredCall


@asynccontextmanager
async def calling(agent: Agent, **options: Any) -> AsyncIterator[EmulatedCall]:
    """Hold a call with an agent; ``options`` are those of ``Call``."""
    audio = options.setdefault("audio", AUDIO)
    options.setdefault("microphone", NullMicrophone(audio.rate))
    options.setdefault("speaker", NullSpeaker(audio.rate))
    async with Emulator(agent=agent, record=True) as emulator, asyncio.timeout(LONG):
        registered = emulator.register(audio)
        call = EmulatedCall(registered.call_id, url=emulator.url, **options)
        call.registered = registered
        async with call:
            yield call


async def until(call: Call, kind: type[Kind], count: int = 1) -> Kind:
    """Read on to an event of this kind, to the ``count``-th of them, and return it."""
    async for event in call:
        if isinstance(event, kind):
            count -= 1
            if not count:
                return event
    raise AssertionError(f"the call ended without {kind.__name__}")


async def listen(session: Session) -> None:
    """An agent that says nothing."""
    async for _ in session:
        pass


async def talk(session: Session) -> None:
    """An agent that talks for a minute."""
    await session.send_audio(tone(60))
    await listen(session)


@asynccontextmanager
async def silent_server(**options: Any) -> AsyncIterator[tuple[str, asyncio.Queue[str]]]:
    """A server that says nothing of its own; yields its URL and a queue of the texts it gets."""
    texts: asyncio.Queue[str] = asyncio.Queue()

    async def handler(websocket: ServerConnection) -> None:
        async for message in websocket:
            if isinstance(message, str):
                texts.put_nowait(message)

    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", texts


class Flaky(NullSpeaker):
    """A speaker that is lost, or fails to open.

    Args:
        how: "busy": it does not open; "silent": it never asks for audio; else all is well.

    Attributes:
        source: what it was started with.
        stops: how often it was closed.
    """

    def __init__(self, how: str) -> None:
        super().__init__(AUDIO.rate)
        self.how = how
        self.stops = 0

    def start(self, source: Source) -> None:
        if self.how == "busy":
            raise DeviceError("speaker: it is busy")
        if self.how == "silent":
            return  # never pulls
        super().start(source)
        self.source = source

    def stop(self) -> None:
        self.stops += 1
        super().stop()


class Timekeeper(NullSpeaker):
    """A speaker whose blocks are the clock of calls: one that comes late takes no longer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(AUDIO.rate)
        self._played = 0
        monkeypatch.setattr(Journal, "now", lambda _: self._played / self.rate)

    def start(self, source: Source) -> None:
        block = np.zeros(self.block, np.int16)

        def tick_rt(size: int) -> None:
            source.fill_rt(block)
            self._played += size

        self.run(tick_rt, source.lost)


def heard_whole(heard: NDArray[np.int16], level: int, count: int) -> bool:
    """Whether so many samples of a level were heard, once.

    Where the machine is late with the news that nothing more comes, what conceals a gap follows,
    and begins with one more of them.
    """
    return np.count_nonzero(heard == level) in (count, count + 1)


def tone(seconds: float, level: int = 8000) -> NDArray[np.int16]:
    """Samples that all have this level."""
    return np.full(round(seconds * AUDIO.rate), level, np.int16)


async def collect(call: Call) -> list[Event]:
    """Wait for a call's end; all its events."""
    return [event async for event in call]


def ended(events: list[Event]) -> Ended:
    """The last of a call's events, which tells how it ended; checks that only one does."""
    assert isinstance(events[-1], Ended)
    assert sum(isinstance(event, Ended) for event in events) == 1
    return events[-1]


def opened_io(call: Call) -> AudioIO:
    """The devices of a call that is open."""
    return call._devices.io


def assert_nothing_runs() -> None:
    """Check that no call has left a thread behind."""
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"retell-voice clock", "retell-voice capture"}
