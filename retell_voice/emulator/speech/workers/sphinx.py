"""PocketSphinx: small ears for English, the fallback. Model and all come in one package."""

from __future__ import annotations

import re

from pocketsphinx import Decoder

from retell_voice.audio.format import Samples
from retell_voice.errors import ConfigError
from retell_voice.events import Word

_FRAMES = 100  # a second


class Sphinx:
    """``Ears``.

    Args:
        language: what is spoken.

    Raises:
        ConfigError: it is not English.
    """

    rate = 16000
    about = "pocketsphinx"

    def __init__(self, language: str) -> None:
        if language != "en":
            raise ConfigError(f"pocketsphinx does not know the language {language!r}", "known: en")
        self._decoder = Decoder(samprate=self.rate, loglevel="FATAL")

    def hear(self, samples: Samples) -> tuple[Word, ...]:
        """Return the words; noises and pauses are none."""
        decoder = self._decoder
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        if decoder.hyp() is None:
            return ()
        return tuple(
            Word(
                re.sub(r"\(\d+\)$", "", each.word),  # the way it was pronounced
                each.start_frame / _FRAMES,
                (each.end_frame + 1) / _FRAMES,
            )
            for each in decoder.seg()
            if each.word[0] not in "<["
        )
