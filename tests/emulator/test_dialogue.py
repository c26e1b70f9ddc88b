"""Turns in a call with an LLM server; no clock but the audio."""

from dataclasses import replace

import numpy as np
import pytest
from support.stage import (
    COUGH,
    MIKE,
    RATE,
    SPELLED,
    STOP,
    TIME,
    Stage,
    complete,
    kinds,
    mute,
    reports,
    said,
    speech_of,
    turns,
)

from retell_voice.emulator.actions import (
    Ask,
    Cancel,
    Clear,
    Measure,
    Recognize,
    Report,
    Say,
    Update,
)
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.emulator.dialogue.user_speech import UNINTELLIGIBLE
from retell_voice.emulator.llm.server_events import ResponseDropped, SpeechLost
from retell_voice.emulator.server_events import UserSpoke
from retell_voice.protocol.llm import AgentConfig, Config, Dtmf, UpdateAgent, UpdateOnly

# -- a call as it should be ----------------------------------------------------------------------


def test_the_begin_message_is_spoken() -> None:
    stage = Stage()
    actions = stage.llm(complete(0, "Hello. How are you?"))
    assert kinds(actions) == ["Synthesize"]
    actions = stage.wait(0.5)
    assert kinds(actions) == [
        *("Update agent", "UpdateOnly", "Say", "AgentSpoke"),
        *("Update", "UpdateOnly", "Say", "AgentSpoke"),
    ]
    assert said(actions) == "Hello. How are you?"
    assert stage.lines == ["agent: Hello. How are you?"]
    assert turns(stage) == ["agent"]


def test_an_empty_begin_message_lets_the_user_speak_first() -> None:
    stage = Stage()
    stage.llm(complete(0, ""))
    assert stage.wait(3) == []
    stage.say(TIME)
    stage.wait(2)
    assert turns(stage) == ["user", "agent"]
    assert stage.lines == ["user: what time is it", "agent: You said what time is it."]


def test_without_any_begin_message_the_user_speaks_first_too() -> None:
    stage = Stage()
    stage.say(TIME)
    stage.wait(2)
    assert [each.response_id for each in stage.asked()] == [1]
    assert kinds(stage.llm(complete(0, "Late."))) == ["ResponseDropped"]


def test_the_begin_message_may_be_delayed() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, begin_message_delay_ms=2000))
    stage.greet()
    assert stage.when(Say) == pytest.approx(2.0, abs=0.03)


def test_what_the_user_said_is_asked_about_and_the_answer_is_spoken() -> None:
    stage = Stage()
    stage.greet()
    spoke = stage.now
    actions = stage.say(TIME) + stage.wait(2)
    assert kinds(actions) == [
        *("Update user", "UpdateOnly"),
        *("Recognize", "Update", "UpdateOnly"),  # in part, while it is said
        *("Recognize", "Update", "UpdateOnly"),  # it may be all
        *("UserSpoke", "Update", "UpdateOnly", "ResponseRequired", "LlmAsked"),
        *("Measure", "Synthesize", "Update agent", "UpdateOnly", "Say", "Measure", "AgentSpoke"),
    ]
    (asked,) = stage.asked()
    assert [each.content for each in asked.transcript] == [
        "Hello, this is your agent.",
        "what time is it",
    ]
    words = asked.transcript[1].words
    assert [word.word for word in words] == ["what", "time", "is", "it"]
    assert words[0].start == pytest.approx(spoke, abs=0.01)
    assert words[3].end == pytest.approx(spoke + 1, abs=0.01)
    agent = stage.dialogue.transcript.utterances[2].words
    assert agent[0].start == pytest.approx(stage.when(Say, 13), abs=0.01)
    (told,) = [each for each in stage.all(Measure) if each.kind == "e2e"]
    assert told.milliseconds == pytest.approx(720, abs=20)  # endpoint with the ASR in it, TTS


def test_keys_of_the_telephone_are_told_at_once_and_answered_when_there_are_no_more() -> None:
    stage = Stage()
    stage.greet()
    stage.llm(Config(transcript_with_tool_calls=True))
    for digit in "1#":
        pressed = stage.now
        actions = stage.do(stage.dialogue.pressed(digit))
        assert kinds(actions) == ["Update", "UpdateOnly"]
        stage.wait(2)
        assert stage.asked() == []
    assert stage.wait(pressed + 2.45 - stage.now) == []
    stage.wait(0.1)
    (asked,) = stage.asked()
    assert asked.transcript_with_tool_calls is not None
    assert asked.transcript_with_tool_calls[1:] == (Dtmf("1"), Dtmf("#"))
    assert [each.content for each in asked.transcript] == ["Hello, this is your agent."]


def test_the_callers_transcript_and_the_servers_are_the_same() -> None:
    stage = Stage()
    stage.greet()
    stage.say(TIME)
    stage.wait(3)
    told = [each.message for each in stage.all(Ask) if isinstance(each.message, UpdateOnly)]
    assert [(each.transcript, each.turn) for each in told] == [
        (each.transcript, each.turn) for each in stage.all(Update)
    ]
    assert turns(stage) == ["agent", "user", "agent"]


@pytest.mark.parametrize("frame", [80, 320, 1000, 7])
def test_the_size_of_the_frames_makes_no_difference(frame: int) -> None:
    def conversation(frame: int) -> Stage:
        stage = Stage(server=mute, frame=frame, listening=1.0, speaking=1.0)
        stage.hear(np.full(RATE, TIME, np.int16))
        stage.wait(4)
        return stage

    reference, stage = conversation(160), conversation(frame)
    assert kinds(action for _, action in stage.log) == kinds(a for _, a in reference.log)
    assert stage.dialogue.transcript.utterances == reference.dialogue.transcript.utterances


