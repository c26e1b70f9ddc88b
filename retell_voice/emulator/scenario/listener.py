"""What a scenario can wait for: what was heard of the caller."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from retell_voice.emulator.happenings import UserSpoke
from retell_voice.emulator.session import CallOver, Session
from retell_voice.emulator.vad import DetectorSettings, EnergyDetector

_MOST_TEXTS = 1000


class Listener:
    """What was heard of the caller so far."""

    def __init__(self, session: Session, detector: DetectorSettings) -> None:
        self._session = session
        self._detector = EnergyDetector(session.audio.rate, detector)
        self._news = asyncio.Event()
        self.frames = 0
        self.samples = 0
        self.speaking = False
        self.utterances = 0  # that are over
        self.texts: deque[str] = deque(maxlen=_MOST_TEXTS)

    async def listen(self) -> None:
        """Take in what comes; raises ``CallOver`` when the caller is gone."""
        began = 0
        while (message := await self._session.receive()) is not None:
            if isinstance(message, str):
                self.texts.append(message)
            else:
                self.frames += 1
                self.samples += len(message)
                for boundary in self._detector.process(message):
                    self.speaking = boundary.speaking
                    if boundary.speaking:
                        began = boundary.at
                    else:
                        self.utterances += 1
                        seconds = (boundary.at - began) / self._session.audio.rate
                        self._session.tell(UserSpoke, duration=seconds)
            self._news.set()
        raise CallOver

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        while not condition():
            self._news.clear()
            await self._news.wait()
