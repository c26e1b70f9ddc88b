"""Calls over real sockets with an agent that a test plays, and devices that need no sound card."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator, RegisteredCall, Session
from retell_voice.engine.call import Call
from retell_voice.events import Event

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
