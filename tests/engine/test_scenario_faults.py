"""What a caller must do about a fault of the server: real calls against scenarios, real sockets."""

from pathlib import Path

import numpy as np
import pytest
from support.scenarios import GOODBYE, NORMAL, Conversation, perform

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.files import NullMicrophone, WavMicrophone, WavWriter
from retell_voice.emulator.scenario.bad_messages import BAD_MESSAGES
from retell_voice.errors import CallFailed
from retell_voice.events import AgentStarted, AgentStopped, AudioDropped, CallState, StateChanged

SURVIVABLE = [name for name in BAD_MESSAGES if name not in ("invalid_utf8", "bad_frame")]
UNKNOWN = {"unknown_event", "unknown_text", "empty_text", "huge_text"}


@pytest.mark.parametrize("name", SURVIVABLE)
async def test_a_bad_message_is_counted_and_survived(name: str) -> None:
    call = await perform(
        f"""
        [[step]]
        repeat = 3
        step = [{{bad_message = "{name}"}}]
        [[step]]
        tone = {{seconds = 0.1}}
        """
        + GOODBYE
    )
    assert call.how == NORMAL
    counted = call.figures.unknown_messages, call.figures.malformed_messages
    assert counted == ((3, 0) if name in UNKNOWN else (0, 3))
    assert call.figures.heard == 0.1


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ('bad_message = "invalid_utf8"', 1007),
        ('bad_message = "bad_frame"', 1002),
        ('bad_message = "huge_text"\nmebibytes = 17', 1009),
    ],
)
async def test_what_is_not_websocket_ends_the_call_with_its_code(step: str, code: int) -> None:
    call = await perform(
        f"[[step]]\ntone = {{seconds = 0.1}}\n[[step]]\n{step}\n[[step]]\nwait = {{seconds = 9}}"
    )
    assert call.how[:2] == ("network", code)
    assert isinstance(call.end.error, CallFailed)
    assert str(code) in str(call.end.error)


async def test_a_stall_of_the_server_is_heard_as_a_gap_and_survived() -> None:
    call = await perform(
        """
        [[step]]
        tone = {seconds = 2}
        pace = 1
        chunk_ms = 20
        [[step]]
        stall = {seconds = 2}
        [[step]]
        tone = {seconds = 2}
        pace = 1
        chunk_ms = 20
        """
        + GOODBYE,
        speed=4,
    )
    assert call.how == NORMAL
    assert call.figures.heard == 4


@pytest.mark.parametrize("stops", ["sending", "reading", "both"])
async def test_what_was_said_during_a_stall_is_not_lost(tmp_path: Path, stops: str) -> None:
    ramp = np.arange(16000, dtype=np.int16)
    writer = WavWriter(tmp_path / "ramp.wav", 8000)
    writer.write(ramp)
    writer.close()
    call = await perform(
        f"""
        [[step]]
        wait = {{microphone_frames = 1}}
        [[step]]
        stall = {{seconds = 1, stops = "{stops}"}}
        [[step]]
        wait = {{microphone_seconds = 2}}
        """
        + GOODBYE,
        speed=4,
        microphone=WavMicrophone(tmp_path / "ramp.wav", speed=4),
    )
    assert call.how == NORMAL
    assert np.array_equal(call.registered.received[:16000], ramp)


async def test_a_server_that_stops_reading_costs_the_oldest_words_and_not_the_call() -> None:
    call = await perform(
        "[[step]]\nstall = {seconds = 60, stops = 'reading'}" + GOODBYE,
        speed=60,
        audio=AudioFormat(rate=48000),
        microphone=NullMicrophone(48000, speed=60),
    )
    assert call.how == NORMAL
    assert {event.side for event in call.all(AudioDropped)} == {"near_end"}
    assert call.figures.frames_dropped > 0


@pytest.mark.usefixtures("heartbeats")
@pytest.mark.parametrize(
    "fault",
    ["half_open = true", "stall = {seconds = 2}", "stall = {seconds = 2, stops = 'reading'}"],
)
async def test_a_half_open_connection_is_noticed(fault: str) -> None:
    call = await perform(f"[[step]]\ntone = {{seconds = 0.1}}\n[[step]]\n{fault}")
    assert call.how == ("network", 1006, "nothing came from the server for 0.3 s")
    assert call.registered.close_code == 1006


@pytest.mark.usefixtures("heartbeats")
async def test_a_stall_that_is_over_in_time_ends_nothing() -> None:
    call = await perform("[[step]]\nstall = {seconds = 0.15}" + GOODBYE)
    assert call.how == NORMAL


async def test_hanging_up_on_a_half_open_connection_takes_no_longer() -> None:
    conversation = Conversation("[[step]]\ntone = {seconds = 9}\n[[step]]\nhalf_open = true")
    async with conversation.open() as call:
        async for event in call:
            if isinstance(event, AgentStarted):
                break
        began = call.statistics().at
        await call.hang_up()
    assert conversation.end.by == "you"
    assert conversation.end.at - began < 2


async def test_what_had_arrived_is_heard_after_an_end_without_a_closing_frame() -> None:
    call = await perform("[[step]]\ntone = {seconds = 1}\n[[step]]\ndrop = true")
    assert call.how[:2] == ("network", 1006)
    assert call.figures.heard == 1
    states = [event.state for event in call.all(StateChanged)]
    assert states == list(CallState)
    (stopped,) = call.all(AgentStopped)
    assert not stopped.interrupted


@pytest.mark.usefixtures("heartbeats")
async def test_what_had_arrived_is_heard_when_the_server_falls_silent() -> None:
    call = await perform("[[step]]\ntone = {seconds = 1}\n[[step]]\nhalf_open = true")
    assert call.how == ("network", 1006, "nothing came from the server for 0.3 s")
    assert call.figures.heard == 1


async def test_the_last_words_after_a_broken_connection_are_bounded() -> None:
    toml = "[[step]]\ntone = {seconds = 60}\n[[step]]\ndrop = true"
    call = await perform(toml, drain_timeout=0.1)
    assert call.how[:2] == ("network", 1006)
    assert call.figures.heard < 2


@pytest.mark.parametrize("fault", ["reset", "drop"])
async def test_a_connection_that_breaks_ends_the_call(fault: str) -> None:
    call = await perform(f"[[step]]\ntone = {{seconds = 0.1}}\n[[step]]\n{fault} = true")
    assert call.how[:2] == ("network", 1006)
    assert isinstance(call.end.error, CallFailed)
    assert call.registered.disconnection_reason == "error_retell"
    assert call.registered.close_code == 1006


@pytest.mark.parametrize(
    ("close", "code", "reason", "why"),
    [
        ("true", 1000, "", "agent_hangup"),
        ("{code = 1008, reason = 'no'}", 1008, "no", "error_unknown"),
        (
            "{code = 1011, reason = 'gone', disconnection_reason = 'error_llm_websocket_open'}",
            1011,
            "gone",
            "error_llm_websocket_open",
        ),
        ("{code = 4999}", 4999, "", "error_unknown"),
    ],
)
async def test_a_close_shows_code_and_reason(close: str, code: int, reason: str, why: str) -> None:
    call = await perform(f"[[step]]\ntone = {{seconds = 0.1}}\n[[step]]\nclose = {close}")
    assert call.how == ("server", code, reason)
    assert isinstance(call.end.error, CallFailed) == (code != 1000)
    assert call.registered.disconnection_reason == why
    assert call.figures.heard == 0.1  # last words are heard all the same
