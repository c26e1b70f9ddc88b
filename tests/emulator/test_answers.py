"""What an LLM server sends, and what becomes of it in a call."""

from dataclasses import replace
from typing import Any

import pytest
from support.stage import (
    STOP,
    TIME,
    Stage,
    chunk,
    complete,
    interrupt,
    kinds,
    mute,
    reports,
    said,
    speech_of,
)

from retell_voice.emulator.actions import (
    Action,
    Ask,
    Cancel,
    Clear,
    HangUp,
    Say,
    SendMetadata,
    Synthesize,
    Update,
)
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.emulator.llm.server_events import (
    DigitPressed,
    LlmStatistics,
    ResponseDropped,
    ResponseOverdue,
    SpeechLost,
    TransferRequested,
)
from retell_voice.emulator.server_events import AgentInterrupted
from retell_voice.protocol.llm import (
    Config,
    LlmMetadata,
    ResponseRequired,
    UnknownLlmMessage,
    UpdateOnly,
)


def asked(text: str = "Hello?", **options: Any) -> Stage:
    """A call in which response 1 is awaited."""
    stage = Stage(server=mute, **options)
    stage.llm(complete(0, ""))
    stage.do(stage.dialogue.typed(text))
    return stage


# -- streaming -----------------------------------------------------------------------------------


def test_the_first_sentence_is_spoken_before_the_last_chunk_arrives() -> None:
    stage = asked()
    stage.llm(chunk(1, "One mo"), chunk(1, "ment. Let"))
    assert said(stage.wait(0.5)) == "One moment."
    stage.llm(chunk(1, " me see"), complete(1, "."))
    assert said(stage.wait(0.5)) == " Let me see."
    assert stage.lines[-1] == "agent: One moment. Let me see."
    texts = "".join(each.text for each in stage.all(Say))
    assert texts == "One moment. Let me see."


def test_a_whole_sentence_does_not_wait_for_what_comes_after_it() -> None:
    stage = asked()
    stage.llm(chunk(1, "Let me check."))
    assert said(stage.wait(0.2)) == ""
    assert said(stage.wait(0.1)) == "Let me check."  # 150 ms, and the voice's 100
    stage.wait(8)  # a tool takes its time
    stage.llm(complete(1, "It will rain."))
    assert said(stage.wait(1)) == " It will rain."
    assert len(stage.asked()) == 1


def test_sentences_are_made_two_ahead_and_spoken_in_order() -> None:
    stage = asked(speaking=60)
    stage.llm(complete(1, "One. Two. Three. Four."))
    assert [each.text for each in stage.all(Synthesize)] == ["One.", "Two."]
    assert stage.do(stage.dialogue.synthesized(2, speech_of("Two."))) == []
    actions = stage.do(stage.dialogue.synthesized(1, speech_of("One.")))
    assert said(actions) == "One. Two."
    assert [each.text for each in stage.all(Synthesize)] == ["One.", "Two.", "Three.", "Four."]


def test_not_everything_is_sent_long_before_it_is_heard() -> None:
    stage = asked()
    sentence = "This sentence takes about two seconds of time. "  # 2 s
    stage.llm(complete(1, sentence * 30))
    stage.wait(2)
    assert 20 <= len(said(stage.since(0)).split()) / 4 <= 26
    stage.wait(60)
    assert len(said(stage.since(0)).split()) == 8 * 30


def test_a_sentence_that_cannot_be_made_is_left_out() -> None:
    stage = asked(speaking=0.5)
    stage.llm(complete(1, "One. Two."))
    (lost,) = reports(stage.do(stage.dialogue.not_synthesized(1, "the voice died")), SpeechLost)
    assert lost == {"part": "synthesis", "why": "the voice died"}
    stage.wait(1)
    assert stage.lines[-1] == "agent: Two."


def test_if_no_sentence_can_be_made_the_call_still_ends() -> None:
    stage = asked(speaking=60)
    stage.llm(complete(1, "Bye.", end_call=True))
    stage.do(stage.dialogue.not_synthesized(1, "the voice died"))
    assert kinds(stage.since(0))[-1] == "HangUp"


