"""Runs an agent's state machine in a call; carrying out its actions never holds up listening.

::

    microphone audio ─▶ AgentMachine.receive ─▶ actions ─▶ queue ─▶ session
                                                             ▲
                          Clear removes the audio that is still queued
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import (
    Action,
    Clear,
    HangUp,
    Report,
    Say,
    SendMetadata,
    Update,
)
from retell_voice.emulator.session import CallOver, Session

_MAX_QUEUED = 5000  # actions: minutes of speech; a caller that does not read loses the call first
_YIELD_EVERY = 10  # frames of microphone audio


class AgentMachine(Protocol):
    """A state machine that is the agent of a call; its clock is the caller's audio."""

    def start(self) -> list[Action]:
        """Begin the call, before any microphone audio."""

    def receive(self, samples: Samples) -> list[Action]:
        """Take microphone audio, shape (n,), any n; return what to do about it."""

    def typed(self, text: str) -> list[Action]:
        """Take a user turn that was typed; it interrupts as speech does."""

    def nudged(self) -> list[Action]:
        """Respond now, as the call's owner wants; what cannot does nothing."""

    def finish(self) -> list[Action]:
        """Return what to report once the call is over, ``Report`` only."""


class AgentRunner:
    """Carries out what a state machine wants.

    Args:
        session: the call.
        audio_timeout: seconds without any microphone audio, silence included, after which the call
            is given up.
    """

    def __init__(self, session: Session, audio_timeout: float) -> None:
        self.session = session
        self._audio_timeout = audio_timeout
        self._frames = 0
        self._group: asyncio.TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[Action] = deque()
        self._news = asyncio.Event()

    async def run(self, machine: AgentMachine) -> None:
        """Run until the call is over."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.begin()
                self.start(self._read_typed(machine))
                self.start(self._read_nudges(machine))
                await self._listen(machine)
                for task in self._tasks:
                    task.cancel()
        except* CallOver:
            pass
        finally:
            for action in machine.finish():
                if isinstance(action, Report):
                    self.session.tell(action.kind, **action.details)

    def begin(self) -> None:
        """Start what runs alongside the listening."""
        self.start(self._act())
        self.start(self._watch())

    def start(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something alongside; it ends with the call at the latest."""
        task = self._group.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _listen(self, machine: AgentMachine) -> None:
        self.add(machine.start())
        async for samples in self.session:
            self._frames += 1
            self.add(machine.receive(samples))
            if self._frames % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # let other calls run: audio may have piled up
            if len(self._queue) > _MAX_QUEUED:
                await self.session.close(1008, "the caller does not read", "error_unknown")

    async def _read_typed(self, machine: AgentMachine) -> None:
        while True:
            self.add(machine.typed(await self.session.next_typed()))

    async def _read_nudges(self, machine: AgentMachine) -> None:
        while True:
            await self.session.nudged.wait()
            self.session.nudged.clear()
            self.add(machine.nudged())

    async def _watch(self) -> None:
        frames = -1
        while frames != self._frames:
            frames = self._frames
            await asyncio.sleep(self._audio_timeout)
        reason = f"no microphone audio for {self._audio_timeout:g} s"
        await self.session.close(1000, reason, "error_no_audio_received")

    def add(self, actions: list[Action]) -> None:
        """Have actions carried out, in order as far as they send something to the caller."""
        for action in actions:
            if self.do_at_once(action):
                continue
            if isinstance(action, Clear):
                kept = [each for each in self._queue if not isinstance(each, Say)]
                self._queue = deque(kept)
            self._queue.append(action)
        if actions:
            self._news.set()

    async def _act(self) -> None:
        while True:
            while self._queue:
                await self.do(self._queue.popleft())
            self._news.clear()
            await self._news.wait()

    def do_at_once(self, action: Action) -> bool:  # noqa: ARG002 - for overriding
        """Carry out an action that does not depend on the caller reading; False: it does."""
        return False

    async def do(self, action: Action) -> None:
        """Carry out one action."""
        session = self.session
        match action:
            case Say():
                await session.send_audio(action.samples, action.text)
                await asyncio.sleep(0)  # let other calls run: this one may have a lot to say
            case Clear():
                await session.clear()
            case Update():
                await session.update(action.transcript, action.turn)
            case SendMetadata():
                await session.metadata(action.metadata)
            case Report():
                session.tell(action.kind, **action.details)
            case HangUp():
                await session.close(action.code, action.reason, action.why)
