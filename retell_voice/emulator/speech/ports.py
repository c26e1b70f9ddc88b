"""Speech as samples with timed words, and the ports of what recognises and synthesises it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from retell_voice.audio.format import Samples
from retell_voice.errors import RetellVoiceError
from retell_voice.events import Role, Utterance, Word


@dataclass(frozen=True, eq=False)
class Speech:
    """An utterance.

    Attributes:
        samples: shape (n,), mono int16.
        rate: samples per second.
        words: the words, their start and end in seconds from the first sample; empty if unknown.
    """

    samples: Samples
    rate: int
    words: tuple[Word, ...] = ()

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    @property
    def content(self) -> str:
        """The words as text, or the length of the speech if they are unknown."""
        if self.words:
            return " ".join(word.word for word in self.words)
        return f"({self.duration:.1f} s of speech)"

    def until(self, end: int) -> Speech:
        """Return the first ``end`` samples, with the words that have begun by then."""
        words = tuple(word for word in self.words if word.start * self.rate < end)
        return Speech(self.samples[:end], self.rate, words)

    def chunks(self, size: int) -> Iterator[tuple[Samples, str]]:
        """Yield chunks of ``size`` samples, each with the text that begins in it.

        The texts joined give ``content``.
        """
        words = list(self.words) or [Word(self.content, 0.0, self.duration)]
        first = True
        for start in range(0, len(self.samples), size):
            end = start + size
            last = end >= len(self.samples)
            text = ""
            while words and (last or words[0].start * self.rate < end):
                text += words.pop(0).word if first else f" {words.pop(0).word}"
                first = False
            yield self.samples[start:end], text

    def utterance(self, role: Role, start: float) -> Utterance:
        """Return it as a transcript item; it begins ``start`` seconds into the call."""
        words = tuple(
            Word(word.word, round(start + word.start, 3), round(start + word.end, 3))
            for word in self.words
        )
        return Utterance(role, self.content, words)


class SpeechFailed(RetellVoiceError):
    """An engine could not handle a request: it crashed, gave up or is overloaded.

    The next request may well succeed.
    """


class Asr(Protocol):
    """Speech recognition, shared by all calls."""

    async def recognize(self, samples: Samples, rate: int) -> tuple[Word, ...]:
        """Return the words, times in seconds from the first sample; () if there are none.

        Cancelling it drops the work.

        Args:
            samples: the speech, shape (n,).
            rate: samples per second.

        Raises:
            SpeechFailed: the engine failed.
        """


class Tts(Protocol):
    """Speech synthesis, shared by all calls."""

    async def synthesize(self, text: str, rate: int) -> Speech:
        """Return the text as speech with timed words.

        Cancelling it drops the work.

        Args:
            text: what to say, preferably one sentence; text without letters or digits gives
                no samples.
            rate: samples per second of the result.

        Raises:
            SpeechFailed: the engine failed.
        """


class NoAsr:
    """An ``Asr`` that recognises nothing."""

    async def recognize(self, samples: Samples, rate: int) -> tuple[Word, ...]:  # noqa: ARG002 - of the port
        """Return ()."""
        return ()


def spread(text: str, start: float, end: float) -> tuple[Word, ...]:
    """Return the words of a phrase, the time from ``start`` to ``end`` shared out by length."""
    parts = text.split()
    unit = (end - start) / max(1, sum(len(part) + 1 for part in parts))
    words = []
    for part in parts:
        length = unit * (len(part) + 1)
        words.append(Word(part, round(start, 3), round(start + length, 3)))
        start += length
    return tuple(words)
