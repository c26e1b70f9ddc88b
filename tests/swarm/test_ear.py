"""What a caller hears, and when."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.swarm.ear import Ear

RATE = 8000


def tone(seconds: float) -> np.ndarray:
    return np.full(round(seconds * RATE), 5000, np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.int16)


def test_audio_ahead_of_time_is_heard_in_its_time() -> None:
    ear = Ear(RATE)
    for _ in range(5):
        ear.take(tone(0.2), 1.0)
    assert ear.until == pytest.approx(2.0)
    assert ear.answer(0.4, 9.0) == pytest.approx(0.6)
    ear.take(silence(0.5), 2.1)
    assert ear.silent_from == pytest.approx(2.0)
    assert ear.gaps == []


@pytest.mark.parametrize(("is_live", "answer"), [(False, 1.5), (True, 0.5)])
def test_a_pause_is_shortened_to_catch_up_where_audio_is_live(is_live: bool, answer: float) -> None:
    ear = Ear(RATE, is_live=is_live)
    for number in range(50):  # a second of silence that comes a second late, all at once
        ear.take(silence(0.02), 1.0 if number else 0.0)
    for number in range(25):
        ear.take(silence(0.02), 1.02 + number * 0.02)
    ear.take(tone(0.2), 1.5)
    assert ear.answer(1.0, 9.0) == pytest.approx(answer, abs=0.03)


def test_silence_before_the_first_sound_is_part_of_the_wait() -> None:
    ear = Ear(RATE)
    ear.take(np.concatenate((silence(0.3), tone(0.2))), 1.0)
    assert ear.answer(1.0, 9.0) == pytest.approx(0.3)


def test_what_begins_before_the_end_or_too_late_is_no_answer() -> None:
    ear = Ear(RATE)
    ear.take(tone(1.0), 0.0)
    ear.take(tone(1.0), 5.0)
    assert ear.answer(0.5, 9.0) == pytest.approx(4.5)
    assert ear.answer(0.5, 4.0) is None
    assert ear.answer(5.5, 9.0) is None


def test_what_is_cleared_is_not_heard() -> None:
    ear = Ear(RATE)
    ear.take(tone(10.0), 0.0)
    ear.clear(2.0)
    assert (ear.until, ear.silent_from) == (2.0, 2.0)
    ear.take(tone(1.0), 3.0)
    assert ear.answer(2.5, 9.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("second", "gaps"), [(1.0, []), (1.1, [0.1]), (1.299, [0.299]), (1.4, []), (1.004, [])]
)
def test_a_gap_is_a_short_silence_within_an_utterance(second: float, gaps: list[float]) -> None:
    ear = Ear(RATE)
    ear.take(tone(1.0), 0.0)
    ear.take(tone(1.0), second)
    assert ear.gaps == pytest.approx(gaps)


def test_after_an_utterance_that_ends_in_silence_there_is_no_gap() -> None:
    ear = Ear(RATE)
    ear.take(np.concatenate((tone(1.0), silence(0.1))), 0.0)
    ear.take(tone(1.0), 1.2)
    assert ear.gaps == []
    ear.take(silence(0.5), 2.3)
    ear.take(np.zeros(0, np.int16), 3.0)
    assert ear.gaps == []


STEP = st.tuples(
    st.sampled_from(["tone", "silence", "clear"]), st.floats(0, 0.5), st.floats(0, 0.5)
)


@given(st.lists(STEP, max_size=30))
def test_nothing_is_heard_twice_or_before_it_came(steps: list[tuple[str, float, float]]) -> None:
    ear, now = Ear(RATE), 0.0
    for what, seconds, passed in steps:
        now += passed
        before = ear.until
        if what == "clear":
            ear.clear(now)
            assert ear.until <= max(now, before)
        else:
            ear.take(tone(seconds) if what == "tone" else silence(seconds), now)
            assert ear.until >= before
        loud = ear._loud
        assert all(begin <= end for begin, end in loud)
        assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(loud))
        assert all(end <= max(ear.until, now) + 1e-9 for _, end in loud)
        answer = ear.answer(now, 1e9)
        assert answer is None or answer >= 0
