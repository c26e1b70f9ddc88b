"""The bundled recordings: the parrot's greeting, and a caller to try it with.

``greeting.json`` has the words of ``greeting.wav``: phrases with their start and end in seconds.
``caller.wav`` is one side of a whole conversation with the parrot, pauses included: the caller
asks, gets an answer, asks again, and interrupts the answer. Both are made by
``scripts/make-recordings``, with a voice whose recordings are in the public domain (CC0).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from retell_voice.audio.resample import resample_whole
from retell_voice.devices.files import read_wav
from retell_voice.emulator.speech.ports import Speech, spread
from retell_voice.errors import ConfigError
from retell_voice.events import Word

_HERE = Path(__file__).parent

GREETING = _HERE / "greeting.wav"
"""The parrot's greeting, 24 kHz, about four seconds."""

CALLER = _HERE / "caller.wav"
"""The demonstration's caller, 24 kHz, about half a minute."""


@lru_cache(maxsize=64)
def load_speech(path: Path, rate: int) -> Speech:
    """Return a recording at a given rate, its words from the JSON file of the same name.

    Args:
        path: a PCM WAV file. Without a JSON file next to it the words are unknown.
        rate: samples per second of the result.

    Raises:
        ConfigError: either file cannot be read.
    """
    samples, recorded_rate = read_wav(path)
    if recorded_rate != rate:
        samples = resample_whole(samples, recorded_rate, rate)
    samples.flags.writeable = False  # shared by every call
    return Speech(samples, rate, _read_words(path.with_suffix(".json")))


def _read_words(path: Path) -> tuple[Word, ...]:
    if not path.exists():
        return ()
    try:
        phrases = json.loads(path.read_text("utf-8"))["phrases"]
        return tuple(
            word
            for phrase in phrases
            for word in spread(phrase["text"], float(phrase["start"]), float(phrase["end"]))
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the words of {path} cannot be read: {error!r}") from None
