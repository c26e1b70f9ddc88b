"""How many words a recogniser gets: Whisper, if it is installed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from retell_voice.audio.format import Samples
from retell_voice.emulator.speech.engines import open_engines
from retell_voice.errors import ConfigError


class Ears:
    """Whisper, if it is installed; used within ``with``."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._engines = open_engines("mumble", "whisper")

    def __enter__(self) -> Ears | None:
        try:
            self._ears = self._runner.run(self._engines.__aenter__()).asr
        except ConfigError:
            return None
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_ears"):
            self._runner.run(self._engines.__aexit__(None, None, None))
        self._runner.close()

    def right(self, samples: Samples, rate: int, said: str) -> tuple[int, int]:
        """Return how many words of a sentence it gets, and how many there are."""
        words = self._runner.run(self._ears.recognize(samples, rate))
        wanted, heard = plain(said), plain(" ".join(each.word for each in words))
        return max(0, len(wanted) - errors(wanted, heard)), len(wanted)


def plain(text: str) -> list[str]:
    """Return the words of a text, without their dress."""
    return re.sub(r"[^a-z0-9' ]", "", text.lower()).split()


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return how many words must be put in, left out or changed."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]
