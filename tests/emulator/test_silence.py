"""Reminders, and the end of a call in which nobody speaks."""

from dataclasses import replace

import pytest
from support.stage import TIME, Stage, complete, mute

from retell_voice.emulator.actions import Ask, HangUp
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.protocol.llm import (
    AgentConfig,
    ReminderRequired,
    Response,
    ResponseRequired,
    UpdateAgent,
)

TWICE = replace(DEFAULT_DIALOGUE, reminder_trigger_ms=5000, reminder_max_count=2)


def reminders(stage: Stage) -> list[float]:
    return [
        at
        for at, action in stage.log
        if isinstance(action, Ask) and isinstance(action.message, ReminderRequired)
    ]


def test_a_user_who_stays_silent_is_reminded_so_many_times() -> None:
    stage = Stage(TWICE)
    stage.greet("Hello.", then=40)  # heard until 0.55 s
    first, second = reminders(stage)
    assert first == pytest.approx(5.55, abs=0.03)
    assert second == pytest.approx(first + 0.1 + 0.2 + 1.0 + 5, abs=0.1)
    assert stage.lines == ["agent: Hello.", *["agent: Are you still there?"] * 2]


def test_who_speaks_is_reminded_anew() -> None:
    stage = Stage(TWICE)
    stage.greet("Hello.", then=20)
    stage.say(TIME)
    stage.wait(30)
    assert len(reminders(stage)) == 4
    ids = [each.response_id for each in stage.asked()]
    assert ids == [1, 2, 3, 4, 5]


def test_a_reminder_follows_something_the_agent_has_said() -> None:
    stage = Stage(TWICE)
    stage.llm(complete(0, ""))
    stage.wait(30)
    assert reminders(stage) == []


def test_while_an_answer_is_open_nobody_is_reminded() -> None:
    stage = Stage(TWICE, mute)
    stage.greet("Hello.")
    stage.do(stage.dialogue.typed("Well?"))
    stage.wait(20)
    assert reminders(stage) == []
    stage.llm(Response(response_id=1, content="", content_complete=True))
    stage.wait(20)
    assert len(reminders(stage)) == 1


def test_what_an_llm_server_sets_counts_at_once() -> None:
    stage = Stage()
    stage.greet("Hello.")
    config = AgentConfig(reminder_trigger_ms=4000, reminder_max_count=3)
    stage.llm(UpdateAgent(agent_config=config))
    stage.wait(1.6)
    assert len(reminders(stage)) == 1
    stage.llm(UpdateAgent(agent_config=AgentConfig(reminder_max_count=0)))
    stage.wait(30)
    assert len(reminders(stage)) == 1


def test_silence_ends_the_call() -> None:
    settings = replace(DEFAULT_DIALOGUE, end_call_after_silence_ms=10_000, reminder_max_count=0)
    stage = Stage(settings)
    stage.greet("Hello.")
    stage.say(TIME)
    stage.wait(30)
    (last,) = stage.all(HangUp)
    assert (last.why, last.reason) == ("inactivity", "the user was silent for 10 s")
    heard = 3.0 + 1.0 + 0.72 + 0.2 + 1.5  # greeting, question, endpoint and voice, lag, answer
    assert stage.when(HangUp) == pytest.approx(heard + 10, abs=0.1)


def test_a_server_that_never_answers_does_not_keep_the_call() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, end_call_after_silence_ms=10_000), mute)
    stage.do(stage.dialogue.typed("Hello?"))
    stage.wait(15)
    assert isinstance(stage.asked()[0], ResponseRequired)
    assert stage.when(HangUp) == pytest.approx(10.0, abs=0.03)


def test_a_user_who_speaks_is_not_silent_though_nobody_answers() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, end_call_after_silence_ms=10_000), mute)
    stage.greet("Hello.", then=6)
    stage.do(stage.dialogue.typed("Hello?"))
    stage.wait(15)
    assert stage.when(HangUp) == pytest.approx(6 + 10, abs=0.03)


def test_a_call_is_only_so_long() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, longest_call_ms=3000))
    stage.greet("Hello.")
    stage.say(TIME, 9.0)
    (last,) = stage.all(HangUp)
    assert (last.why, last.reason) == ("max_duration_reached", "the call lasted 3 s")