def test_what_cannot_be_pronounced_makes_no_sound() -> None:
    stage = asked()
    stage.llm(complete(1, "…\n\n---"))
    stage.wait(1)
    assert stage.all(Synthesize) == []
    assert stage.lines == ["user: Hello?"]


# -- what counts ---------------------------------------------------------------------------------


def test_an_outdated_response_is_dropped() -> None:
    stage = asked()
    stage.do(stage.dialogue.typed("Are you there?"))
    assert [each.response_id for each in stage.asked()] == [1, 2]
    dropped = reports(
        stage.llm(complete(1, "Old."), complete(3, "No."), complete(-1, "No."), chunk(2, "New. ")),
        ResponseDropped,
    )
    assert [(each["number"], each["why"], each["asked"], each["so_far"]) for each in dropped] == [
        (1, "it is outdated", True, 1),
        (3, "it was not requested; the newest response_id is 2", False, 2),
        (-1, "it was not requested; the newest response_id is 2", False, 3),
    ]
    assert said(stage.wait(1)) == "New."


def test_after_it_is_complete_no_more_of_a_response_counts() -> None:
    stage = asked()
    stage.llm(complete(1, "All."))
    assert len(reports(stage.llm(complete(1, "And more.")), ResponseDropped)) == 1
    assert said(stage.wait(1)) == "All."


def test_what_is_never_complete_is_reported_once() -> None:
    stage = asked()
    assert reports(stage.wait(9.9), ResponseOverdue) == []
    late = {
        "number": 1,
        "interrupt": False,
        "begun": False,
        "seconds": 10.0,
        "cut_short": "",
        "other_ids": (),
    }
    assert reports(stage.wait(20), ResponseOverdue) == [late]
    stage = asked()
    stage.wait(5)
    stage.llm(chunk(1, "Well."))
    stage.wait(9.9)
    stage.llm(chunk(1, "I see."))
    assert reports(stage.since(0), ResponseOverdue) == []
    assert reports(stage.wait(20), ResponseOverdue) == [late | {"begun": True}]
    stage = asked()
    stage.llm(complete(1, "All."))
    stage.wait(8)
    assert reports(stage.since(0), ResponseOverdue) == []


def overdue(actions: list[Action]) -> list[tuple[int, bool, str, tuple[int, ...]]]:
    return [
        (each["number"], each["begun"], each["cut_short"], each["other_ids"])
        for each in reports(actions, ResponseOverdue)
    ]


def test_a_question_that_is_not_answered_before_the_next_turn_is_reported() -> None:
    stage = asked()
    stage.wait(1.2)
    actions = stage.do(stage.dialogue.typed("Are you there?"))
    assert overdue(actions) == [(1, False, "the next turn began", ())]
    seconds = [each["seconds"] for each in reports(actions, ResponseOverdue)]
    assert seconds == pytest.approx([1.2], abs=0.1)
    stage.llm(complete(2, "Yes."))
    assert overdue(stage.dialogue.finish()) == []


def test_a_spoken_turn_reports_it_too() -> None:
    stage = asked()
    stage.wait(1.5)
    stage.say(TIME)
    stage.wait(1)
    assert overdue(stage.since(0)) == [(1, False, "the next turn began", ())]


def test_the_user_going_on_at_once_is_no_fault_of_the_server() -> None:
    stage = asked()
    stage.wait(0.8)
    assert overdue(stage.do(stage.dialogue.typed("And another thing."))) == []


def test_a_question_that_is_not_answered_before_the_hang_up_is_reported() -> None:
    stage = asked()
    stage.wait(1.2)
    assert overdue(stage.dialogue.finish()) == [(1, False, "the call ended", ())]
    stage = asked()
    stage.wait(0.3)
    assert overdue(stage.dialogue.finish()) == []


def test_answers_to_other_questions_are_named_with_the_one_that_is_missing() -> None:
    stage = asked()
    stage.wait(0.3)
    stage.llm(complete(7, "Hello."), complete(0, "Hello."), complete(7, "Hello."))
    stage.wait(0.3)
    assert overdue(stage.dialogue.finish()) == [(1, False, "the call ended", (7, 0))]
    actions = stage.do(stage.dialogue.typed("Hello?"))
    assert overdue(actions) == []  # reported once
    stage.wait(1.2)
    assert overdue(stage.dialogue.finish()) == [(2, False, "the call ended", ())]


