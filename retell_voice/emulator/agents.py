"""Agents, and how one is run: an agent is a coroutine that holds its side of one call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from retell_voice.emulator.parrot import DEFAULT_PARROT, Parrot, ParrotSettings
from retell_voice.emulator.recordings import GREETING, load_speech
from retell_voice.emulator.runner import AgentRunner
from retell_voice.emulator.session import CallOver, Session
from retell_voice.emulator.speech.vad import DEFAULT_DETECTOR, DetectorSettings, EnergyDetector
from retell_voice.errors import RetellVoiceError
from retell_voice.shown import logger

_log = logger(__name__)
_WRAP_UP = 1.0  # seconds that an agent may take to finish after its caller is gone

Agent: TypeAlias = Callable[[Session], Awaitable[None]]
"""Holds the agent's side of a call; returning hangs up."""


async def silent_agent(session: Session) -> None:
    """Listen and say nothing, until the caller hangs up."""
    async for _ in session:
        pass


async def converse(session: Session, agent: Agent) -> None:
    """Run ``agent`` until it returns or the caller is gone; then close the connection."""
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
        await session.begin()
        await agent(session)
    except CallOver:
        return
    except (RetellVoiceError, MemoryError) as error:  # no defect of the agent's
        why = str(error) or "out of memory"
        _log.error("the agent of call %s failed: %s", session.call.name, why)
        await session.close(1011, "the agent failed", "error_unknown")
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
    audio_timeout: float = 60.0,
) -> Agent:
    """Return an agent that greets and repeats what it hears.

    Args:
        settings: how it behaves.
        greeting: recording of the greeting, see ``recordings.load_speech``.
        detector: settings of the voice detector.
        audio_timeout: seconds without any microphone audio, silence included, after which it
            gives up the call.
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
        await AgentRunner(session, audio_timeout).run(parrot)

    return agent
