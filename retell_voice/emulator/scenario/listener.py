"""What was heard of the caller, for a scenario to wait for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from retell_voice.emulator.scenario.steps import ANY_DIGIT
from retell_voice.emulator.server_events import UserSpoke
from retell_voice.emulator.session import CallOver, Session
from retell_voice.emulator.speech.vad import DetectorSettings, EnergyDetector

_MOST = 1000  # texts and speech boundaries kept for later waits


class OtherDigits(Exception):
    """The caller pressed other digits than those waited for; ``str`` is which."""


class Listener:
    """What was heard of the caller so far."""

    def __init__(self, session: Session, detector: DetectorSettings) -> None:
        self._session = session
        self._detector = EnergyDetector(session.audio.rate, detector)
        self._news = asyncio.Event()
        self.frames = 0
        self.samples = 0
        self._boundaries: deque[bool] = deque(maxlen=_MOST)  # where the user began, or stopped
        self._texts: deque[str] = deque(maxlen=_MOST)

    async def listen(self) -> None:
        """Process what the caller sends; raises ``CallOver`` when the caller is gone."""
        began = 0
        while (message := await self._session.receive()) is not None:
            if isinstance(message, str):
                self._texts.append(message)
            else:
                self.frames += 1
                self.samples += len(message)
                for boundary in self._detector.process(message):
                    self._boundaries.append(boundary.speaking)
                    if boundary.speaking:
                        began = boundary.at
                    else:
                        seconds = (boundary.at - began) / self._session.audio.rate
                        self._session.tell(UserSpoke, duration=seconds)
            self._news.set()
        raise CallOver

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def until_speech(self, begins: bool) -> None:
        """Wait until the user begins to speak, or stops; earlier ones count, once."""

        def found() -> bool:
            while self._boundaries:
                if self._boundaries.popleft() is begins:
                    return True
            return False

        await self.until(found)

    async def until_digits(self, wanted: str) -> None:
        """Wait for as many DTMF digits; earlier ones count, once.

        Raises:
            OtherDigits: they are not those that were wanted.
        """
        pressed = ""
        while len(pressed) < len(wanted):
            pressed += await self._session.next_digit()
        pairs = zip(wanted, pressed, strict=True)
        if not all(want in (ANY_DIGIT, digit) for want, digit in pairs):
            raise OtherDigits(pressed)

    async def until_text(self, text: str) -> None:
        """Wait for a text; an earlier one counts, once."""
        await self.until(lambda: text in self._texts)
        self._texts.remove(text)
