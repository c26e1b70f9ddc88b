"""Tones instead of voices, which are easy to recognise wherever they arrive."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from retell_voice.emulator import Session

AGENT, YOU = 437, 1234
"""Tones, Hz."""


def tone(frequency: float, seconds: float, rate: int) -> NDArray[np.int16]:
    """Return a tone at a quarter of full scale."""
    t = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * frequency * t)).astype(np.int16)


def holds(samples: NDArray[np.int16], frequency: float, rate: int) -> bool:
    """Return whether half a second of a tone is to be heard somewhere."""
    size = rate // 2
    for start in range(0, len(samples) - size + 1, size // 2):
        part = samples[start : start + size].astype(float)
        wave = np.exp(-2j * np.pi * frequency / rate * np.arange(size))
        if 2 * abs(part @ wave) / size > 2000:
            return True
    return False


async def until_heard(
    samples: Callable[[], NDArray[np.int16]], frequency: float, rate: int, where: str
) -> None:
    """Wait until a tone is heard: on a busy machine, that may take two seconds.

    Args:
        samples: what was heard so far.
        where: for the message if it is not heard.
    """
    deadline = time.monotonic() + 10
    while not holds(samples(), frequency, rate):
        assert time.monotonic() < deadline, f"not heard: {frequency:g} Hz at {where}"
        await asyncio.sleep(0.05)


class Script:
    """An agent that says its tone when it is told to, and listens."""

    def __init__(self) -> None:
        self.speak = asyncio.Event()

    async def __call__(self, session: Session) -> None:
        while True:
            await self.speak.wait()
            self.speak.clear()
            await session.send_audio(tone(AGENT, 1.0, session.audio.rate))
