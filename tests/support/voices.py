"""Sentences in the voices of the emulator's extras, for tests that need real speech."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retell_voice.emulator.speech.engines import open_engines

AGENT = (
    "Good morning, and thank you for calling the harbour hotel.",
    "We have a quiet room with a view of the garden, or a larger one on the street.",
    "Breakfast is served from seven until half past ten, every day of the week.",
    "The larger room costs ninety pounds for a night, and parking is free.",
    "Shall I book it for you, or would you like to hear about our other rooms?",
    "You can change or cancel your booking until six in the evening on the day before.",
)
USER = (
    "Wait, I would rather have the quiet room.",
    "No, that is too expensive for me.",
    "Please stop, I will call again tomorrow.",
)


def speak(
    voice: str, sentences: Sequence[str], rate: int, language: str = "en"
) -> list[NDArray[np.int16]]:
    """Return each sentence as one of the emulator's voices says it.

    Args:
        voice: ``piper`` or ``espeak``.
        sentences: what to say.
        rate: samples a second.
        language: as the voice names it; eSpeak NG: with a variant, ``en-us+m3``. Those of men say
            the same sentence the same way every time, other voices do not.
    """

    async def synthesize() -> list[NDArray[np.int16]]:
        async with open_engines(voice, "none", language=language) as engines:
            said = [await engines.tts.synthesize(each, rate) for each in sentences]
            return [each.samples for each in said]

    return asyncio.run(synthesize())


def in_a_row(
    said: Sequence[NDArray[np.int16]], rate: int, pause: float = 0.35
) -> NDArray[np.int16]:
    """Return sentences one after the other, with a pause after each."""
    between = np.zeros(round(pause * rate), np.int16)
    return np.concatenate([part for each in said for part in (each, between)])
