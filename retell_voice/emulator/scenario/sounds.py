"""The sounds of a scenario: synthesised, loaded or generated once, then cached."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from retell_voice.audio.format import Samples, to_int16
from retell_voice.emulator.recordings import load_speech
from retell_voice.emulator.scenario.steps import Recording, Speak, Tone, Words
from retell_voice.emulator.speech.ports import Speech, Tts, spread


class SoundCache:
    """Makes each sound once per rate, and keeps it.

    Args:
        folder: where relative paths of recordings start.
        tts: synthesises the texts.
    """

    def __init__(self, folder: Path, tts: Tts) -> None:
        self._folder = folder
        self._tts = tts
        self._sounds: dict[tuple[Words | Recording | Tone, str, int], Speech] = {}

    async def get(self, action: Speak, rate: int) -> Speech:
        """Return what is said, at a given rate.

        Raises:
            ConfigError: a recording can no longer be read.
            SpeechFailed: the TTS failed.
        """
        key = action.source, action.text, rate
        if key not in self._sounds:
            speech = await self._make(action.source, rate)
            if action.text:
                words = spread(action.text, 0, speech.duration)
                speech = Speech(speech.samples, rate, words)
            self._sounds[key] = speech
        return self._sounds[key]

    async def _make(self, source: Words | Recording | Tone, rate: int) -> Speech:
        match source:
            case Words(text):
                return await self._tts.synthesize(text, rate)
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
