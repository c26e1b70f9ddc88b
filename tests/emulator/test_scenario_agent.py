"""A scenario on the wire, as a plain WebSocket client or a plain socket sees it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.callers import join, messages
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.files import WavWriter
from retell_voice.emulator import Emulator
from retell_voice.emulator.scenario import parse_scenario, scenario_agent
from retell_voice.emulator.scenario.faults import Wire
from retell_voice.emulator.server_events import CallEnded, ScenarioFailed, ServerEvent
from retell_voice.emulator.speech.mumble import mumble
from retell_voice.emulator.speech.ports import Speech, SpeechFailed
from retell_voice.errors import ConfigError
from retell_voice.transport.phone import PROVIDERS, formats_of, phone_route

AUDIO = AudioFormat(rate=8000)


@asynccontextmanager
async def joined(
    toml: str, query: str = "", **options: Any
) -> AsyncIterator[tuple[ClientConnection, list[ServerEvent]]]:
    """A call that performs a scenario; what happened is listed when it is over."""
    server_events: list[ServerEvent] = []
    async with Emulator(agent=scenario_agent(parse_scenario(toml), **options)) as emulator:
        call = emulator.register(AUDIO)
        async with join(emulator, call, query) as client:
            yield client, server_events
        await call.wait()
    server_events += [server_event async for server_event in emulator.events]


async def test_it_says_in_its_voice_and_hangs_up_at_the_end() -> None:
    async with joined("[[step]]\nsay = 'Hello there'", "?enable_audio_alignment=true") as (
        client,
        _,
    ):
        said = [json.loads(message) for message in await messages(client)]
    assert "".join(message["text"] for message in said) == "Hello there"
    assert (client.close_code, client.close_reason) == (1000, "")


class Voice:
    """Counts what it says; cannot say ``no``."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []

    async def synthesize(self, text: str, rate: int) -> Speech:
        if text == "no":
            raise SpeechFailed("the voice died")
        self.said.append((text, rate))
        return mumble(text, rate)


async def test_everything_is_spoken_once_before_the_first_step() -> None:
    voice = Voice()
    toml = "[[step]]\nrepeat = 3\nstep = [{say = 'one'}, {say = 'two'}]\n[[step]]\nsay = 'one'"
    async with joined(toml, tts=voice) as (client, _):
        await messages(client)
    assert voice.said == [("one", 8000), ("two", 8000)]


async def test_a_voice_that_fails_fails_the_scenario_before_it_begins() -> None:
    toml = "[[step]]\nclear = true\n[[step]]\nsay = 'no'"
    async with joined(toml, tts=Voice()) as (client, server_events):
        with pytest.raises(ConnectionClosedError):
            await client.recv()
    assert (client.close_code, client.close_reason) == (1011, "the voice died")
    assert [each.why for each in server_events if isinstance(each, ScenarioFailed)] == [
        "the voice died"
    ]


async def test_a_recording_is_played_at_the_rate_of_the_call(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "a.wav", 16000)
    writer.write(np.full(16000, 1000, np.int16))
    writer.close()
    (tmp_path / "a.toml").write_text("[[step]]\nplay = 'a.wav'", "utf-8")
    agent = scenario_agent(tmp_path / "a.toml")
    async with (
        Emulator(agent=agent) as emulator,
        join(emulator, emulator.register(AUDIO)) as client,
    ):
        data = b"".join(await messages(client))  # type: ignore[arg-type]
    assert len(data) == 16000
    assert np.frombuffer(data, "<i2")[4000] == pytest.approx(1000, abs=2)


