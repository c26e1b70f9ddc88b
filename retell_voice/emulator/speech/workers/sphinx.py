"""PocketSphinx: a small ASR for English, the fallback. The package includes the model."""

from __future__ import annotations

import re

from pocketsphinx import Decoder

from retell_voice.audio.format import Samples
from retell_voice.errors import ConfigError
from retell_voice.events import Word

_FRAMES = 100  # a second


class Sphinx:
    """An ``AsrEngine``.

    Args:
        language: spoken language.

    Raises:
        ConfigError: it is not English.
    """

    rate = 16000
    about = "pocketsphinx"

    def __init__(self, language: str) -> None:
        if language != "en":
            raise ConfigError(f"pocketsphinx does not know the language {language!r}", "known: en")
        self._decoder = Decoder(samprate=self.rate, loglevel="FATAL")

    def recognize(self, samples: Samples) -> tuple[Word, ...]:
        """Return the words, without noises and pauses."""
        decoder = self._decoder
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return ()
        return tuple(
            Word(
                re.sub(r"\(\d+\)$", "", each.word),  # number of the pronunciation
                each.start_frame / _FRAMES,
                (each.end_frame + 1) / _FRAMES,
            )
            for each in decoder.seg()
            if each.word[0] not in "<["
        )
