"""A conversation on a card: an agent that yields to whoever speaks, and a user who does.

The agent says one sentence after the other. Every second one is answered, every fourth is
interrupted. It goes by the emulator's voice detection alone, as a server does: what that takes for
somebody ends the agent's turn, also if it was the agent's own echo.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from support.open_speaker import Mouth
from support.recorder import RATE

from retell_voice.audio.format import Samples
from retell_voice.emulator import Session
from retell_voice.emulator.speech.vad import EnergyDetector

_INTO = 1.5
"""Seconds into a sentence at which it is interrupted."""
_INTERJECTIONS = (1, 2)
"""Of ``voices.USER``: the other pauses after its first word, too short a sound for a detector."""
_AFTER = 0.5
"""Seconds after somebody's last sound in which the detector may still notice it."""


@dataclass(eq=False)
class Turn:
    """What the user says: number of the sentence, when (monotonic), where in what is received."""

    number: int
    at: float
    ends: float
    position: int
    interrupts: bool
    cleared: float | None = None

    @property
    def late(self) -> float:
        """Seconds from its first sound to the clear; infinite: there was none."""
        return float("inf") if self.cleared is None else self.cleared - self.at


@dataclass
class Conversation:
    """An agent for an emulator, and the user at the other end.

    Attributes:
        agent, user: their sentences, at the session's rate and at the card's.
        mouth: the user's.
        seconds: how long it goes on.
        first: number of the agent's first sentence; those with a remainder of 3 by 4 are
            interrupted.
        turns: the user's, so far.
        own: when something was taken for the user that was not, seconds from the beginning.
    """

    agent: Sequence[Samples]
    user: Sequence[Samples]
    mouth: Mouth
    seconds: float
    first: int = 0
    turns: list[Turn] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    async def __call__(self, session: Session) -> None:
        self._session, self._rate = session, session.audio.rate
        self._began = time.monotonic()
        self._until = 0.0
        self._position = 0
        self._cleared = asyncio.Event()
        listening = asyncio.create_task(self._listen())
        try:
            await self._hold()
        finally:
            listening.cancel()

    @property
    def interruptions(self) -> list[Turn]:
        """The user's turns that are to cut the agent short."""
        return [turn for turn in self.turns if turn.interrupts]

    async def _hold(self) -> None:
        dice, number = random.Random(3), self.first
        await asyncio.sleep(1.0)
        while time.monotonic() - self._began < self.seconds:
            said = self.agent[number % len(self.agent)]
            self._cleared.clear()
            self._until = time.monotonic() + len(said) / self._rate + 0.1
            await self._session.send_audio(said)
            if number % 4 == 3:
                await asyncio.sleep(_INTO)
                await self._speak(interrupts=True)
            else:
                await self._end_of_turn()
                if number % 2:
                    await asyncio.sleep(0.4)
                    await self._speak(interrupts=False)
            await asyncio.sleep(dice.uniform(0.8, 1.4))
            number += 1

    async def _end_of_turn(self) -> None:
        left = self._until - time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._cleared.wait(), max(0.0, left))

    async def _speak(self, *, interrupts: bool) -> None:
        number = len(self.turns) % len(self.user)
        if interrupts:
            number = _INTERJECTIONS[len(self.interruptions) % len(_INTERJECTIONS)]
        said = self.user[number]
        began = self.mouth.say(said)
        loud = np.flatnonzero(np.abs(said.astype(int)) > 300)
        first, last = (each / RATE for each in (loud[0], loud[-1]))
        turn = Turn(number, began + first, began + last, self._position, interrupts)
        self.turns.append(turn)
        await asyncio.sleep(len(said) / RATE)

    async def _listen(self) -> None:
        detector = EnergyDetector(self._rate)
        async for heard in self._session:
            self._position += len(heard)
            for boundary in detector.process(heard):
                if boundary.speaking:
                    await self._noticed(time.monotonic())

    async def _noticed(self, now: float) -> None:
        turn = self.turns[-1] if self.turns else None
        if turn is None or not turn.at < now < turn.ends + _AFTER:
            self.own.append(now - self._began)
        elif turn.cleared is None:
            turn.cleared = now
        if now < self._until:
            self._until = 0
            self._cleared.set()
            await self._session.clear()