def test_an_answer_that_was_overdue_is_not_reported_again() -> None:
    stage = asked()
    stage.wait(11)
    assert overdue(stage.since(0)) == [(1, False, "", ())]
    assert overdue(stage.do(stage.dialogue.typed("Hello?"))) == []


def test_an_answer_that_may_still_be_streaming_is_not_reported() -> None:
    stage = asked()
    stage.llm(chunk(1, "One moment, I am looking. "))
    stage.wait(3)
    assert overdue(stage.do(stage.dialogue.typed("Hello?"))) == []
    stage.llm(chunk(2, "One moment, I am looking. "))
    stage.wait(6)
    actions = stage.do(stage.dialogue.typed("Hello?"))
    assert overdue(actions) == [(2, True, "the next turn began", ())]


def test_after_the_call_it_is_told_how_often_and_how_quickly_it_was_answered() -> None:
    stage = asked()
    assert reports(Stage(server=mute).dialogue.finish(), LlmStatistics) == []
    for number, wait in enumerate((0.2, 0.4, 1.0, None), 1):
        if wait is not None:
            stage.wait(wait)
            stage.llm(complete(number, "Yes."))
            stage.wait(3)
            stage.do(stage.dialogue.typed("Again."))
    (told,) = reports(stage.dialogue.finish(), LlmStatistics)
    assert (told["asked"], told["answered"]) == (4, 3)
    assert told["median_ms"] == pytest.approx(400, abs=1)
    assert told["p95_ms"] == pytest.approx(1000, abs=1)


# -- agent_interrupt -----------------------------------------------------------------------------


def test_who_interrupts_the_agent_is_told() -> None:
    stage = asked()
    stage.llm(chunk(1, "This is a long story that nobody wants to hear."))
    stage.wait(1.5)
    assert [each["by"] for each in reports(stage.llm(interrupt(1, "Wait!")), AgentInterrupted)] == [
        "agent_interrupt"
    ]
    stage = asked()
    stage.llm(chunk(1, "This is a long story that nobody wants to hear."))
    stage.wait(1.5)
    actions = stage.do(stage.dialogue.typed("Stop!"))
    assert [each["by"] for each in reports(actions, AgentInterrupted)] == ["user"]


def test_an_agent_interrupt_cuts_what_the_agent_says() -> None:
    stage = asked()
    stage.llm(chunk(1, "This is a long story that nobody wants to hear."))
    stage.wait(1.5)
    stage.log.clear()
    actions = stage.llm(interrupt(1, "Wait!"))
    assert kinds(actions)[:2] == ["Clear", "AgentInterrupted"]
    assert said(stage.wait(1)) == "Wait!"
    assert stage.lines[1] == "agent: This is a long story"
    assert stage.lines[2] == "agent: Wait!"
    assert reports(stage.llm(complete(1, "The end.")), ResponseDropped)[0]["number"] == 1
    assert [each.turn for each in stage.all(Update) if each.turn] == ["agent"]


def test_an_agent_interrupt_speaks_over_the_user() -> None:
    stage = Stage(server=mute)
    stage.greet()
    stage.say(TIME, 0.5)
    stage.llm(interrupt(1, "Stop! I have to tell you something now."))
    stage.say(TIME)
    assert said(stage.since(0)).endswith("something now.")
    assert stage.all(Clear) == []  # who was speaking before does not interrupt
    stage.wait(1.2)
    assert stage.asked() == []
    stage.wait(1)
    assert len(stage.asked()) == 1
    assert stage.lines[1] == "user: what time is it"
    assert stage.lines[2] == "agent: Stop! I have to tell you something now."


def test_who_begins_to_speak_interrupts_an_interrupt_unless_it_says_no() -> None:
    for allowed in (True, False):
        stage = Stage(server=mute)
        stage.greet()
        more = {} if allowed else {"no_interruption_allowed": True}
        stage.llm(interrupt(1, "Listen to me for a moment please, will you?", **more))
        stage.wait(1)
        stage.say(STOP)
        assert len(stage.all(Clear)) == allowed