def test_what_cannot_be_performed_is_known_before_the_call(tmp_path: Path) -> None:
    toml = "name = 'x'\n[[step]]\nclear = true\n[[step]]\nrepeat = 2\nstep = [{play = 'a.wav'}]"
    with pytest.raises(
        ConfigError, match=r"scenario 'x', step 2\.1: .*a\.wav: No such file"
    ) as caught:
        scenario_agent(parse_scenario(toml, folder=tmp_path))
    assert caught.value.hint == f"recordings are looked up in {tmp_path}"
    with pytest.raises(ConfigError, match="cannot run at 0 times real time"):
        scenario_agent(parse_scenario("[[step]]\nclear = true"), speed=0)
    with pytest.raises(ConfigError, match=r"a\.toml: No such file"):
        scenario_agent(tmp_path / "a.toml")


async def test_it_waits_for_a_text_that_may_have_come_before() -> None:
    toml = """
    [[step]]
    wait = {text = "two"}
    [[step]]
    wait = {text = "one"}
    [[step]]
    send = {text = "thanks"}
    [[step]]
    wait = {text = "one", at_most_seconds = 0.1}
    """
    async with joined(toml) as (client, server_events):
        await client.send("one")
        await client.send("two")
        assert await client.recv() == "thanks"
        await client.wait_closed()
    assert [each.number for each in server_events if isinstance(each, ScenarioFailed)] == ["4"]


async def test_what_the_user_said_before_counts_once() -> None:
    toml = """
    [[step]]
    wait = {text = "that was it"}
    [[step]]
    wait = {user_speaks = true}
    [[step]]
    wait = {user_stops = true}
    [[step]]
    send = {text = "heard"}
    [[step]]
    wait = {user_speaks = true, at_most_seconds = 0.1}
    """
    voice = 8000 * np.sin(np.arange(8000) / 3)
    async with joined(toml) as (client, server_events):
        await client.send(np.concatenate((voice, np.zeros(8000))).astype("<i2").tobytes())
        await client.send("that was it")
        assert await client.recv() == "heard"
        await client.wait_closed()
    assert [each.number for each in server_events if isinstance(each, ScenarioFailed)] == ["5"]


PIN = """
[[step]]
wait = {digits = "4?#", at_most_seconds = MOST, otherwise = "OTHERWISE"}
[[step]]
wait = {digits = "1"}
[[step]]
close = {code = 4000, reason = "that is it"}
"""


@pytest.mark.parametrize(
    ("dialect", "pressed", "otherwise", "most", "reason"),
    [
        *((dialect, "42#1", "fail", 0, "that is it") for dialect in PROVIDERS),
        ("twilio", "4#", "fail", 0.1, "scenario, step 1: waited 0.1 s in vain for the digits 4?#"),
        (
            *("twilio", "43*1", "fail", 0),
            "scenario, step 1: waited for the digits 4?#; the caller pressed 43*",
        ),
        ("twilio", "43*1", "go_on", 0, "that is it"),
    ],
)
async def test_it_waits_for_digits_and_checks_them(
    dialect: str, pressed: str, otherwise: str, most: float, reason: str
) -> None:
    toml = PIN.replace("MOST", str(most)).replace("OTHERWISE", otherwise)
    agent = scenario_agent(parse_scenario(toml))
    audio, _ = formats_of(dialect)
    async with (
        Emulator(accept_any=True, dialect=dialect, audio=audio, agent=agent) as emulator,
        asyncio.timeout(10),
    ):
        connection = await phone_route(dialect, f"{emulator.url}/call").connect(lambda: 0.0)
        for digit in pressed:
            connection.press(digit)  # type: ignore[attr-defined]
        async for _ in connection:
            pass
    assert connection.closed is not None
    assert connection.closed.reason == reason


async def test_digits_that_cannot_come_are_not_waited_for() -> None:
    async with joined("[[step]]\nwait = {digits = '1'}") as (client, _):
        await client.wait_closed()
    assert client.close_code == 1011
    assert "only in a phone provider's dialect" in str(client.close_reason)