# -- endpointing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("responsiveness", "silence"), [(1.0, 0.6), (0.5, 1.8), (0.0, 3.0), (7.0, 0.6)]
)
def test_how_long_it_waits_until_the_user_has_finished(
    responsiveness: float, silence: float
) -> None:
    stage = Stage()
    stage.greet()
    config = AgentConfig(responsiveness=responsiveness)
    assert kinds(stage.llm(UpdateAgent(agent_config=config))) == ["AgentReconfigured"]
    stage.say(TIME)
    ended = stage.now
    stage.wait(4)
    spoke = [at for at, each in stage.log if isinstance(each, Report) and each.kind is UserSpoke]
    assert spoke[0] - ended == pytest.approx(silence, abs=0.03)


def test_a_pause_for_breath_is_no_end() -> None:
    stage = Stage()
    stage.greet()
    stage.say(MIKE)
    stage.wait(0.4)
    stage.say(SPELLED)
    stage.wait(2)
    assert stage.lines[1] == "user: my name is Mike and it is spelled with a K"
    assert len(stage.asked()) == 1


def test_the_words_grow_while_the_user_speaks() -> None:
    stage = Stage()
    stage.greet()
    stage.say(SPELLED)
    stage.wait(2)
    user = [each.transcript[-1].content for each in stage.all(Update) if each.transcript[1:]]
    assert user[:2] == ["and it is spelled", "and it is spelled with a K"]


def test_partial_words_are_not_asked_for_faster_than_they_come() -> None:
    stage = Stage(listening=5.0)
    stage.greet()
    stage.hear(np.full(4 * RATE, TIME, np.int16))
    assert len(stage.all(Recognize)) == 1


def test_partial_words_can_be_turned_off() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, partial_ms=0))
    stage.greet()
    stage.say(SPELLED)
    stage.wait(2)
    assert len(stage.all(Recognize)) == 1


def test_what_is_said_while_words_are_looked_for_joins_them() -> None:
    stage = Stage(listening=1.0)
    stage.greet()
    stage.say(MIKE)
    stage.wait(1.0)
    stage.say(SPELLED)
    stage.wait(3)
    assert stage.lines[1] == "user: my name is Mike and it is spelled with a K"
    assert len(stage.asked()) == 1


def test_a_speech_without_end_is_recognised_in_pieces() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, longest_ms=5000, partial_ms=0))
    stage.greet()
    stage.hear(np.full(12 * RATE, TIME, np.int16))
    stage.wait(2)
    lengths = [len(each.samples) / RATE for each in stage.all(Recognize)]
    assert lengths == pytest.approx([5.0, 5.0, 2.35], abs=0.2)
    assert len(stage.asked()) == 1


def test_a_cough_is_nothing() -> None:
    stage = Stage()
    stage.greet()
    stage.say(COUGH, 0.3)
    stage.wait(2)
    assert stage.asked() == []
    assert len(stage.lines) == 1


def test_words_that_nobody_understands_are_told_as_such() -> None:
    stage = Stage()
    stage.greet()
    stage.say(COUGH, 1.5)
    stage.wait(2)
    assert stage.lines[1] == f"user: {UNINTELLIGIBLE}"
    assert len(stage.asked()) == 1


def test_a_failed_recognition_is_reported_and_the_call_goes_on() -> None:
    stage = Stage(listening=60)
    stage.greet()
    stage.say(STOP)
    stage.wait(1)
    (job,) = [each.job for each in stage.all(Recognize)]
    actions = stage.do(stage.dialogue.not_recognized(job, "the ASR crashed"))
    assert reports(actions, SpeechLost) == [{"part": "recognition", "why": "the ASR crashed"}]
    assert stage.lines[1] == f"user: {UNINTELLIGIBLE}"
    assert len(stage.asked()) == 1
    assert stage.do(stage.dialogue.recognized(job, ())) == []  # too late


# -- before the answer is heard ------------------------------------------------------------------


def test_who_goes_on_speaking_before_the_answer_is_heard_is_asked_about_anew() -> None:
    stage = Stage(speaking=1.0)
    stage.greet()
    stage.say(MIKE)
    stage.wait(0.9)  # the answer is being made
    actions = stage.say(SPELLED) + stage.wait(3)
    assert stage.lines[1:] == [
        "user: my name is Mike and it is spelled with a K",
        "agent: You said my name is Mike and it is spelled with a K.",
    ]
    assert [each.response_id for each in stage.asked()] == [1, 2]
    assert [each["number"] for each in reports(actions, ResponseDropped)] == [1]
    assert stage.all(Clear) == []
    assert len(stage.all(Cancel)) == 0  # it had been made by then


def test_a_cough_before_the_answer_is_heard_only_delays_it() -> None:
    stage = Stage(speaking=0.5)
    stage.greet()
    stage.say(MIKE)
    stage.wait(0.8)
    stage.say(COUGH, 0.3)
    actions = stage.wait(3)
    assert said(actions) == "You said my name is Mike."
    assert len(stage.asked()) == 1
    assert turns(stage) == ["agent", "user", "agent"]


def test_speech_for_a_sentence_not_wanted_any_more_is_cancelled() -> None:
    stage = Stage(speaking=9.0)
    stage.greet(then=10)
    stage.say(MIKE)
    stage.wait(0.9)
    stage.say(SPELLED)
    stage.wait(1)
    (cancelled,) = stage.all(Cancel)
    assert cancelled.sentences == {2}
    assert stage.do(stage.dialogue.synthesized(2, speech_of("x"))) == []
