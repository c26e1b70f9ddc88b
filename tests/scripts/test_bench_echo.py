"""The pure parts of ``scripts/bench echo``: what it counts, and the conversations it makes."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_parts.conversations import Cast, converse
from bench_parts.echo import METHODS, ROOMS, echo_left, latencies, noticed, user_left
from bench_parts.words import errors, plain
from support.rooms import Room, fsdr

RATE = 8000


def voice(seconds: float, seed: int) -> np.ndarray:
    """Return noise that comes and goes as syllables do."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    beat = np.clip(np.sin(np.arange(count) * 2 * np.pi * 4 / RATE) + 0.6, 0, 1)
    return np.rint(3000 * beat * random.standard_normal(count)).astype(np.int16)


@pytest.fixture(scope="module")
def voices() -> Cast:
    return Cast(RATE, [voice(3, 1), voice(4, 2)], [voice(2, 3)], ["no"])


def test_words_that_must_be_changed_are_counted() -> None:
    assert plain("Wait, I'd RATHER not!") == ["wait", "i'd", "rather", "not"]
    assert errors([], []) == 0
    assert errors(["a", "b", "c"], ["a", "c"]) == 1
    assert errors(["a", "b"], ["b", "a", "c"]) == 2
    assert errors(["a"], []) == 1


def test_the_user_interrupts_when_told_and_speaks_alone_in_the_end(voices: Cast) -> None:
    made = voices.meet(Room(level=-6), [2.0])
    assert not made.part(made.near, 0, 2.0).any()
    assert np.count_nonzero(made.part(made.near, 2.0, 4.0)) > RATE
    alone = 0.5 + 7.7 + 1.0
    assert not made.part(made.far, alone - 1.3, alone + 4).any()
    assert np.count_nonzero(made.part(made.near, alone, alone + 2)) > RATE


def test_an_agent_that_yields_is_silent_until_the_user_is(voices: Cast) -> None:
    made = voices.meet(Room(), [2.0], yields=True)
    assert made.part(made.far, 2.0, 2.3).any()
    assert not made.part(made.far, 2.3, 4.0).any()
    assert made.part(made.far, 4.0, 5.0).any()


def test_without_control_the_agent_interrupts_itself_and_half_duplex_ends_that(
    voices: Cast,
) -> None:
    made = voices.meet(ROOMS["desk"])
    assert echo_left(made, made.through(METHODS["off"](RATE))).startswith("0 / 0 / 0 dB")
    assert echo_left(made, made.through(METHODS["off"](RATE))).endswith(", 1")
    assert echo_left(made, made.through(METHODS["half-duplex"](RATE))).endswith(", 0")


def test_it_is_told_how_late_an_interruption_is_noticed(voices: Cast) -> None:
    made = voices.meet(Room(), [2.0])
    only_near = np.rint(made.near).astype(np.int16)
    assert latencies(made, only_near, [2.0]) == [pytest.approx(0.12, abs=0.06)]
    assert latencies(made, 0 * only_near, [2.0]) == [2.0]
    assert len(noticed(only_near, RATE)) == 2


def test_a_delay_and_a_filter_are_no_loss_and_another_voice_is(voices: Cast) -> None:
    near = voices.user[0].astype(float)
    late = np.convolve(near, [0.0] * 64 + [0.8, 0.2])[: len(near)]
    likeness, level = fsdr(near, late, RATE)
    assert likeness > 40
    assert level == pytest.approx(-1.9, abs=0.5)
    other = near + voice(2, 9)
    assert fsdr(near, other, RATE)[0] == pytest.approx(0, abs=1)


def test_what_is_left_of_the_user_is_the_median_of_the_interruptions(voices: Cast) -> None:
    made = voices.meet(Room(), [2.0])
    text = user_left(made, np.rint(made.near * 0.5), [2.0], voices.user)
    assert text.endswith("-6.0 dB")


def test_a_long_conversation_has_answers_and_interruptions_that_are_yielded_to(
    voices: Cast,
) -> None:
    made, turns = converse(voices, Room(), 0.7)
    assert len(made.far) == 42 * RATE
    cut = [turn for turn in turns if turn.interrupts]
    assert 1 <= len(cut) < len(turns)
    for turn in turns:
        begins = turn.at + 0.3 if turn.interrupts else turn.at
        assert made.part(made.near, turn.at, turn.end(RATE)).any()
        assert not made.part(made.far, begins, turn.end(RATE)).any()
    assert made.part(made.far, cut[0].at, cut[0].at + 0.3).any()
