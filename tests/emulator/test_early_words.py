"""The words of a turn are looked for as soon as the user falls silent, not at its end."""

from dataclasses import replace

import pytest
from support.stage import COUGH, MIKE, RATE, SPELLED, STOP, TIME, Stage, reports

from retell_voice.emulator.actions import Ask, Recognize, Synthesize
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.emulator.dialogue.user_speech import UNINTELLIGIBLE
from retell_voice.emulator.server_events import UserSpoke
from retell_voice.protocol.llm import ResponseRequired


def asked_after(stage: Stage, ended: float) -> float:
    times = [
        at
        for at, each in stage.log
        if isinstance(each, Ask) and isinstance(each.message, ResponseRequired)
    ]
    return times[-1] - ended


@pytest.mark.parametrize(
    ("listening", "after"), [(0.1, 0.6), (0.45, 0.6), (0.8, 0.9), (2.0, 2.1)], ids=str
)
def test_recognition_has_the_time_of_the_endpoint(listening: float, after: float) -> None:
    stage = Stage(listening=listening)
    stage.say(STOP)
    ended = stage.now
    stage.wait(3)
    assert asked_after(stage, ended) == pytest.approx(after, abs=0.04)
    (recognize,) = stage.all(Recognize)
    assert not recognize.partial
    assert len(recognize.samples) / RATE == pytest.approx(0.5 + 0.1, abs=0.02)
    assert stage.lines == ["user: stop please", "agent: You said stop please."]


@pytest.mark.parametrize("listening", [0.1, 0.7, 1.0, 1.6])
def test_who_goes_on_after_a_pause_is_heard_again(listening: float) -> None:
    stage = Stage(listening=listening)
    stage.say(MIKE)
    stage.wait(0.4)
    stage.say(SPELLED)
    stage.wait(5)
    assert [each.transcript[-1].content for each in stage.asked()] == [
        "my name is Mike and it is spelled with a K"
    ]


def test_a_pause_is_looked_at_once() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, endpoint_ms=5000))
    stage.say(STOP)
    stage.wait(3)
    assert len(stage.all(Recognize)) == 1
    assert stage.lines == ["user: stop please"]
    assert stage.asked() == []


def test_without_partial_recognition_the_endpoint_is_waited_for() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, partial_ms=0), listening=0.3)
    stage.say(TIME)
    ended = stage.now
    stage.wait(2)
    assert stage.when(Recognize) - ended == pytest.approx(0.6, abs=0.04)
    assert asked_after(stage, ended) == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize(("seconds", "asked"), [(0.2, 0), (1.5, 1)])
def test_no_words_mean_what_they_would_at_the_end(seconds: float, asked: int) -> None:
    stage = Stage()
    stage.say(COUGH, seconds)
    stage.wait(2)
    assert len(reports([each for _, each in stage.log], UserSpoke)) == 1
    assert len(stage.asked()) == asked
    assert stage.lines[:1] == [f"user: {UNINTELLIGIBLE}"] * asked


def test_what_failed_early_is_tried_again_at_the_end() -> None:
    stage = Stage(listening=0.3)
    stage.say(STOP)
    stage.wait(0.2)
    (early,) = stage.all(Recognize)
    stage.do(stage.dialogue.not_recognized(early.job, "the ASR crashed"))
    stage.wait(2)
    assert len(stage.all(Recognize)) == 2
    assert stage.lines[0] == "user: stop please"
    assert len(stage.asked()) == len(stage.all(Synthesize)) == 1


def test_the_words_before_a_pause_are_not_taken_for_all() -> None:
    stage = Stage()
    stage.say(MIKE)
    stage.wait(0.4)
    stage.listening = 3.0  # what is looked for while the user goes on is not there in time
    stage.say(SPELLED)
    stage.wait(1)
    assert stage.asked() == []
    stage.wait(5)
    (asked,) = stage.asked()
    assert asked.transcript[-1].content == "my name is Mike and it is spelled with a K"
