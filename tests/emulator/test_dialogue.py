"""Turns in a call with an LLM server; no clock but the audio."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stage import (
    COUGH,
    MIKE,
    RATE,
    SPELLED,
    STOP,
    TIME,
    Stage,
    chunk,
    complete,
    echo,
    interrupt,
    kinds,
    mute,
    reports,
    said,
    speech_of,
)

from retell_voice.emulator.actions import (
    Ask,
    Cancel,
    Clear,
    HangUp,
    Measure,
    Recognize,
    Report,
    Say,
    Synthesize,
    Update,
)
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.emulator.dialogue.user_speech import UNINTELLIGIBLE
from retell_voice.emulator.llm.server_events import AgentReconfigured, ResponseDropped, SpeechLost
from retell_voice.emulator.server_events import AgentInterrupted, UserSpoke
from retell_voice.protocol.llm import (
    AgentConfig,
    Config,
    Dtmf,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
    UpdateOnly,
)

LONG = "This is a long answer that takes some time to say. And there is more of it. And more."


def turns(stage: Stage) -> list[str]:
    return [each.turn for each in stage.all(Update) if each.turn]


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


# -- barge-in ------------------------------------------------------------------------------------


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


# -- typed turns ---------------------------------------------------------------------------------


def test_a_typed_turn_is_answered() -> None:
    stage = Stage()
    stage.greet()
    actions = stage.do(stage.dialogue.typed(" What now? "))
    assert kinds(actions) == [
        *("UserTyped", "Update user", "UpdateOnly", "ResponseRequired", "LlmAsked"),
    ]
    stage.wait(1)
    assert stage.lines[1:] == ["user: What now?", "agent: You said What now?."]
    assert stage.do(stage.dialogue.typed("  ")) == []


def test_a_typed_turn_interrupts() -> None:
    stage = Stage()
    stage.llm(complete(0, LONG))
    stage.wait(1.6)
    actions = stage.do(stage.dialogue.typed("Stop."))
    assert kinds(actions)[:3] == ["UserTyped", "Clear", "AgentInterrupted"]
    assert stage.lines == ["agent: This is a long answer that", "user: Stop."]
    assert len(stage.asked()) == 1


def test_a_typed_turn_waits_for_what_may_not_be_interrupted_and_for_who_speaks() -> None:
    stage = Stage()
    stage.llm(complete(0, "Listen to this please.", no_interruption_allowed=True))
    stage.wait(0.5)
    stage.do(stage.dialogue.typed("Stop."))
    assert stage.all(Clear) == []
    assert stage.asked() == []
    stage.wait(0.5)
    stage.say(MIKE)
    stage.wait(2)
    assert stage.lines[1] == "user: Stop. my name is Mike"
    assert len(stage.asked()) == 1


# -- nudges --------------------------------------------------------------------------------------


def test_an_agent_that_waits_responds_when_it_is_nudged() -> None:
    stage = Stage()
    stage.greet()
    actions = stage.do(stage.dialogue.nudged())
    assert kinds(actions) == ["ResponseRequired", "LlmAsked"]
    stage.wait(1)
    assert stage.lines[1:] == ["agent: I am here."]


def test_a_nudge_interrupts_what_may_be_interrupted() -> None:
    stage = Stage()
    stage.llm(complete(0, LONG))
    stage.wait(1.6)
    actions = stage.do(stage.dialogue.nudged())
    assert kinds(actions)[:2] == ["Clear", "AgentInterrupted"]
    assert len(stage.asked()) == 1
    stage.wait(1)
    assert stage.lines == ["agent: This is a long answer that", "agent: I am here."]


def test_a_nudge_is_nothing_while_the_user_speaks_or_the_agent_may_not_be_interrupted() -> None:
    stage = Stage()
    stage.llm(complete(0, "Listen to this please.", no_interruption_allowed=True))
    stage.wait(0.5)
    assert stage.do(stage.dialogue.nudged()) == []
    stage.wait(2)
    stage.say(MIKE, 0.5)
    assert stage.do(stage.dialogue.nudged()) == []


# -- tools ---------------------------------------------------------------------------------------

CALLED = ToolCallInvocation(tool_call_id="t1", name="weather", arguments='{"city": "Bonn"}')
RETURNED = ToolCallResult(tool_call_id="t1", content="rain", successful=False)


def test_tools_are_in_the_transcript_where_they_were_called() -> None:
    stage = Stage()
    stage.llm(Config(transcript_with_tool_calls=True))
    stage.greet()
    stage.say(TIME)
    stage.wait(0.6)
    actions = stage.llm(CALLED, RETURNED)
    assert kinds(actions) == ["ToolCalled", "ToolReturned"]
    stage.wait(2)
    stage.say(MIKE)
    stage.wait(1)
    asked = stage.asked()[-1]
    items = asked.transcript_with_tool_calls
    assert items is not None
    assert [type(each).__name__ for each in items] == [
        *("Utterance", "Utterance", "ToolCallInvocation", "ToolCallResult"),
        *("Utterance", "Utterance"),
    ]
    assert items[2:4] == (CALLED, RETURNED)
    assert [each.content for each in asked.transcript][1] == "what time is it"


def test_who_goes_on_speaking_while_a_tool_works_goes_on_with_the_line() -> None:
    stage = Stage(server=mute)
    stage.greet()
    stage.say(MIKE)
    stage.wait(0.8)
    stage.llm(CALLED)
    stage.say(SPELLED)
    stage.wait(1)
    assert stage.lines[1:] == ["user: my name is Mike and it is spelled with a K"]


def test_without_config_no_tools_are_told() -> None:
    stage = Stage()
    stage.greet()
    stage.llm(CALLED)
    stage.do(stage.dialogue.typed("Hello?"))
    assert stage.asked()[0].transcript_with_tool_calls is None


def test_what_the_agent_is_set_to_is_kept_within_its_range() -> None:
    stage = Stage()
    config = AgentConfig(interruption_sensitivity=-1, reminder_trigger_ms=5, reminder_max_count=3)
    (told,) = reports(stage.llm(UpdateAgent(agent_config=config)), AgentReconfigured)
    assert told == {
        "responsiveness": 1.0,
        "interruption_sensitivity": 0,
        "reminder_trigger_ms": 5,
        "reminder_max_count": 3,
    }


# -- whatever happens ----------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 5), st.sampled_from([0.15, 0.4, 1.2])),
    st.tuples(st.just("wait"), st.just(0), st.sampled_from([0.1, 0.5, 0.9, 3.0, 12.0])),
    st.tuples(st.just("respond"), st.integers(-1, 2), st.sampled_from(["Yes.", "", LONG, "No"])),
    st.tuples(st.just("complete"), st.integers(-1, 1), st.sampled_from(["Yes.", "", LONG])),
    st.tuples(st.just("end"), st.just(0), st.just("Bye.")),
    st.tuples(st.just("interrupt"), st.integers(0, 3), st.sampled_from(["Wait.", "", LONG])),
    st.tuples(st.just("type"), st.just(0), st.sampled_from(["Hi", "Stop it."])),
    st.tuples(st.just("set"), st.sampled_from([0, 1]), st.sampled_from([0.0, 0.3, 1.0])),
    st.tuples(st.just("fail"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("link"), st.just(0), st.just(0)),
    st.tuples(st.just("nudge"), st.just(0), st.just(0)),
    st.tuples(st.just("hang up"), st.just(0), st.just(0)),
)


def take(stage: Stage, step: tuple[str, int, Any]) -> None:
    what, number, value = step
    newest = max([each.response_id for each in stage.asked()], default=0)
    match what:
        case "say":
            stage.say(number, value)
        case "wait":
            stage.wait(value)
        case "respond":
            stage.llm(chunk(newest + number, value))
        case "complete":
            stage.llm(complete(newest + number, value, no_interruption_allowed=number == 0))
        case "end":
            stage.llm(complete(newest, value, end_call=True))
        case "interrupt":
            stage.llm(interrupt(number, value, complete=number != 2))
        case "type":
            stage.do(stage.dialogue.typed(value))
        case "set":
            key = ("responsiveness", "interruption_sensitivity")[number]
            stage.llm(UpdateAgent(agent_config=AgentConfig(**{key: value})))
        case "fail":
            stage.do(stage.dialogue.not_synthesized(number, "broken"))
            stage.do(stage.dialogue.not_recognized(value, "broken"))
        case "link":
            stage.do(stage.dialogue.link_lost("gone"))
            stage.do(stage.dialogue.link_back())
        case "nudge":
            stage.do(stage.dialogue.nudged())
        case "hang up":
            stage.server = mute
            stage.do(stage.dialogue.hung_up("bye"))


@settings(deadline=None, max_examples=200)
@given(st.lists(STEPS, max_size=14), st.booleans(), st.sampled_from([0.02, 0.3, 2.0]))
def test_whatever_happens_the_actions_are_consistent(
    steps: list[tuple[str, int, Any]], answers: bool, slowness: float
) -> None:
    timings = replace(DEFAULT_DIALOGUE, end_call_after_silence_ms=15_000, reminder_trigger_ms=6000)
    server = echo if answers else mute
    stage = Stage(timings, server, listening=slowness, speaking=slowness)
    for step in steps:
        take(stage, step)
    stage.wait(6)
    actions = [action for _, action in stage.log]
    ends = [index for index, each in enumerate(actions) if isinstance(each, HangUp)]
    assert ends in ([], [len(actions) - 1])
    assert [at for at, _ in stage.log] == sorted(at for at, _ in stage.log)
    ids = [each.response_id for each in stage.asked()]
    assert ids == list(range(1, len(ids) + 1))
    jobs = [each.job for each in stage.all(Recognize)]
    assert jobs == sorted(set(jobs))
    sentences = [each.sentence for each in stage.all(Synthesize)]
    assert len(sentences) == len(set(sentences))
    # Nothing of the agent's is in the transcript that was not sent.
    sent = said(actions).replace(" ", "")
    for update in stage.all(Update):
        for line in update.transcript:
            assert line.content
            if line.role == "agent":
                assert line.content.replace(" ", "") in sent
            assert all(0 <= word.start <= word.end for word in line.words)
    # Nobody is spoken over: after a turn of the user's nothing is said before one of the agent's.
    speaker = None
    for action in actions:
        if isinstance(action, Update) and action.turn:
            speaker = action.turn
        if isinstance(action, Say):
            assert speaker == "agent"
    # No call hangs: who waits long enough is let go.
    if not ends:
        stage.wait(30)
        assert stage.all(HangUp)
