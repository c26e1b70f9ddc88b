"""Agents and how one is run: an agent is a coroutine that holds its side of one call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from retell_voice.emulator.parrot import (
    DEFAULT_PARROT,
    Action,
    Announce,
    Clear,
    HangUp,
    Parrot,
    ParrotSettings,
    Report,
    Say,
    Update,
)
from retell_voice.emulator.recordings import GREETING, load_speech
from retell_voice.emulator.session import CallOver, Session
from retell_voice.emulator.vad import DEFAULT_DETECTOR, DetectorSettings, EnergyDetector

_log = logging.getLogger(__name__)
_MAX_WAITING = 5000  # actions: some minutes of speech; a caller that does not read is gone before
_WRAP_UP = 1.0  # seconds that an agent may take to finish after its caller is gone

Agent: TypeAlias = Callable[[Session], Awaitable[None]]
"""Holds the agent's side of a call; returning hangs up."""


async def silent_agent(session: Session) -> None:
    """Listen and say nothing, until the caller hangs up."""
    async for _ in session:
        pass


async def converse(session: Session, agent: Agent) -> None:
    """Run ``agent`` until it or the caller has had enough; the connection is closed then."""
    listening = asyncio.create_task(session.run())
    speaking = asyncio.create_task(_speak(session, agent))
    try:
        await asyncio.wait({listening, speaking}, return_when=asyncio.FIRST_COMPLETED)
        if not speaking.done():
            await asyncio.wait({speaking}, timeout=_WRAP_UP)
    finally:
        for task in (speaking, listening):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _speak(session: Session, agent: Agent) -> None:
    try:
        await agent(session)
    except CallOver:
        return
    except Exception:
        _log.exception("the agent of call %s failed", session.call.name)
        await session.close(1011, "the agent failed", "error_unknown")
    else:
        await session.close()


def parrot_agent(
    settings: ParrotSettings = DEFAULT_PARROT,
    *,
    greeting: Path = GREETING,
    detector: DetectorSettings = DEFAULT_DETECTOR,
    patience: float = 60.0,
) -> Agent:
    """Return an agent that greets and says back what it hears.

    Args:
        settings: how it behaves.
        greeting: recording of what it says first, see ``recordings.load_speech``.
        detector: how it judges what is speech.
        patience: seconds without any microphone audio, silence included, after which it
            gives the call up.
    """

    async def agent(session: Session) -> None:
        rate = session.audio.rate
        own = session.call.end_call_after_silence_ms
        parrot = Parrot(
            load_speech(greeting, rate),
            settings if own is None else replace(settings, end_call_after_silence_ms=own),
            detector=EnergyDetector(rate, detector),
            chunk_ms=session.chunk_ms,
        )
        await _Performance(session, patience).run(parrot)

    return agent


class _Performance:
    """Carries out what a parrot wants, without ever keeping it from listening."""

    def __init__(self, session: Session, patience: float) -> None:
        self._session = session
        self._patience = patience
        self._heard = 0  # frames
        self._waiting: deque[Action] = deque()
        self._news = asyncio.Event()

    async def run(self, parrot: Parrot) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._act()), group.create_task(self._watch())]
                await self._listen(parrot)
                for helper in helpers:
                    helper.cancel()
        except* CallOver:
            pass

    async def _listen(self, parrot: Parrot) -> None:
        self._add(parrot.start())
        async for samples in self._session:
            self._heard += 1
            self._add(parrot.receive(samples))
            if len(self._waiting) > _MAX_WAITING:
                await self._session.close(1008, "the caller does not read", "error_unknown")

    async def _watch(self) -> None:
        heard = -1
        while heard != self._heard:
            heard = self._heard
            await asyncio.sleep(self._patience)
        reason = f"no microphone audio for {self._patience:g} s"
        await self._session.close(1000, reason, "error_no_audio_received")

    def _add(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Clear):
                kept = [each for each in self._waiting if not isinstance(each, Say)]
                self._waiting = deque(kept)
            self._waiting.append(action)
        if actions:
            self._news.set()

    async def _act(self) -> None:
        while True:
            while self._waiting:
                await self._do(self._waiting.popleft())
            self._news.clear()
            await self._news.wait()

    async def _do(self, action: Action) -> None:
        session = self._session
        match action:
            case Say():
                await session.send_audio(action.samples, action.text)
                await asyncio.sleep(0)  # to other calls: this one may have a lot to say
            case Clear():
                await session.clear()
            case Update():
                await session.update(action.transcript, action.turn)
            case Announce():
                await session.metadata(dict(action.metadata))
            case Report():
                session.tell(action.kind, **action.details)
            case HangUp():
                await session.close(action.code, action.reason, action.why)
