"""Where utterances start and stop, at 8 kHz: a window is 80 samples."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.packets.utterances import Utterances
from retell_voice.audio.playout_reports import Report, Started, Stopped

RATE = 8000


def sound(seconds: float, level: int = 3000) -> np.ndarray:
    return (level * np.sin(np.arange(round(seconds * RATE)))).astype(np.int16)


def listen(samples: np.ndarray, blocks: list[int]) -> list[Report]:
    reports: deque[Report] = deque()
    utterances = Utterances(RATE, reports)
    position = 0
    for block in blocks * (1 + len(samples)):
        if position >= len(samples):
            break
        utterances.hear(samples[position : position + block], position)
        position += block
    return list(reports)


def test_an_utterance_starts_at_once_and_stops_after_a_third_of_a_second() -> None:
    said = np.concatenate((sound(0.2, 0), sound(0.5), sound(0.29, 0), sound(0.4), sound(0.3, 0)))
    assert listen(said, [80]) == [Started(1600), Stopped(1600 + 4000 + 2320 + 3200)]
    assert listen(said[:-80], [80]) == [Started(1600)]


@pytest.mark.parametrize(("level", "loud"), [(120, False), (180, True)])
def test_speech_is_louder_than_50_db_below_full_scale(level: int, loud: bool) -> None:
    assert bool(listen(sound(0.1, level), [80])) is loud


@settings(deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=9))
def test_the_size_of_the_blocks_makes_no_difference(blocks: list[int]) -> None:
    said = np.concatenate((sound(0.3), sound(0.5, 0), sound(0.2), sound(0.4, 0)))
    assert listen(said, blocks) == listen(said, [80])


def test_an_interruption_is_told_and_its_fade_is_not_heard() -> None:
    reports: deque[Report] = deque()
    utterances = Utterances(RATE, reports)
    utterances.hear(sound(0.1), 0)
    utterances.interrupt(848, 500)
    assert not utterances.speaking
    utterances.hear(sound(0.1), 800)  # 48 samples of it fade, the rest is new
    assert list(reports) == [Started(0), Stopped(848, True, 500), Started(848)]


def test_silence_cannot_be_interrupted() -> None:
    reports: deque[Report] = deque()
    Utterances(RATE, reports).interrupt(48, 500)
    assert not reports


def test_an_end_that_is_known_is_told_at_once() -> None:
    reports: deque[Report] = deque()
    utterances = Utterances(RATE, reports)
    utterances.hear(sound(0.105), 0)
    utterances.finish(840)
    assert list(reports) == [Started(0), Stopped(840)]
    utterances.finish(900)
    assert len(reports) == 2
