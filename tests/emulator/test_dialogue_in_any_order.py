"""Whatever happens in a call with an LLM server, what its dialogue does is consistent."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.stage import LONG, Stage, chunk, complete, echo, interrupt, mute, said

from retell_voice.emulator.actions import HangUp, Recognize, Say, Synthesize, Update
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.protocol.llm import AgentConfig, UpdateAgent

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
