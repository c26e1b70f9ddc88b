"""What a caller gets of a scenario, step by step, and of the examples: real calls, real sockets."""

from pathlib import Path

import numpy as np
import pytest
from support.scenarios import GOODBYE, NORMAL, Conversation, perform

from retell_voice.devices.files import WavMicrophone, WavWriter
from retell_voice.emulator.scenario import parse_scenario
from retell_voice.emulator.server_events import ScenarioFailed, ScenarioStep, UserSpoke
from retell_voice.errors import CallFailed, Rejected
from retell_voice.events import (
    AgentStopped,
    Alignment,
    Metadata,
    Statistics,
    Transcript,
    Turn,
    Utterance,
)


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """Silence, a second of something loud, silence."""
    writer = WavWriter(tmp_path / "voice.wav", 8000)
    loud = 8000 * np.sin(np.arange(8000) / 3)
    writer.write(np.concatenate((np.zeros(4000), loud, np.zeros(8000))).astype(np.int16))
    writer.close()
    return tmp_path / "voice.wav"


async def test_a_scenario_is_performed_step_by_step() -> None:
    call = await perform(
        """
        [[step]]
        update = {turn = "agent", transcript = [{role = "agent", content = "Hi"}]}
        [[step]]
        metadata = {mood = "fine"}
        [[step]]
        say = "Hello."
        [[step]]
        wait = {heard = true}
        """
        + GOODBYE,
        speed=4,
    )
    assert call.how == NORMAL
    assert call.all(Transcript)[0].utterances == (Utterance("agent", "Hi"),)
    assert [event.speaker for event in call.all(Turn)] == ["agent"]
    assert [event.metadata for event in call.all(Metadata)] == [{"mood": "fine"}]
    steps = [(step.number, step.name) for step in call.all(ScenarioStep)]
    assert steps == [
        ("1", "update"),
        ("2", "metadata"),
        ("3", "say"),
        ("4", "wait"),
        ("5", "close"),
    ]
    assert str(call.all(ScenarioStep)[4]) == "step 5: close reason 'that is all'"
    (stopped,) = call.all(AgentStopped)
    # What was said had been heard before the server closed.
    assert stopped.at < call.end.at
    assert not stopped.interrupted
    assert call.registered.disconnection_reason == "agent_hangup"
    assert call.registered.transcript == (Utterance("agent", "Hi"),)


async def test_an_interruption(voice: Path) -> None:
    call = await perform(
        """
        [[step]]
        tone = {seconds = 60}
        [[step]]
        wait = {user_speaks = true}
        [[step]]
        clear = true
        [[step]]
        wait = {user_stops = true}
        """
        + GOODBYE,
        speed=4,
        microphone=WavMicrophone(voice, speed=4),
    )
    assert call.how == NORMAL
    (stopped,) = call.all(AgentStopped)
    assert stopped.interrupted
    assert 50 < stopped.discarded < 60
    (spoke,) = call.all(UserSpoke)
    assert spoke.duration == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("user_speaks = true", "the user to speak"),
        ("user_stops = true", "the user to stop speaking"),
        ("microphone_seconds = 999", "microphone audio"),
        ("microphone_frames = 9999", "frames of microphone audio"),
        ("text = 'go on'", "a text from the caller"),
        ("ping = true", "a ping"),
        ("caller_leaves = true", "the caller to hang up"),
    ],
)
async def test_waiting_in_vain_fails_the_scenario_and_says_for_what(
    condition: str, words: str
) -> None:
    wait = f"[[step]]\nwait = {{{condition}, at_most_seconds = 0.5}}"
    call = await perform(f"[[step]]\nclear = true\n{wait}", speed=5)
    (failed,) = call.all(ScenarioFailed)
    assert (failed.number, failed.why) == ("2", f"waited 0.5 s in vain for {words}")
    assert str(failed) == f"the scenario failed at step 2: {failed.why}"
    assert call.how == ("server", 1011, f"scenario, step 2: {failed.why}")
    assert isinstance(call.end.error, CallFailed)


async def test_waiting_in_vain_can_be_gone_over() -> None:
    wait = "[[step]]\nwait = {heard = true, at_most_seconds = 0.1, otherwise = 'go_on'}"
    call = await perform(f"[[step]]\ntone = {{seconds = 9}}\n{wait}\n{GOODBYE}", drain_timeout=0)
    assert call.how == NORMAL
    assert call.all(ScenarioFailed) == []