def test_an_interrupt_streams_and_another_one_replaces_it() -> None:
    stage = Stage(server=mute)
    stage.greet()
    stage.llm(interrupt(5, "One. Tw", complete=False))
    stage.wait(0.5)
    stage.llm(interrupt(6, "Three.", complete=False))
    stage.wait(0.5)
    assert len(reports(stage.llm(interrupt(5, "o.")), ResponseDropped)) == 1
    stage.llm(interrupt(6, " Four."))
    stage.wait(0.5)
    assert stage.lines[-1] == "agent: Three. Four."


def test_a_response_of_which_nothing_had_come_is_spoken_after_the_interrupt() -> None:
    stage = asked()
    stage.llm(interrupt(1, "One moment."), complete(1, "Here it is."))
    assert said(stage.wait(3)) == "One moment.Here it is."


# -- what goes with an answer --------------------------------------------------------------------


@pytest.mark.parametrize("content", ["Goodbye and have a nice day.", ""])
def test_the_call_ends_when_its_last_words_have_been_heard(content: str) -> None:
    stage = asked()
    stage.llm(complete(1, content, end_call=True))
    stage.wait(5)
    last = stage.all(HangUp)[0]
    assert (last.reason, last.why, last.code) == ("the agent ended the call", "agent_hangup", 1000)
    heard = 0.1 + 0.2 + len(content.split()) / 4 if content else 0
    assert stage.when(HangUp) == pytest.approx(heard, abs=0.05)
    for late in (stage.wait(3), stage.llm(complete(1, "x")), stage.do(stage.dialogue.typed("x"))):
        assert late == []


def test_last_words_that_are_interrupted_are_not_the_last() -> None:
    stage = asked()
    stage.llm(complete(1, "Goodbye and have a nice day.", end_call=True))
    stage.wait(0.6)
    stage.say(STOP)
    stage.wait(3)
    assert stage.all(HangUp) == []
    assert len(stage.asked()) == 2


def test_an_end_call_that_never_completes_does_not_keep_the_call() -> None:
    stage = asked()
    stage.llm(chunk(1, "Bye. ", end_call=True))
    stage.wait(8)
    assert 5 <= stage.when(HangUp) <= 6


def test_a_transfer_ends_the_call_after_its_words() -> None:
    stage = asked()
    stage.llm(complete(1, "I will connect you.", transfer_number="+15550100"))
    actions = stage.wait(3)
    assert kinds(actions)[-2:] == ["TransferRequested", "HangUp"]
    assert reports(actions, TransferRequested) == [
        {"number": "+15550100", "show_transferee_as_caller": False}
    ]
    last = stage.all(HangUp)[0]
    assert (last.why, last.reason) == ("call_transfer", "transferred to +15550100")
    assert stage.when(HangUp) > 1.2


@pytest.mark.parametrize("shown", [True, False, None])
def test_whose_number_a_transfer_shows_is_passed_on(shown: bool | None) -> None:
    stage = asked()
    stage.llm(chunk(1, "Well.", transfer_number="+1", show_transferee_as_caller=shown))
    stage.llm(complete(1, "Goodbye."))
    told = reports(stage.wait(3), TransferRequested)
    assert told == [{"number": "+1", "show_transferee_as_caller": bool(shown)}]


def test_digits_are_pressed_and_the_call_goes_on() -> None:
    stage = asked()
    actions = stage.llm(complete(1, "", digit_to_press="1#"))
    assert reports(actions, DigitPressed) == [{"digits": "1#"}]
    stage.do(stage.dialogue.typed("And now?"))
    assert len(stage.asked()) == 2


def test_metadata_is_forwarded() -> None:
    stage = asked()
    actions = stage.llm(LlmMetadata(metadata=[1, {"a": None}]))
    assert actions[0] == SendMetadata([1, {"a": None}])
    assert kinds(actions) == ["SendMetadata", "MetadataForwarded"]


def test_what_is_not_known_is_told() -> None:
    assert kinds(asked().llm(UnknownLlmMessage(message='{"response_type": "new"}'))) == [
        "LlmMessageUnknown"
    ]


# -- a server that hangs up ----------------------------------------------------------------------


