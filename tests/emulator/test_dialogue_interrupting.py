"""Who interrupts an agent in a call with an LLM server: how much it takes, and what is dropped."""

from dataclasses import replace

import pytest
from support.stage import (
    COUGH,
    LONG,
    STOP,
    TIME,
    Stage,
    chunk,
    complete,
    kinds,
    mute,
    reports,
    said,
    turns,
)

from retell_voice.emulator.actions import Ask, Clear, Recognize, Update
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.emulator.llm.server_events import ResponseDropped
from retell_voice.emulator.server_events import AgentInterrupted, UserSpoke


def interrupted(sensitivity: float, text: int, seconds: float) -> Stage:
    stage = Stage(replace(DEFAULT_DIALOGUE, interruption_sensitivity=sensitivity), mute)
    stage.llm(complete(0, LONG))
    stage.wait(1.6)
    stage.log.clear()
    stage.say(text, seconds)
    stage.wait(1.0)
    return stage


def test_the_user_interrupts_the_agent() -> None:
    stage = interrupted(1.0, STOP, 1.0)
    actions = stage.since(0)
    assert kinds(actions)[:4] == ["Clear", "AgentInterrupted", "Update user", "UpdateOnly"]
    assert stage.when(Clear) - 1.6 == pytest.approx(0.2, abs=0.02)
    # Sent from 0.1 s on, heard 0.2 s later: until the clear at 1.8 s the seventh word has begun.
    assert stage.lines[0] == "agent: This is a long answer that takes"
    update = next(each for each in stage.all(Update) if each.turn == "user")
    assert update.transcript[0].content == "This is a long answer that takes"
    assert len(update.transcript[0].words) == 7
    (unheard,) = reports(actions, AgentInterrupted)
    heard = 1.8 - 0.1 - 0.2
    assert unheard["unheard"] == pytest.approx(len(LONG.split()) / 4 - heard, abs=0.03)
    assert said(actions) == ""
    assert stage.lines[1] == "user: stop please"
    assert len(stage.asked()) == 1


def test_the_rest_of_what_was_interrupted_is_dropped() -> None:
    stage = Stage(server=mute)
    stage.llm(chunk(0, LONG))
    stage.wait(1.6)
    stage.say(STOP)
    stage.wait(0.2)
    first = stage.llm(chunk(0, "More of it. "), complete(0, "And more."))
    assert len(reports(first, ResponseDropped)) == 1  # once, not chunk by chunk
    assert said(stage.wait(5)) == ""


@pytest.mark.parametrize(
    ("sensitivity", "seconds", "cleared_after"),
    [
        *((1.0, 0.06, None), (1.0, 0.18, None), (1.0, 0.22, 0.2), (1.0, 0.3, 0.2)),
        *((0.5, 0.25, None), (0.5, 0.38, None), (0.5, 1.0, 0.4), (0.2, 2.0, 1.0)),
    ],
)
def test_how_much_speech_an_interruption_takes(
    sensitivity: float, seconds: float, cleared_after: float | None
) -> None:
    stage = interrupted(sensitivity, STOP, seconds)
    if cleared_after is None:
        assert stage.all(Clear) == []
        assert stage.lines == ["agent: " + LONG]
    else:
        assert stage.when(Clear) - 1.6 == pytest.approx(cleared_after, abs=0.03)


def test_at_sensitivity_0_the_user_is_heard_and_answered_later() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, interruption_sensitivity=0.0))
    stage.llm(complete(0, LONG))
    stage.wait(1.6)
    actions = stage.say(STOP) + stage.wait(1.0)
    assert stage.all(Clear) == []
    assert stage.asked() == []
    assert stage.lines == [f"agent: {LONG}", "user: stop please"]
    assert reports(actions, UserSpoke)[0]["content"] == "stop please"
    assert turns(stage) == ["agent"]
    stage.wait(6)
    assert turns(stage) == ["agent", "user", "agent"]
    assert stage.when(Ask, 0) < 4.5 < stage.now
    (asked,) = stage.asked()
    assert asked.transcript[-1].content == "stop please"
    assert stage.lines[-1] == "agent: You said stop please."


def test_a_sentence_that_may_not_be_interrupted() -> None:
    stage = Stage()
    law = "This call is recorded by law, please listen to it."
    stage.llm(
        chunk(0, law, no_interruption_allowed=True), complete(0, " Now talk to me if you want.")
    )
    stage.wait(1)
    stage.say(STOP)
    assert stage.all(Clear) == []
    stage.wait(1.6)  # now the second one is heard
    stage.say(STOP)
    assert len(stage.all(Clear)) == 1
    stage.wait(2)
    assert stage.lines[-2:] == [
        "user: stop please stop please",
        "agent: You said stop please stop please.",
    ]


def test_who_insists_interrupts_what_comes_after_it() -> None:
    stage = Stage(server=mute)
    law = "This call is recorded by law, please listen to it."  # 2.5 s
    stage.llm(chunk(0, law, no_interruption_allowed=True), complete(0, " Now talk to me please."))
    stage.wait(1)
    stage.say(STOP, 2.5)
    assert stage.when(Clear) == pytest.approx(0.1 + 0.2 + 2.5, abs=0.04)
    stage.wait(1)
    assert [each.response_id for each in stage.asked()] == [1]


def test_a_microphone_that_hears_the_speaker() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, interruptible=False))
    stage.llm(complete(0, LONG))
    stage.wait(1)
    stage.say(STOP, 4.5)
    stage.wait(1)
    assert stage.all(Recognize) == []
    assert stage.lines == [f"agent: {LONG}"]
    stage.wait(3)
    stage.say(TIME)
    stage.wait(1)
    assert stage.lines[1] == "user: what time is it"


def test_an_interruption_without_words_lets_the_agent_go_on() -> None:
    stage = interrupted(1.0, COUGH, 0.3)
    assert len(stage.all(Clear)) == 1
    assert [each.response_id for each in stage.asked()] == [1]


def test_after_all_was_heard_there_is_nothing_to_clear() -> None:
    stage = Stage()
    stage.greet("Hi.", then=1.0)
    stage.say(TIME)
    stage.wait(1)
    assert stage.all(Clear) == []
    assert stage.lines[0] == "agent: Hi."
