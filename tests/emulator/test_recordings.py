"""The bundled recordings, and recordings of others."""

import json
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from retell_voice.emulator.recordings import CALLER, GREETING, load_speech
from retell_voice.errors import ConfigError


@pytest.mark.parametrize("path", [GREETING, CALLER])
def test_they_are_of_ordinary_level(path: Path) -> None:
    speech = load_speech(path, 24000)
    samples = speech.samples / 32768
    spoken = samples[np.abs(samples) > 0.001]
    assert 20 * np.log10(np.abs(samples).max()) < -3
    assert 20 * np.log10(np.sqrt(np.mean(spoken**2))) == pytest.approx(-20, abs=2)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)


def test_they_are_small() -> None:
    assert GREETING.stat().st_size + CALLER.stat().st_size < 1.5e6


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_at_any_rate_words_and_length_are_the_same(rate: int) -> None:
    speech, original = load_speech(GREETING, rate), load_speech(GREETING, 24000)
    assert speech.duration == pytest.approx(original.duration, abs=0.001)
    assert speech.words == original.words
    assert speech.content == "Hello! I am the parrot. Say something, and I will say it back."
    assert not speech.samples.flags.writeable


def test_the_words_are_where_they_are_said() -> None:
    speech = load_speech(GREETING, 24000)
    phrases = json.loads(GREETING.with_suffix(".json").read_text("utf-8"))["phrases"]
    for phrase in phrases:
        start, end = (int(phrase[name] * 24000) for name in ("start", "end"))
        assert np.abs(speech.samples[start:end]).max() > 5000
    for before, after in pairwise(phrases):
        gap = speech.samples[int(before["end"] * 24000) + 24 : int(after["start"] * 24000) - 24]
        assert not gap.any()


def write(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def test_a_recording_without_words(tmp_path: Path) -> None:
    speech = load_speech(write(tmp_path / "mine.wav", np.ones(4000)), 8000)
    assert (speech.words, speech.content) == ((), "(0.5 s of speech)")


@pytest.mark.parametrize("table", ["{", "[]", '{"phrases": [{"text": "a"}]}', '{"phrases": 1}'])
def test_words_that_cannot_be_read(tmp_path: Path, table: str) -> None:
    path = write(tmp_path / "mine.wav", np.ones(4000))
    path.with_suffix(".json").write_text(table)
    with pytest.raises(ConfigError, match="words"):
        load_speech(path, 8000)


def test_a_recording_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_speech(tmp_path / "none.wav", 8000)
