"""What an agent can do in a call, on a real socket."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from support.callers import join, messages

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import (
    CallOver,
    CallStatus,
    Emulator,
    Session,
)
from retell_voice.emulator.rest.call_json import call_body
from retell_voice.emulator.session import MAX_TEXTS, MAX_TYPED
from retell_voice.events import Utterance


async def test_a_scripted_agent_says_everything_there_is_to_say() -> None:
    samples = np.arange(5000, dtype=np.int16)
    said = (Utterance("agent", "Hello"),)

    async def agent(session: Session) -> None:
        await session.metadata({"a": 1})
        await session.update(said, "agent")
        await session.send_audio(samples, "Hello")
        await session.send_audio(b"\x01\x02\x03")
        await session.clear()
        await session.close(1000, "that is all")

    async with Emulator(agent=agent) as emulator:
        call = emulator.register(AudioFormat(rate=16000))
        async with join(emulator, call, "?enable_update=true") as client:
            metadata, update, *audio, odd, clear = await messages(client)
        await call.wait()
    assert json.loads(metadata) == {"event_type": "metadata", "metadata": {"a": 1}}
    assert json.loads(update)["turntaking"] == "agent_turn"
    assert [len(chunk) for chunk in audio] == [3200, 3200, 3200, 400]
    assert b"".join(chunk for chunk in audio if isinstance(chunk, bytes)) == samples.tobytes()
    assert (odd, clear) == (b"\x01\x02\x03", "clear")
    assert (client.close_code, client.close_reason) == (1000, "that is all")
    assert (call.close_code, call.close_reason) == (1000, "that is all")
    assert call.disconnection_reason == "agent_hangup"
    assert call.transcript == said


@pytest.mark.parametrize(
    ("audio", "what"),
    [
        (np.zeros(400, np.float32), "float32, shape (400,)"),
        (np.zeros((400, 2), np.int16), "int16, shape (400, 2)"),
        (np.zeros(400, np.int32), "int32, shape (400,)"),
        ([0] * 400, "list"),
    ],
)
async def test_audio_that_is_none_is_refused(audio: Any, what: str) -> None:
    said: list[str] = []

    async def agent(session: Session) -> None:
        try:
            await session.send_audio(audio)
        except TypeError as error:
            said.append(str(error))

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            assert await messages(client) == []
    assert said == [f"audio must be mono int16, shape (n,), or bytes; it is {what}"]


async def test_updates_only_for_those_who_asked() -> None:
    async def agent(session: Session) -> None:
        await session.update((Utterance("agent", "Hello"),), "agent")

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            assert await messages(client) == []
        await call.wait()
        assert call_body(call)["transcript"] == "Agent: Hello\n"


async def test_with_alignment_audio_comes_with_its_text() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(np.full(4800, 7, np.int16), "Hello")

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        async with join(emulator, call, "?enable_audio_alignment=true") as client:
            received = [json.loads(message) for message in await messages(client)]
    assert [message["text"] for message in received] == ["Hello", ""]
    assert set(received[0]) == {"text", "audio"}


async def test_microphone_audio_of_any_length_arrives_whole() -> None:
    heard: list[Any] = []

    async def agent(session: Session) -> None:
        while (message := await session.receive()) is not None:
            heard.append(message)

    samples = np.arange(-3000, 3000, dtype=np.int16)
    data = samples.tobytes()
    async with Emulator(agent=agent, record=True) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            for start, end in ((0, 1), (1, 2), (2, 2), (2, 1001), (1001, 12000)):
                await client.send(data[start:end])
            await client.send("a text")
            await client.send("ping")
            assert await client.recv() == "pong"
        await call.wait()
    assert heard.pop() == "a text"
    assert np.concatenate(heard).tobytes() == data
    assert call.received.tobytes() == data


async def test_an_agent_that_does_not_listen_loses_only_the_oldest() -> None:
    heard: list[Any] = []

    async def agent(session: Session) -> None:
        await session.wait_closed()
        heard.extend([samples async for samples in session])
        heard.append(session.dropped)

    async with Emulator(agent=agent) as emulator:
        call = emulator.register(AudioFormat(rate=8000))
        async with join(emulator, call) as client:
            for second in range(70):
                await client.send(np.full(8000, second, np.int16).tobytes())
        await call.wait()
    *frames, dropped = heard
    assert dropped == 10 * 8000
    assert [int(frame[0]) for frame in frames] == list(range(10, 70))


async def test_an_agent_that_does_not_listen_is_kept_so_many_texts() -> None:
    heard: list[Any] = []

    async def agent(session: Session) -> None:
        await session.wait_closed()
        while (message := await session.receive()) is not None:
            heard.append(message)
        heard.append(session.dropped_texts)

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            for number in range(MAX_TEXTS + 5):
                await client.send(f"text {number}")
        await call.wait()
    assert heard == [*(f"text {number}" for number in range(MAX_TEXTS)), 5]


async def test_heartbeats_can_stay_unanswered() -> None:
    async def agent(session: Session) -> None:
        async for _ in session:
            await session.send("heard")

    async with Emulator(agent=agent, answer_pings=False) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            await client.send("ping")
            await client.send(b"\0\0")
            assert await client.recv() == "heard"


async def test_a_caller_that_does_not_read_loses_the_call() -> None:
    sent = 0
    over = asyncio.Event()

    async def agent(session: Session) -> None:
        nonlocal sent
        try:
            while True:
                await session.send_audio(bytes(48000))
                sent += 48000
        except CallOver:
            over.set()
            raise

    async with Emulator(agent=agent, stall_timeout=0.2) as emulator:
        call = emulator.register()
        client = await join(emulator, call)
        client.transport.pause_reading()
        async with asyncio.timeout(10):
            await over.wait()
            await call.wait()
        assert call.status is CallStatus.ERROR
        assert sent < 20e6  # what the kernel takes on a loopback, not what the agent has to say
        client.transport.abort()


@pytest.mark.parametrize(
    ("reason", "told"), [("ü" * 100, "ü" * 61), ("transferred to \ud800", "transferred to ?")]
)
async def test_a_reason_is_made_to_fit(reason: str, told: str) -> None:
    async def agent(session: Session) -> None:
        await session.close(1000, reason)

    async with Emulator(agent=agent) as emulator:
        async with join(emulator, emulator.register()) as client:
            assert await messages(client) == []
        assert (client.close_code, client.close_reason) == (1000, told)


async def test_an_agent_is_given_typed_turns_and_so_many_may_wait() -> None:
    heard: list[str] = []

    async def agent(session: Session) -> None:
        for number in range(MAX_TYPED):
            session.typed(f"turn {number}")
        with pytest.raises(RuntimeError, match="100 typed turns wait"):
            session.typed("one too many")
        heard.extend([await session.next_typed() for _ in range(MAX_TYPED)])

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            await messages(client)
    assert heard == [f"turn {number}" for number in range(MAX_TYPED)]
