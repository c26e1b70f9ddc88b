"""When audio goes out, and in what pieces."""

from random import Random
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator.scenario.delivery import pieces
from retell_voice.emulator.scenario.sounds import tone
from retell_voice.emulator.scenario.steps import Delivery, Tone
from retell_voice.emulator.speech.ports import Speech
from retell_voice.events import Word

AUDIO = AudioFormat(rate=8000)
SECOND = Speech(
    np.arange(8000, dtype=np.int16), 8000, (Word("one", 0.0, 0.4), Word("two", 0.5, 0.9))
)


def send(**delivery: Any) -> list[tuple[float, int, str]]:
    sent = list(pieces(SECOND, AUDIO, Delivery(**delivery), 250, Random(1)))
    assert b"".join(piece.data for piece in sent) == AUDIO.encode(SECOND.samples)
    return [(piece.due, len(piece.data), piece.text) for piece in sent]


def test_at_once_in_the_emulators_own_pieces() -> None:
    assert send() == [(0, 4000, "one"), (0, 4000, ""), (0, 4000, " two"), (0, 4000, "")]


def test_in_pieces_of_another_length() -> None:
    assert send(chunk_ms=600) == [(0, 9600, "one two"), (0, 6400, "")]
    assert {size for _, size, _ in send(chunk_ms=1)} == {16}


def test_split_samples() -> None:
    assert [size for _, size, _ in send(chunk_bytes=3333)] == [3333, 3333, 3333, 3333, 2668]
    assert [text for *_, text in send(chunk_bytes=3333)] == ["one two", "", "", "", ""]


@pytest.mark.parametrize("pace", [0.5, 1, 4])
def test_at_a_pace(pace: float) -> None:
    assert [due for due, *_ in send(pace=pace)] == [0, 0.25 / pace, 0.5 / pace, 0.75 / pace]


def test_in_bursts_that_are_let_go_when_they_are_whole() -> None:
    assert [due for due, *_ in send(pace=1, burst_seconds=0.5)] == [0.5, 0.5, 1, 1]
    assert [due for due, *_ in send(pace=2, burst_seconds=5)] == [0.5, 0.5, 0.5, 0.5]


def test_late_by_chance_but_in_order_and_the_same_every_time() -> None:
    times = [due for due, *_ in send(pace=1, chunk_ms=20, jitter_ms=200)]
    late = [due - number * 0.02 for number, due in enumerate(times)]
    assert times == sorted(times)
    assert min(late) >= 0
    assert 0.1 < max(late) <= 0.2
    assert times == [due for due, *_ in send(pace=1, chunk_ms=20, jitter_ms=200)]


def test_without_words_there_is_no_text() -> None:
    speech = Speech(SECOND.samples, 8000)
    sent = pieces(speech, AudioFormat(Encoding.MULAW, 8000), Delivery(), 500, Random(1))
    assert [(len(piece.data), piece.text) for piece in sent] == [(4000, ""), (4000, "")]


def test_a_tone_has_its_pitch_and_level_and_silence_has_none() -> None:
    samples = tone(Tone(seconds=1, hz=1000, dbfs=-6), 8000)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) == 1000
    assert 20 * np.log10(samples.max() / 32768) == pytest.approx(-6, abs=0.1)
    assert not tone(Tone(seconds=0.5), 8000).any()
    assert len(tone(Tone(seconds=0.5), 8000)) == 4000
