"""eSpeak NG: a small, robotic TTS. GPL-3, so only ever loaded by a worker.

The library comes with the package ``espeakng-loader`` or with the program (Debian package
``espeak-ng``). It reports when each word is spoken.
"""

from __future__ import annotations

import ctypes
from ctypes.util import find_library
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from retell_voice.emulator.speech.ports import Speech
from retell_voice.errors import ConfigError
from retell_voice.events import Word
from retell_voice.extras import how_to_add

# speak_lib.h
_SYNCHRONOUS = 2
_UTF8 = 1
_CHARACTER = 1
_WORD = 1


class _Event(ctypes.Structure):
    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


class Espeak:
    """A ``TtsEngine``; one per process, as the library keeps everything in globals.

    Args:
        language: spoken language, as eSpeak names its voices.

    Raises:
        ConfigError: the library is missing, does not work, or has no such voice.
    """

    def __init__(self, language: str) -> None:
        voice = "en-us" if language == "en" else language
        library, data = _find()
        self._library = ctypes.CDLL(library)
        self._rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if self._rate < 0:
            raise ConfigError(f"{library} does not find its data", "reinstall espeak-ng")
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise ConfigError(f"espeak-ng has no voice {voice!r}", "espeak-ng --voices lists them")
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = kind(self._take)  # kept: the library holds no reference
        self._library.espeak_SetSynthCallback(self._callback)
        self._sound = bytearray()
        self._starts: list[tuple[int, float]] = []
        self.about = f"espeak-ng, {voice}"

    def synthesize(self, text: str) -> Speech:
        """Return a text as speech."""
        self._sound.clear()
        self._starts.clear()
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, _CHARACTER, 0, _UTF8, None, None)
        samples = np.frombuffer(bytes(self._sound), np.int16)
        words = timed(text, self._starts, len(samples) / self._rate)
        return Speech(samples, self._rate, words)

    def _take(self, sound: Any, count: int, events: Any) -> int:
        if sound and count > 0:
            self._sound += ctypes.string_at(sound, 2 * count)
        number = 0
        while events[number].type:
            if events[number].type == _WORD:
                start = events[number].audio_position / 1000
                self._starts.append((events[number].text_position - 1, start))
            number += 1
        return 0


def timed(text: str, starts: list[tuple[int, float]], end: float) -> tuple[Word, ...]:
    """Return the words of a text, given when (in seconds) some of its characters are spoken.

    A word without such a character begins with the next one; every word lasts until the next.
    """
    words = text.split()
    places = [0]
    for word in words:
        places.append(text.index(word, places[-1]) + len(word))
    edges = [
        min((at for place, at in starts if place >= since), default=end) for since in places[:-1]
    ]
    edges = [*accumulate(edges, max), end]
    return tuple(
        Word(word, round(start, 3), round(min(stop, end), 3))
        for word, start, stop in zip(words, edges, edges[1:], strict=False)
    )


def _find() -> tuple[str, bytes | None]:
    """Return the path of the library, and that of its data unless it knows that itself."""
    try:
        import espeakng_loader  # noqa: PLC0415 - one of two ways
    except ImportError:
        library = find_library("espeak-ng")
        if library is None:
            raise ConfigError("espeak-ng is not installed", how_to_add("espeakng-loader")) from None
        return library, None
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path().encode()
