"""Where the sounds of a scenario are made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from retell_voice.audio.format import Samples, to_int16
from retell_voice.emulator.recordings import load_speech
from retell_voice.emulator.scenario.steps import Recording, Speak, Tone, Words
from retell_voice.emulator.speech.ports import Speech, TextToSpeech, spread


class Studio:
    """Makes each sound once for each rate, and keeps it.

    Args:
        folder: where recordings are that have a relative path.
        voice: says the words.
    """

    def __init__(self, folder: Path, voice: TextToSpeech) -> None:
        self._folder = folder
        self._voice = voice
        self._made: dict[tuple[Words | Recording | Tone, str, int], Speech] = {}

    async def make(self, deed: Speak, rate: int) -> Speech:
        """Return what is said, at a rate.

        Raises:
            ConfigError: a recording cannot be read any more.
            SpeechFailed: the voice gave up.
        """
        key = deed.source, deed.text, rate
        if key not in self._made:
            speech = await self._make(deed.source, rate)
            if deed.text:
                words = spread(deed.text, 0, speech.duration)
                speech = Speech(speech.samples, rate, words)
            self._made[key] = speech
        return self._made[key]

    async def _make(self, source: Words | Recording | Tone, rate: int) -> Speech:
        match source:
            case Words(text):
                return await self._voice.synthesize(text, rate)
            case Recording(path):
                return await asyncio.to_thread(load_speech, self._folder / path, rate)
            case Tone():
                return Speech(await asyncio.to_thread(tone, source, rate), rate)


def tone(wanted: Tone, rate: int) -> Samples:
    """Return a tone, or silence, shape (n,), at ``rate``."""
    count = round(wanted.seconds * rate)
    if not wanted.hz:
        return np.zeros(count, np.int16)
    level = 10 ** (wanted.dbfs / 20)
    return to_int16(level * np.sin(2 * np.pi * wanted.hz / rate * np.arange(count)))
