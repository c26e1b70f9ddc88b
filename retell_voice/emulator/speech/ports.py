"""What is said: samples and the words they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from retell_voice.audio.format import Samples
from retell_voice.errors import RetellVoiceError
from retell_voice.events import Role, Utterance, Word


@dataclass(frozen=True, eq=False)
class Speech:
    """Something said.

    Attributes:
        samples: shape (n,), mono int16.
        rate: samples a second.
        words: what is said; start and end in seconds from the first sample. Empty when
            nobody knows.
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
        """What is said, in words, or how much of it."""
        if self.words:
            return " ".join(word.word for word in self.words)
        return f"({self.duration:.1f} s of speech)"

    def until(self, end: int) -> Speech:
        """Return the first ``end`` samples of it, with the words that had begun by then."""
        words = tuple(word for word in self.words if word.start * self.rate < end)
        return Speech(self.samples[:end], self.rate, words)

    def chunks(self, size: int) -> Iterator[tuple[Samples, str]]:
        """Yield it in pieces of ``size`` samples, each with the text that begins in it.

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
        """Return it as a line of a transcript; ``start`` seconds into the call."""
        words = tuple(
            Word(word.word, round(start + word.start, 3), round(start + word.end, 3))
            for word in self.words
        )
        return Utterance(role, self.content, words)


class Recognizer(Protocol):
    """Finds the words of what a user said."""

    def words(self, samples: Samples, rate: int) -> tuple[Word, ...]:
        """Return the words, times in seconds from the first sample; () when it cannot tell."""


class NoRecognizer:
    """A ``Recognizer`` that can never tell."""

    def words(self, samples: Samples, rate: int) -> tuple[Word, ...]:  # noqa: ARG002 - as the port has it
        """Return ()."""
        return ()


class SpeechFailed(RetellVoiceError):
    """An engine could not do what it was asked: it died, gave up, or has too much to do.

    The next request may well succeed.
    """


class SpeechToText(Protocol):
    """Finds the words of what a user said, in time of its own; for many calls at once."""

    async def recognize(self, samples: Samples, rate: int) -> tuple[Word, ...]:
        """Return the words, times in seconds from the first sample; () when it hears none.

        May be cancelled: the work is dropped.

        Args:
            samples: what was said, shape (n,).
            rate: samples a second.

        Raises:
            SpeechFailed: it could not be done.
        """


class TextToSpeech(Protocol):
    """Speaks, in time of its own; for many calls at once."""

    async def synthesize(self, text: str, rate: int) -> Speech:
        """Return the text, best one sentence, as speech with its words and their times.

        May be cancelled: the work is dropped.

        Args:
            text: what to say; nothing to pronounce gives no samples.
            rate: samples a second of the result.

        Raises:
            SpeechFailed: it could not be done.
        """


class NoSpeechToText:
    """A ``SpeechToText`` that never hears a word."""

    async def recognize(self, samples: Samples, rate: int) -> tuple[Word, ...]:  # noqa: ARG002 - as the port has it
        """Return ()."""
        return ()


def spread(text: str, start: float, end: float) -> tuple[Word, ...]:
    """Return the words of a phrase spread over its time by their length."""
    parts = text.split()
    unit = (end - start) / max(1, sum(len(part) + 1 for part in parts))
    words = []
    for part in parts:
        length = unit * (len(part) + 1)
        words.append(Word(part, round(start, 3), round(start + length, 3)))
        start += length
    return tuple(words)
