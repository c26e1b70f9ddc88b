"""What a caller must do about every fault: real calls against scenarios, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.emulator import Emulator
from retell_voice.emulator.scenario import parse_scenario, scenario_agent
from retell_voice.emulator.scenario.bad_messages import BAD_MESSAGES
from retell_voice.emulator.server_events import ScenarioFailed, ScenarioStep, ServerEvent, UserSpoke
from retell_voice.engine.call import Call
from retell_voice.engine.timing import DEFAULT_TIMING, Timing
from retell_voice.errors import CallFailed, Rejected
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Alignment,
    AudioDropped,
    CallState,
    Ended,
    Event,
    Metadata,
    StateChanged,
    Statistics,
    Transcript,
    Turn,
    Utterance,
)

AUDIO = AudioFormat(Encoding.S16LE, 8000)
GOODBYE = '\n[[step]]\nclose = {reason = "that is all"}'
NORMAL = ("server", 1000, "that is all")


class Conversation:
    """One call, and when it is over what both sides say of it."""

    timing = DEFAULT_TIMING

    def __init__(self, toml: str | Path, *, speed: float = 1.0, **options: Any) -> None:
        scenario = parse_scenario(toml) if isinstance(toml, str) else toml
        self.emulator = Emulator(agent=scenario_agent(scenario, speed=speed), record=True)
        self.options = {
            "microphone": NullMicrophone(8000, speed=speed),
            "speaker": NullSpeaker(8000, speed=speed),
            "audio": AUDIO,
            "timing": self.timing,
            **options,
        }
        self.events: list[Event] = []
        self.server_events: list[ServerEvent] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Call]:
        """Call, and in the end listen until the call is over."""
        async with self.emulator:
            self.registered = self.emulator.register(self.options["audio"])
            url = self.emulator.url
            async with Call(self.registered.call_id, url=url, **self.options) as call:
                yield call
                self.events += [event async for event in call]
            await self.registered.wait()
        self.server_events = [server_event async for server_event in self.emulator.events]

    def all(self, kind: type) -> list[Any]:
        return [each for each in (*self.events, *self.server_events) if isinstance(each, kind)]

    @property
    def end(self) -> Ended:
        assert isinstance(self.events[-1], Ended)
        return self.events[-1]

    @property
    def how(self) -> tuple[str, int | None, str]:
        return self.end.by, self.end.code, self.end.reason

    @property
    def figures(self) -> Statistics:
        return self.end.statistics


async def perform(toml: str | Path, **options: Any) -> Conversation:
    conversation = Conversation(toml, **options)
    async with conversation.open():
        pass
    return conversation


@pytest.fixture
def heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that notices silence within 0.3 s, not 15."""
    monkeypatch.setattr(Conversation, "timing", Timing(heartbeat=0.02, silence_limit=0.3))


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


@pytest.mark.parametrize("delivery", ["chunk_bytes = 333", "chunk_bytes = 7", "chunk_ms = 60000"])
async def test_odd_bytes_and_one_large_frame_are_heard_to_the_sample(
    tmp_path: Path, delivery: str
) -> None:
    writer = WavWriter(tmp_path / "ramp.wav", 8000)
    ramp = np.arange(10001, 14001, dtype=np.int16)
    writer.write(ramp)
    writer.close()
    call = await perform(
        f"""
        [[step]]
        play = "{(tmp_path / "ramp.wav").as_posix()}"
        {delivery}
        """
        + GOODBYE,
        speed=2,
        speaker=WavSpeaker(tmp_path / "agent.wav", 8000, speed=2),
        jitter=(1.0, 1.0),  # a thousand frames take their time: none may be late
    )
    assert call.how == NORMAL
    heard, _ = read_wav(tmp_path / "agent.wav")
    assert heard[heard > 10000].tolist() == ramp.tolist()
    assert call.figures.heard == 0.5


async def test_every_byte_in_a_frame_of_its_own() -> None:
    call = await perform("[[step]]\ntone = {seconds = 0.1}\nchunk_bytes = 1" + GOODBYE)
    assert call.how == NORMAL
    assert call.figures.heard == 0.1
    assert call.figures.bytes_received == 1600


async def test_minutes_in_one_frame_are_taken_and_cleared() -> None:
    call = await perform(
        """
        [[step]]
        tone = {seconds = 500}
        chunk_ms = 600000
        [[step]]
        wait = {microphone_seconds = 1}
        [[step]]
        clear = true
        """
        + GOODBYE
    )
    assert call.how == NORMAL
    assert call.figures.heard + call.figures.discarded == pytest.approx(500)
    assert call.figures.bytes_received == 500 * 16000


async def test_after_a_clear_in_the_same_piece_only_what_follows_is_heard(tmp_path: Path) -> None:
    """Half a sample, a clear twice over and whole samples, all in one TCP segment."""
    writer = WavWriter(tmp_path / "ramp.wav", 8000)
    ramp = np.arange(10001, 12001, dtype=np.int16)
    writer.write(ramp)
    writer.close()
    call = await perform(
        f"""
        [[step]]
        tone = {{seconds = 60, hz = 200, dbfs = -20}}
        [[step]]
        wait = {{microphone_seconds = 0.5}}
        [[step]]
        together = true
        step = [
            {{tone = {{seconds = 1, hz = 200, dbfs = -20}}}},
            {{send = {{hex = "7f"}}}},
            {{clear = true}},
            {{clear = true}},
            {{play = "{(tmp_path / "ramp.wav").as_posix()}"}},
        ]
        """
        + GOODBYE,
        speaker=WavSpeaker(tmp_path / "agent.wav", 8000),
    )
    assert call.how == NORMAL
    heard, _ = read_wav(tmp_path / "agent.wav")
    assert heard[heard > 10000].tolist() == ramp.tolist()
    first = np.flatnonzero(heard > 10000)[0]
    assert not heard[first + len(ramp) :].any()
    assert call.figures.clears == 2
    assert call.figures.heard + call.figures.discarded == pytest.approx(61.25)


@pytest.mark.parametrize(
    "delivery",
    [
        "pace = 0.8",
        "pace = 1\njitter_ms = 300",
        "burst_seconds = 1",
    ],
)
async def test_audio_that_comes_late_is_heard_all_the_same(delivery: str) -> None:
    call = await perform(
        f"[[step]]\ntone = {{seconds = 4}}\nchunk_ms = 20\n{delivery}" + GOODBYE, speed=4
    )
    assert call.how == NORMAL
    assert call.figures.heard == 4
    if "burst" not in delivery:
        assert call.figures.underruns > 0


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