@pytest.mark.parametrize(
    "condition",
    ["seconds = 0.01", "microphone_seconds = 0.5", "microphone_frames = 5", "ping = true"],
)
@pytest.mark.usefixtures("heartbeats")
async def test_what_is_waited_for_comes(condition: str) -> None:
    call = await perform(f"[[step]]\nwait = {{{condition}}}\n{GOODBYE}", speed=4)
    assert call.how == NORMAL


async def test_a_scenario_of_another_format_does_not_begin() -> None:
    call = await perform("name = 'x'\naudio = {rate = 16000}\n[[step]]\nclear = true")
    why = "the scenario 'x' is for 16000 Hz, not s16le 8000 Hz"
    assert call.how == ("server", 1011, why)
    assert [str(failed) for failed in call.all(ScenarioFailed)] == [why]
    assert call.all(ScenarioStep) == []
    assert isinstance(call.end.error, Rejected)


async def test_the_caller_may_leave_at_any_time() -> None:
    conversation = Conversation("[[step]]\nrepeat = 'forever'\nstep = [{clear = true}]")
    async with conversation.open() as call:
        async for event in call:
            if isinstance(event, Statistics) and event.clears > 100:
                await call.hang_up()
                break
    assert conversation.end.by == "you"
    assert conversation.registered.disconnection_reason == "user_hangup"
    assert conversation.all(ScenarioFailed) == []


@pytest.mark.parametrize(
    ("asked", "alignment", "told"),
    [
        (True, "asked", ["one two"]),
        (True, "off", []),
        (False, "asked", []),
        (False, "forced", ["one two"]),
    ],
)
async def test_text_goes_with_audio_when_asked_for_or_forced(
    asked: bool, alignment: str, told: list[str]
) -> None:
    call = await perform(
        f"""
        [[step]]
        tone = {{seconds = 0.2}}
        text = "one two"
        chunk_ms = 200
        alignment = "{alignment}"
        """
        + GOODBYE,
        alignment=asked,
    )
    assert [event.text for event in call.all(Alignment)] == told
    assert call.figures.heard == 0.2


@pytest.mark.parametrize(("asked", "forced"), [(True, False), (False, True), (False, False)])
async def test_updates_go_to_who_asked_unless_forced(asked: bool, forced: bool) -> None:
    more = ", forced = true" if forced else ""
    update = f"[[step]]\nupdate = {{turn = 'user'{more}}}"
    call = await perform(update + GOODBYE, updates=asked)
    assert len(call.all(Turn)) == (asked or forced)


async def test_raw_messages() -> None:
    call = await perform(
        """
        [[step]]
        send = {text = '{"event_type": "metadata", "metadata": 7}'}
        [[step]]
        send = {hex = "0100 0200"}
        """
        + GOODBYE
    )
    assert [event.metadata for event in call.all(Metadata)] == [7]
    assert call.figures.bytes_received == 4


EXAMPLES = Path(__file__).parents[2] / "examples" / "scenarios"
ENDS = {
    "bad-network": ("server", 1000),
    "conversation": ("server", 1000),
    "frames": ("server", 1000),
    "bad-messages": ("server", 1000),
    "half-open": ("network", 1006),
    "interruption": ("server", 1000),
    "reset": ("network", 1006),
}


def test_no_example_is_left_out() -> None:
    assert {path.stem for path in EXAMPLES.iterdir()} == set(ENDS) | {"menu", "web-call"}


def test_the_example_of_a_menu_waits_for_digits() -> None:
    """Digits are waited for in tests/emulator/test_scenario_agent.py."""
    text = (EXAMPLES / "menu.toml").read_text("utf-8")
    parse_scenario(text)
    assert "digits" in text


def test_the_example_for_web_calls_is_a_scenario() -> None:
    """What each of its steps does is tried in tests/emulator/test_web_call_faults.py."""
    scenario = parse_scenario((EXAMPLES / "web-call.toml").read_text("utf-8"))
    assert len(scenario.request_faults) == 2


@pytest.mark.parametrize("name", ENDS)
async def test_the_examples_do_what_they_say(
    name: str, voice: Path, request: pytest.FixtureRequest
) -> None:
    if name == "half-open":
        request.getfixturevalue("heartbeats")
    microphone = WavMicrophone(voice, speed=4)
    call = await perform(EXAMPLES / f"{name}.toml", speed=4, microphone=microphone)
    assert call.how[:2] == ENDS[name]
    assert call.all(ScenarioFailed) == []
    assert call.figures.heard > 0
