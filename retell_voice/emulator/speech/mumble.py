"""A TTS that needs no engine: it mumbles a text at the pace of speech.

One soft hum per syllable, the pitch falling over each phrase, pauses where the text has them:
turns, captions and interruptions are timed as with a real voice.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import numpy as np

from retell_voice.audio.format import Samples, to_int16
from retell_voice.emulator.speech.ports import Speech, spread
from retell_voice.events import Word

_PACE = 15.0
"""Characters per second, spaces included: with the pauses about 170 words per minute."""
_PAUSES = {",": 0.15, ";": 0.2, ":": 0.2, ".": 0.3, "!": 0.3, "?": 0.3}
_PITCH = 120.0  # Hz
_FALL = 0.2  # how far the pitch falls over a phrase
_TIMBRE = (1.0, 0.45, 0.22, 0.1)  # levels of the harmonics
_LEVEL = 0.09  # of full scale
_EDGE = 0.04  # seconds of fade at either end of a phrase


class MumbleTts:
    """A ``Tts`` that mumbles; the same text always gives the same sound."""

    async def synthesize(self, text: str, rate: int) -> Speech:
        """Return the text as mumbling."""
        return await asyncio.to_thread(mumble, text, rate)  # milliseconds, but for many calls


def mumble(text: str, rate: int) -> Speech:
    """Return a text as mumbling, shape (n,) at ``rate``, with timed words."""
    words: list[Word] = []
    parts = [np.zeros(0, np.int16)]
    at = 0.0
    for phrase, pause in _phrases(text):
        length = (len(phrase) + 1) / _PACE
        words += spread(phrase, at, at + length)
        parts += [_voiced(phrase, length, rate), np.zeros(round(pause * rate), np.int16)]
        at = sum(map(len, parts)) / rate
    return Speech(np.concatenate(parts), rate, tuple(words))


def _phrases(text: str) -> Iterator[tuple[str, float]]:
    """Yield each phrase, with the seconds of silence after it."""
    phrase: list[str] = []
    for word in text.split():
        phrase.append(word)
        mark = word.rstrip("\"'”’»)]")[-1:]
        if mark in _PAUSES:
            yield " ".join(phrase), _PAUSES[mark]
            phrase = []
    if any(map(str.isalnum, "".join(phrase))):
        yield " ".join(phrase), 0.0


def _voiced(phrase: str, length: float, rate: int) -> Samples:
    time = np.arange(round(length * rate), dtype=np.float32) / np.float32(rate)
    turns = _PITCH * time * (1 - _FALL / 2 * time / length)
    sound = sum(part * np.sin(2 * np.pi * k * turns) for k, part in enumerate(_TIMBRE, 1))
    syllables = max(1, len(re.findall(r"[aeiouy]+|\d", phrase.lower())))
    swell = 0.3 + 0.7 * np.sin(np.pi * (time * syllables / length % 1))
    edges = np.clip(np.minimum(time, length - time) / _EDGE, 0, 1)
    return to_int16(_LEVEL * sound * swell * edges)
