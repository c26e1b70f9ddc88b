"""The bundled recordings: what the parrot says first, and a caller to try it with.

``greeting.wav`` has its words in ``greeting.json``: phrases with their start and end in
seconds. ``caller.wav`` is one side of a whole conversation with the parrot, pauses included:
it asks, is answered, asks again, and interrupts the answer. Both are made by
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
"""What the parrot says first, 24 kHz, about four seconds."""

CALLER = _HERE / "caller.wav"
"""The demonstration's caller, 24 kHz, about half a minute."""


@lru_cache(maxsize=64)
def load_speech(path: Path, rate: int) -> Speech:
    """Return a recording at another rate, its words from the JSON file of the same name.

    Args:
        path: a PCM WAV file. Without a JSON file beside it, its words are not known.
        rate: samples a second of the result.

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