def test_what_it_has_sent_is_heard_before_the_call_ends() -> None:
    stage = asked()
    stage.llm(chunk(1, "Goodbye my friend. Have a "))
    assert kinds(stage.do(stage.dialogue.hung_up("it hung up"))) == ["Synthesize"]
    stage.wait(5)
    assert stage.lines[-1] == "agent: Goodbye my friend. Have a"
    (last,) = stage.all(HangUp)
    assert (last.reason, last.why, last.code) == ("it hung up", "agent_hangup", 1000)
    assert stage.when(HangUp) == pytest.approx(0.1 + 0.2 + 5 / 4, abs=0.05)
    assert len(stage.asked()) == 1


@pytest.mark.parametrize("begun", [True, False])
def test_who_has_nothing_to_say_is_gone_at_once(begun: bool) -> None:
    stage = asked() if begun else Stage(server=mute)
    assert stage.do(stage.dialogue.hung_up("bye")) == [HangUp("bye", "agent_hangup")]
    for late in (stage.wait(3), stage.do(stage.dialogue.hung_up("bye"))):
        assert late == []


def test_who_interrupts_the_last_words_ends_the_call() -> None:
    stage = asked()
    stage.llm(complete(1, "Goodbye and have a nice day."))
    stage.do(stage.dialogue.hung_up("bye"))
    stage.wait(0.6)
    actions = stage.say(STOP)
    assert kinds(actions)[:2] == ["Clear", "AgentInterrupted"]
    assert kinds(actions)[-1] == "HangUp"
    assert len(stage.asked()) == 1


# -- a server that was restarted -----------------------------------------------------------------


def restarted(stage: Stage) -> list[Action]:
    lost = stage.do(stage.dialogue.link_lost("it broke"))
    return lost + stage.do(stage.dialogue.link_back())


def test_an_answer_that_had_not_come_is_asked_for_again() -> None:
    stage = asked()
    actions = restarted(stage)
    assert kinds(actions) == ["LlmLinkChanged", "ResponseRequired", "LlmAsked"]
    first, again = stage.asked()
    assert again.response_id == first.response_id + 1
    assert again.transcript == first.transcript
    # The restarted server begins as at the start of a call.
    stage.llm(Config(), complete(0, "Hello, I am new."), complete(2, "There you are."))
    assert said(stage.wait(1)) == "There you are."


def test_an_answer_half_of_which_has_come_is_said_and_the_rest_asked_for() -> None:
    stage = asked()
    stage.llm(chunk(1, "First this. Then th"))
    stage.wait(0.2)
    restarted(stage)
    stage.wait(3)
    assert stage.lines[-1] == "agent: First this. Then th"
    assert [each.response_id for each in stage.asked()] == [1, 2]


def test_a_begin_message_that_had_not_come_is_waited_for() -> None:
    stage = Stage(server=mute)
    assert kinds(restarted(stage)) == ["LlmLinkChanged", "UpdateOnly"]
    stage.llm(complete(0, "Hello."))
    assert said(stage.wait(1)) == "Hello."


def test_with_nothing_outstanding_the_transcript_is_told() -> None:
    stage = Stage(server=mute)
    stage.greet("Hello.")
    stage.llm(interrupt(1, "Wait."))
    stage.wait(2)
    actions = restarted(stage)
    (told,) = [each.message for each in actions if isinstance(each, Ask)]
    assert isinstance(told, UpdateOnly)
    assert [each.content for each in told.transcript] == ["Hello.", "Wait."]
    assert kinds(stage.llm(complete(0, "Hello."))) == ["ResponseDropped"]
    stage.llm(interrupt(1, "Wait again."))  # a new process counts anew
    assert said(stage.wait(1)) == "Wait again."


def test_an_interrupt_that_stalls_keeps_nobody_waiting() -> None:
    stage = Stage(replace(DEFAULT_DIALOGUE, stalled_ms=2000), mute)
    stage.greet()
    stage.llm(interrupt(1, "Well", complete=False))
    stage.do(stage.dialogue.typed("Yes?"))
    assert [type(each) for each in stage.asked()] == [ResponseRequired]
    assert len(stage.all(Cancel)) == 0
