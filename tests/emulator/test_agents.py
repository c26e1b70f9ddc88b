"""The parrot over a real socket, at many times real time."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from support.talker import talker
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from retell_voice.audio.format import AudioFormat, Encoding, Samples
from retell_voice.emulator import (
    CALLER,
    GREETING,
    AgentInterrupted,
    AgentSpoke,
    CallStatus,
    Emulator,
    ParrotSettings,
    RegisteredCall,
    UserSpoke,
    parrot_agent,
)
from retell_voice.emulator.recordings import load_speech
from retell_voice.emulator.rest.call_json import call_body


@dataclass
class Caller:
    """What a caller was sent, audio decoded, in the order in which it came."""

    audio: AudioFormat
    received: list[Any] = field(default_factory=list)

    async def listen(self, client: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in client:
                self.received.append(json.loads(message) if message[0] == "{" else message)

    def samples(self) -> list[Samples]:
        """Agent audio, a new piece after every ``clear``."""
        pieces: list[list[bytes]] = [[]]
        for message in self.received:
            if isinstance(message, bytes):
                pieces[-1].append(message)
            elif message == "clear":
                pieces.append([])
        return [self.audio.decode(b"".join(each)) for each in pieces]

    def of_type(self, name: str) -> list[Any]:
        events = [each for each in self.received if isinstance(each, dict)]
        return [each for each in events if each.get("event_type") == name]


async def talk(
    emulator: Emulator,
    call: RegisteredCall,
    *,
    seconds: float | None = None,
    query: str = "",
    speed: float = 40,
) -> Caller:
    """Play the bundled caller to the emulator, in frames of an odd length."""
    audio = call.audio
    data = audio.encode(load_speech(CALLER, audio.rate).samples)
    data = data[: int(seconds * audio.rate) * audio.sample_width] if seconds else data
    frame = audio.rate // 50 * audio.sample_width + 1
    caller = Caller(audio)
    url = f"{emulator.url}/{call.call_id}{query}"
    async with connect(url, compression=None) as client:
        listening = asyncio.create_task(caller.listen(client))
        for start in range(0, len(data), frame):
            await client.send(data[start : start + frame])
            await asyncio.sleep(0.02 / speed)  # the pace of a microphone
    await listening
    await call.wait()
    return caller


async def test_a_parrot_that_is_typed_to_answers() -> None:
    async with Emulator() as emulator:
        call = emulator.register(AudioFormat(rate=16000))
        async with talker(emulator, call) as caller:
            await caller.until(caller.lines)
            emulator.type("Good morning.")
            await caller.until(caller.told("agent: Good morning."))
            await caller.client.close()
    assert "clear" in caller.received
    assert caller.lines()[-2:] == ["user: Good morning.", "agent: Good morning."]


async def test_a_whole_conversation() -> None:
    async with Emulator(record=True) as emulator:
        call = emulator.register(AudioFormat(rate=16000))
        caller = await talk(emulator, call, query="?enable_update=true", speed=8)
    greeting = load_speech(GREETING, 16000).samples
    before, after = caller.samples()
    assert np.array_equal(before[: len(greeting)], greeting)
    heard = call.received
    answers = [before[len(greeting) :], after]
    for answer in answers:
        assert len(answer) > 2 * 16000
        assert heard.tobytes().find(answer[:16000].tobytes()) % 2 == 0
    assert caller.of_type("metadata")[0]["metadata"]["agent"] == "parrot"
    turns = [each["turntaking"] for each in caller.of_type("update") if "turntaking" in each]
    assert turns == ["agent_turn", "user_turn"] * 3 + ["agent_turn"]
    details = call_body(call)
    assert details["transcript"].count("Agent:") == 4
    assert details["transcript"].count("User:") == 3
    assert details["call_status"] == "ended"
    happened = [type(each) async for each in emulator.events]
    assert happened.count(UserSpoke) == 3
    assert happened.count(AgentSpoke) == 4
    assert happened.count(AgentInterrupted) == 1


async def test_without_updates_there_is_audio_clear_and_metadata_only() -> None:
    async with Emulator() as emulator:
        call = emulator.register(AudioFormat(Encoding.MULAW, 8000))
        caller = await talk(emulator, call, seconds=10)
    assert caller.of_type("update") == []
    assert {type(each) for each in caller.received} == {bytes, dict}
    (audio,) = caller.samples()
    assert len(audio) > 6 * 8000


async def test_with_alignment_the_texts_joined_are_the_transcript() -> None:
    async with Emulator() as emulator:
        call = emulator.register(AudioFormat(rate=8000))
        caller = await talk(emulator, call, seconds=10, query="?enable_audio_alignment=true")
    aligned = [each for each in caller.received if isinstance(each, dict) and "audio" in each]
    assert not any(isinstance(each, bytes) for each in caller.received)
    text = "".join(each["text"] for each in aligned)
    said = [each.content for each in call.transcript if each.role == "agent"]
    assert text == "".join(said)
    assert text.startswith("Hello! I am the parrot.")


async def test_the_greeting_does_not_wait_for_a_microphone() -> None:
    async with Emulator() as emulator:
        call = emulator.register()
        async with connect(f"{emulator.url}/{call.call_id}") as client:
            await client.recv()  # metadata
            received = 0
            while received < 2 * len(load_speech(GREETING, 24000).samples):
                received += len(await client.recv())


async def test_silence_ends_the_call() -> None:
    agent = parrot_agent(ParrotSettings(end_call_after_silence_ms=20_000))
    async with Emulator(agent=agent) as emulator:
        call = emulator.register(AudioFormat(rate=8000), end_call_after_silence_ms=10_000)
        async with connect(f"{emulator.url}/{call.call_id}") as client:
            caller = Caller(call.audio)
            listening = asyncio.create_task(caller.listen(client))
            with contextlib.suppress(ConnectionClosed):
                for _ in range(30):
                    await client.send(bytes(16000))
            await listening
        await call.wait()
    assert (client.close_code, client.close_reason) == (1000, "the user was silent for 10 s")
    assert (call.status, call.disconnection_reason) == (CallStatus.ENDED, "inactivity")


async def test_a_caller_without_a_microphone_is_given_up() -> None:
    async with Emulator(agent=parrot_agent(audio_timeout=0.05)) as emulator:
        call = emulator.register()
        async with connect(f"{emulator.url}/{call.call_id}") as client:
            await Caller(call.audio).listen(client)
        await call.wait()
    assert client.close_reason == "no microphone audio for 0.05 s"
    assert (call.status, call.disconnection_reason) == (
        CallStatus.ERROR,
        "error_no_audio_received",
    )


async def test_a_recording_that_cannot_be_read_fails_the_call_not_the_server(
    caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    async with Emulator(agent=parrot_agent(greeting=tmp_path / "none.wav")) as emulator:
        call = emulator.register()
        async with connect(f"{emulator.url}/{call.call_id}") as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert client.close_code == 1011
    assert "none.wav" in caplog.text


async def test_what_was_not_sent_yet_is_not_sent_after_an_interruption() -> None:
    """A caller that reads nothing until it has interrupted gets no more than is under way."""
    async with Emulator(stall_timeout=5.0) as emulator:
        call = emulator.register(AudioFormat(rate=48000))
        url = f"{emulator.url}/{call.call_id}"
        async with connect(url, compression=None, max_queue=1) as client:
            speech = load_speech(CALLER, 48000).samples
            first = int(np.flatnonzero(np.abs(speech) > 100)[0])
            for start in range(first, first + 48000, 960):
                await client.send(speech[start : start + 960].tobytes())
            caller = Caller(call.audio)
            async with asyncio.timeout(5):
                while "clear" not in caller.received:
                    message = await client.recv()
                    caller.received.append(json.loads(message) if message[0] == "{" else message)
    before, after = caller.samples()
    assert len(after) == 0
    assert len(before) <= len(load_speech(GREETING, 48000).samples)