async def test_during_a_stall_nothing_is_sent_and_then_everything() -> None:
    toml = (
        "[[step]]\nsend = {text = 'now'}\n[[step]]\nstall = {seconds = 0.3}\n[[step]]\nclear = true"
    )
    async with joined(toml) as (client, _):
        assert await client.recv() == "now"
        pong = await client.ping()
        await client.send("ping")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await pong
        assert loop.time() - began > 0.2
        assert await messages(client) == ["pong", "clear"]


async def test_half_open_nothing_comes_not_even_a_pong_or_a_close() -> None:
    toml = "[[step]]\nsend = {text = 'now'}\n[[step]]\nhalf_open = true"
    async with joined(toml) as (client, server_events):
        assert await client.recv() == "now"
        pong = asyncio.ensure_future(await client.ping())
        await client.send("ping")
        closing = asyncio.create_task(client.close())
        done, _ = await asyncio.wait({pong, closing}, timeout=1.3)  # the emulator's own is 1 s
        assert not done
        client.transport.abort()
        await closing
        await asyncio.gather(pong, return_exceptions=True)
    (ended,) = (each for each in server_events if isinstance(each, CallEnded))
    assert ended.why == "error_retell"


@pytest.mark.parametrize(
    "fault", ["half_open = true", "stall = {seconds = 99, stops = 'both'}", "wait = {seconds = 99}"]
)
async def test_whatever_it_does_an_emulator_stops_within_a_second_or_so(fault: str) -> None:
    agent = scenario_agent(parse_scenario(f"[[step]]\nsend = {{text = 'now'}}\n[[step]]\n{fault}"))
    async with Emulator(agent=agent) as emulator:
        call = emulator.register(AUDIO)
        async with join(emulator, call) as client:
            await client.recv()
            began = asyncio.get_running_loop().time()
            await emulator.__aexit__(None, None, None)
            assert asyncio.get_running_loop().time() - began < 3, "not ten"
            assert call.over


async def test_reset_and_drop_are_seen_on_the_socket() -> None:
    async with joined("[[step]]\nreset = true") as (client, _):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
    assert isinstance(caught.value.__cause__, ConnectionResetError)
    async with joined("[[step]]\ndrop = true") as (client, _):
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
    assert caught.value.rcvd is None
    assert not isinstance(caught.value.__cause__, OSError)


class Transport:
    """What a ``Wire`` writes to."""

    def __init__(self) -> None:
        self.log: list[bytes | str] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.log.append(data)

    def write_eof(self) -> None:
        self.log.append("end")

    def is_closing(self) -> bool:
        return self.closing


def test_what_a_wire_held_goes_out_in_one_piece() -> None:
    transport: Any = Transport()
    wire = Wire(transport)
    wire.write(b"1")
    with wire.held():
        wire.write(b"2")
        wire.write(bytearray(b"3"))  # type: ignore[arg-type]  # as websockets does
        wire.write_eof()
        assert transport.log == [b"1"]
    assert transport.log == [b"1", b"23", "end"]


def test_a_wire_writes_nothing_to_a_connection_that_is_gone() -> None:
    transport: Any = Transport()
    wire = Wire(transport)
    with wire.held():
        wire.write(b"1")
        transport.closing = True
    assert transport.log == []
    assert wire.closing  # everything else is the transport's own


async def test_clear_and_audio_come_in_one_segment() -> None:
    toml = """
    [[step]]
    wait = {text = "go"}
    [[step]]
    together = true
    step = [{clear = true}, {send = {hex = "0102"}}, {clear = true}]
    [[step]]
    wait = {caller_leaves = true}
    """
    async with Emulator(agent=scenario_agent(parse_scenario(toml))) as emulator:
        call = emulator.register(AUDIO)
        async with join(emulator, call) as client:
            arrived: list[bytes] = []
            feed = client.data_received

            def take(data: bytes) -> None:
                arrived.append(data)
                feed(data)

            client.data_received = take
            await client.send("go")
            assert [await client.recv() for _ in range(3)] == ["clear", b"\1\2", "clear"]
    assert b"\x81\x05clear\x82\x02\1\2\x81\x05clear" in arrived
