"""How what an agent wants is carried out, without ever keeping it from listening.

::

    microphone audio ─▶ Part.receive ─▶ actions ─▶ queue ─▶ session
                                                    ▲
                          Clear takes what was not said yet out of it
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import Action, Announce, Clear, HangUp, Report, Say, Update
from retell_voice.emulator.session import CallOver, Session

_MAX_WAITING = 5000  # actions: some minutes of speech; a caller that does not read is gone before
_AT_ONCE = 10  # frames of microphone audio


class Part(Protocol):
    """A state machine that holds the agent's side of a call; its clock is the caller's audio."""

    def start(self) -> list[Action]:
        """Begin the call, before any microphone audio."""

    def receive(self, samples: Samples) -> list[Action]:
        """Take microphone audio, shape (n,), any n; return what to do about it."""

    def typed(self, text: str) -> list[Action]:
        """Take a user turn that was typed; it interrupts as speech does."""


class Performance:
    """Carries out what a part wants.

    Args:
        session: the call.
        audio_timeout: seconds without any microphone audio, silence included, after which the call
            is given up.
    """

    def __init__(self, session: Session, audio_timeout: float) -> None:
        self.session = session
        self._audio_timeout = audio_timeout
        self._heard = 0  # frames
        self._group: asyncio.TaskGroup
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[Action] = deque()
        self._news = asyncio.Event()

    async def run(self, part: Part) -> None:
        """Perform until the call is over."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.begin()
                self.start(self._read_typed(part))
                await self._listen(part)
                for task in self._tasks:
                    task.cancel()
        except* CallOver:
            pass

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

    async def _listen(self, part: Part) -> None:
        self.add(part.start())
        async for samples in self.session:
            self._heard += 1
            self.add(part.receive(samples))
            if self._heard % _AT_ONCE == 0:
                await asyncio.sleep(0)  # to other calls: audio may have piled up
            if len(self._waiting) > _MAX_WAITING:
                await self.session.close(1008, "the caller does not read", "error_unknown")

    async def _read_typed(self, part: Part) -> None:
        while True:
            self.add(part.typed(await self.session.next_typed()))

    async def _watch(self) -> None:
        heard = -1
        while heard != self._heard:
            heard = self._heard
            await asyncio.sleep(self._audio_timeout)
        reason = f"no microphone audio for {self._audio_timeout:g} s"
        await self.session.close(1000, reason, "error_no_audio_received")

    def add(self, actions: list[Action]) -> None:
        """Have actions done, those that send something to the caller in their order."""
        for action in actions:
            if self.do_at_once(action):
                continue
            if isinstance(action, Clear):
                kept = [each for each in self._waiting if not isinstance(each, Say)]
                self._waiting = deque(kept)
            self._waiting.append(action)
        if actions:
            self._news.set()

    async def _act(self) -> None:
        while True:
            while self._waiting:
                await self.do(self._waiting.popleft())
            self._news.clear()
            await self._news.wait()

    def do_at_once(self, action: Action) -> bool:  # noqa: ARG002 - for those that override it
        """Carry out an action that need not wait for the caller to read; False: it does wait."""
        return False

    async def do(self, action: Action) -> None:
        """Carry out one action."""
        session = self.session
        match action:
            case Say():
                await session.send_audio(action.samples, action.text)
                await asyncio.sleep(0)  # to other calls: this one may have a lot to say
            case Clear():
                await session.clear()
            case Update():
                await session.update(action.transcript, action.turn)
            case Announce():
                await session.metadata(action.metadata)
            case Report():
                session.tell(action.kind, **action.details)
            case HangUp():
                await session.close(action.code, action.reason, action.why)
