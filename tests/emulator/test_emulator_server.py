"""The emulator on a real socket, with scripted agents."""

import asyncio
import json
import time
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import (
    CallEnded,
    CallJoined,
    CallOver,
    CallRefused,
    CallRegistered,
    CallStatus,
    Emulator,
    RegisteredCall,
    Session,
    silent_agent,
)
from retell_voice.events import Utterance


def join(emulator: Emulator, call: RegisteredCall | str, query: str = "") -> Any:
    call_id = call if isinstance(call, str) else call.call_id
    return connect(f"{emulator.url}/{call_id}{query}", compression=None)


async def ask(
    emulator: Emulator, method: str, path: str, body: bytes = b"", headers: str = ""
) -> tuple[int, Any]:
    """One HTTP request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Authorization: Bearer key\r\nConnection: close\r\n{headers}\r\n".encode())
    writer.write(body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content)


async def messages(client: ClientConnection) -> list[str | bytes]:
    return [message async for message in client]


async def test_register_join_and_look_up() -> None:
    fields = {
        "agent_id": "a",
        "audio_websocket_protocol": "web",
        "audio_encoding": "mulaw",
        "sample_rate": 8000,
    }
    async with Emulator(agent=silent_agent) as emulator:
        status, body = await ask(emulator, "POST", "/register-call", json.dumps(fields).encode())
        assert status == 201
        call_id = body["call_id"]
        async with join(emulator, call_id):
            (session,) = emulator.sessions
            assert session.audio == AudioFormat(Encoding.MULAW, 8000)
            status, body = await ask(emulator, "GET", f"/get-call/{call_id}")
            assert body["call_status"] == "ongoing"
        call = emulator.find(call_id)
        assert call is not None
        await call.wait()
        status, body = await ask(emulator, "GET", f"/get-call/{call_id}")
        assert (body["call_status"], body["disconnection_reason"]) == ("ended", "user_hangup")
        assert body["end_timestamp"] >= body["start_timestamp"]


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
    assert b"".join(audio) == samples.tobytes()
    assert (odd, clear) == (b"\x01\x02\x03", "clear")
    assert (client.close_code, client.close_reason) == (1000, "that is all")
    assert (call.close_code, call.close_reason) == (1000, "that is all")
    assert call.disconnection_reason == "agent_hangup"
    assert call.transcript == said


async def test_updates_only_for_those_who_asked() -> None:
    async def agent(session: Session) -> None:
        await session.update((Utterance("agent", "Hello"),), "agent")

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            assert await messages(client) == []
        await call.wait()
        assert call.details()["transcript"] == "Agent: Hello\n"


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


async def test_who_may_not_join() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        async with join(emulator, call):
            with pytest.raises(InvalidStatus) as caught:
                await join(emulator, call)
            assert caught.value.response.status_code == 409
        await call.wait()
        with pytest.raises(InvalidStatus) as caught:
            await join(emulator, call)
        assert caught.value.response.status_code == 410
        with pytest.raises(InvalidStatus) as caught:
            await join(emulator, "nobody-knows-this")
        response = caught.value.response
        assert response.status_code == 404
        assert response.headers["Content-Type"] == "application/json"
        assert "call_id" in json.loads(response.body)["error_message"]
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{emulator.port}/elsewhere")
        assert caught.value.response.status_code == 404


async def test_a_twilio_call_is_registered_but_not_spoken() -> None:
    fields = {
        "agent_id": "a",
        "audio_websocket_protocol": "twilio",
        "audio_encoding": "mulaw",
        "sample_rate": 8000,
    }
    async with Emulator() as emulator:
        status, body = await ask(emulator, "POST", "/register-call", json.dumps(fields).encode())
        assert status == 201
        with pytest.raises(InvalidStatus) as caught:
            await join(emulator, body["call_id"])
        assert caught.value.response.status_code == 400
        assert b"twilio" in caught.value.response.body


async def test_a_call_joined_too_late_is_refused() -> None:
    clock = [1000.0]
    async with Emulator(now=lambda: clock[0], expiry=300.0) as emulator:
        call = emulator.register()
        clock[0] += 301.0
        with pytest.raises(InvalidStatus) as caught:
            await join(emulator, call)
        assert caught.value.response.status_code == 410
        assert call.status is CallStatus.ERROR


async def test_any_call_can_be_let_in_again_and_again() -> None:
    audio = AudioFormat(Encoding.MULAW, 8000)
    async with Emulator(agent=silent_agent, accept_any=True, audio=audio) as emulator:
        for _ in range(2):
            async with join(emulator, "some-call"):
                (session,) = emulator.sessions
                assert session.audio == audio
                with pytest.raises(InvalidStatus):
                    await join(emulator, "some-call")
            await session.call.wait()
        for odd in ("%1b%5b2J", "a" * 201):
            with pytest.raises(InvalidStatus) as caught:
                await join(emulator, odd)
            assert caught.value.response.status_code == 404


async def test_an_agent_that_fails_ends_the_call_with_1011(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def agent(session: Session) -> None:
        raise ZeroDivisionError

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        async with join(emulator, call) as client:
            with pytest.raises(ConnectionClosedError):
                await client.recv()
        await call.wait()
    assert (client.close_code, client.close_reason) == (1011, "the agent failed")
    assert (call.status, call.disconnection_reason) == (CallStatus.ERROR, "error_unknown")
    assert call.call_id not in caplog.text


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


async def test_stopping_says_goodbye_and_leaves_nothing() -> None:
    async def stubborn(session: Session) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            finally:
                await session.close()

    before = asyncio.all_tasks()
    async with Emulator(agent=stubborn) as emulator:
        call = emulator.register()
        client = await join(emulator, call)
        _, http = await asyncio.open_connection("127.0.0.1", emulator.port)
        http.write(b"GET / HT")
        stalled = await join(emulator, emulator.register())
        stalled.transport.pause_reading()
        started = time.perf_counter()
    assert time.perf_counter() - started < 1.5
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert (client.close_code, client.close_reason) == (1001, "the emulator is stopping")
    assert call.over
    stalled.transport.abort()
    await stalled.wait_closed()
    await client.wait_closed()
    http.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_happenings_in_their_order() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        async with join(emulator, call):
            pass
        await call.wait()
        with pytest.raises(InvalidStatus):
            await join(emulator, call)
    happened = [happening async for happening in emulator.events]
    assert [type(each) for each in happened] == [
        CallRegistered,
        CallJoined,
        CallEnded,
        CallRefused,
    ]
    assert {each.call for each in happened} == {call.name}
    assert call.call_id not in "".join(map(str, happened))


async def test_rest_errors_over_the_socket() -> None:
    async with Emulator(agent=silent_agent, prefix="/retell/") as emulator:
        assert emulator.api_url.endswith("/retell")
        assert (await ask(emulator, "POST", "/retell/register-call", b"{"))[0] == 400
        assert (await ask(emulator, "POST", "/retell/register-call", b"{}"))[0] == 422
        assert (await ask(emulator, "GET", "/retell/register-call"))[0] == 405
        assert (await ask(emulator, "GET", "/register-call"))[0] == 404
        assert (await ask(emulator, "POST", "/retell/register-call", bytes(2 << 20)))[0] == 413
        async with join(emulator, emulator.register()):
            pass
