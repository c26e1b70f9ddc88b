"""What an engine is, inside its process: it does one thing at a time and takes its time."""

from __future__ import annotations

from typing import Protocol

from retell_voice.audio.format import Samples
from retell_voice.emulator.speech.ports import Speech
from retell_voice.events import Word


class Voice(Protocol):
    """Speaks."""

    about: str
    """What speaks, in a few words for people."""

    def say(self, text: str) -> Speech:
        """Return a text as speech, at a rate of its own."""


class Ears(Protocol):
    """Hears."""

    about: str
    """What hears, in a few words for people."""
    rate: int
    """Samples a second that it wants."""

    def hear(self, samples: Samples) -> tuple[Word, ...]:
        """Return the words in samples, shape (n,), n > 0, times in seconds from the first."""
