"""What recognises the caller and speaks for the agent, chosen by name.

::

    async with open_engines() as engines:
        words = await engines.speech_to_text.recognize(samples, rate)
        speech = await engines.text_to_speech.synthesize("Hello!", rate)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from retell_voice.emulator.hum import Hum
from retell_voice.emulator.speech import NoSpeechToText, SpeechToText, TextToSpeech
from retell_voice.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Engines:
    """What hears and what speaks, for all calls of an emulator.

    Attributes:
        speech_to_text: finds the words of what callers say.
        text_to_speech: the agent's voice.
    """

    speech_to_text: SpeechToText
    text_to_speech: TextToSpeech
    _lines: tuple[str, ...]

    def describe(self) -> tuple[str, ...]:
        """Return one line each for people: what is in use and how long it took to load."""
        return self._lines


@asynccontextmanager
async def open_engines(voice: str = "auto", ears: str = "auto") -> AsyncIterator[Engines]:
    """Start what hears and what speaks, and end it with the block.

    Args:
        voice: ``hum`` (a murmur, always there) or ``auto``, the best that is installed.
        ears: ``none`` or ``auto``, the best that is installed.

    Raises:
        ConfigError: there is no engine of that name.
    """
    if voice not in ("auto", "hum"):
        raise ConfigError(f"there is no voice {voice!r}", "known: auto, hum")
    if ears not in ("auto", "none"):
        raise ConfigError(f"there are no ears {ears!r}", "known: auto, none")
    yield Engines(NoSpeechToText(), Hum(), ("voice: hum", "ears: none"))
