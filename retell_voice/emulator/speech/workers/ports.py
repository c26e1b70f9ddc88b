"""The ports of an engine inside its process: synchronous, one request at a time."""

from __future__ import annotations

from typing import Protocol

from retell_voice.audio.format import Samples
from retell_voice.emulator.speech.ports import Speech
from retell_voice.events import Word


class TtsEngine(Protocol):
    """Synthesises speech."""

    about: str
    """Engine and voice, for people."""

    def synthesize(self, text: str) -> Speech:
        """Return a text as speech, at a rate of the engine's choice."""


class AsrEngine(Protocol):
    """Recognises speech."""

    about: str
    """Engine and model, for people."""
    rate: int
    """Samples per second that it expects."""

    def recognize(self, samples: Samples) -> tuple[Word, ...]:
        """Return the words in samples, shape (n,), n > 0, times in seconds from the first."""
