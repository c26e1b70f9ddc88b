"""The emulator on a real socket: who may join, how calls end, how it stops."""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any, cast

import pytest
from support.callers import ask, join, messages
from websockets.asyncio.client import connect
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
    Session,
    silent_agent,
)
from retell_voice.errors import ConfigError


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


@pytest.mark.parametrize(
    ("asked", "answered"),
    [(["audio", "binary"], "audio"), (["key", "bearer"], "bearer"), (None, None)],
)
async def test_a_subprotocol_that_is_asked_for_is_answered(
    asked: list[str] | None, answered: str | None
) -> None:
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        url = f"{emulator.url}/{call.call_id}"
        async with connect(url, subprotocols=cast(Any, asked)) as websocket:
            assert websocket.subprotocol == answered


async def test_a_dialect_that_is_not_spoken_or_does_not_carry_the_audio_is_refused() -> None:
    async with Emulator() as emulator:
        with pytest.raises(ConfigError, match="the dialect sip is not spoken here"):
            emulator.register(dialect="sip")
        with pytest.raises(ConfigError, match="twilio carries mulaw 8000 Hz"):
            emulator.register(dialect="twilio")
        call = emulator.register(AudioFormat(Encoding.MULAW, 8000), dialect="twilio")
        call.protocol = "sip"
        with pytest.raises(InvalidStatus) as caught:
            await join(emulator, call)
        assert caught.value.response.status_code == 400


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


async def test_stopping_says_goodbye_and_leaves_nothing() -> None:
    async def stubborn(session: Session) -> None:
        while True:
            try:
                await asyncio.Event().wait()
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
    assert time.perf_counter() - started < 3, "whoever does not answer would cost ten seconds"
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
    happened = [server_event async for server_event in emulator.events]
    assert [type(each) for each in happened] == [
        CallRegistered,
        CallJoined,
        CallEnded,
        CallRefused,
    ]
    assert {each.call for each in happened} == {call.name}
    assert call.call_id not in "".join(map(str, happened))


@pytest.mark.parametrize("host", ["0.0.0.0", "", "localhost"])
async def test_its_urls_can_be_reached_from_this_machine(host: str) -> None:
    async with Emulator(agent=silent_agent, host=host) as emulator:
        assert "0.0.0.0" not in emulator.url + emulator.api_url
        async with join(emulator, emulator.register()) as client:
            await client.send("ping")
            assert await client.recv() == "pong"


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


async def test_no_log_holds_the_call_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "retell_voice")
    async with Emulator() as emulator:
        call = emulator.register()
        async with connect(f"{emulator.url}/{call.call_id}", logger=logging.getLogger("x")):
            pass
        await call.wait()
    assert "connection open" in caplog.text
    assert call.call_id not in caplog.text


async def test_a_caller_that_breaks_the_protocol_is_told_from_one_that_hangs_up() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        client = await join(emulator, call)
        client.transport.write(b"\xff\xff\xff\xff")
        await call.wait()
        await client.wait_closed()
    assert call.status is CallStatus.ERROR
    assert call.disconnection_reason == "error_frontend_corrupted_payload"


async def test_hanging_up_while_the_agent_speaks_is_the_users_doing() -> None:
    async def agent(session: Session) -> None:
        with contextlib.suppress(CallOver):
            while True:
                await session.send_audio(bytes(4800))

    async with Emulator(agent=agent) as emulator:
        call = emulator.register()
        client = await join(emulator, call)
        await client.recv()  # the agent is in the middle of it
        reading = asyncio.create_task(messages(client))
        await client.close()
        await reading
        await call.wait()
    assert (call.status, call.disconnection_reason) == (CallStatus.ENDED, "user_hangup")
    assert call.close_code == 1000


async def test_a_stopping_emulator_lets_nobody_in() -> None:
    emulator = Emulator(agent=silent_agent)
    await emulator.__aenter__()
    call = emulator.register()
    _, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
    host = (
        "Host: [::]\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    )
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    writer.write(f"GET /audio-websocket/{call.call_id} HTTP/1.1\r\n{host}{key}".encode())
    async with asyncio.timeout(5):
        await emulator.__aexit__(None, None, None)
    assert emulator.sessions == []
    writer.close()
