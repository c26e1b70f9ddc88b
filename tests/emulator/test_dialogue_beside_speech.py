"""What is not spoken in a call with an LLM server: typed turns, nudges, tools and settings."""

from support.stage import LONG, MIKE, SPELLED, TIME, Stage, complete, kinds, mute, reports

from retell_voice.emulator.actions import Clear
from retell_voice.emulator.llm.server_events import AgentReconfigured
from retell_voice.protocol.llm import (
    AgentConfig,
    Config,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
)

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
