"""A call whose server or network is late, refuses, stalls, falls silent or breaks off."""

import asyncio
import socket
import time
from http import HTTPStatus
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calls import (
    AUDIO,
    calling,
    collect,
    ended,
    listen,
    opened_io,
    silent_server,
    tone,
    until,
)
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.devices.files import NullMicrophone, NullSpeaker, WavMicrophone, WavWriter
from retell_voice.emulator import Session
from retell_voice.engine.call import Call
from retell_voice.engine.timing import Timing
from retell_voice.errors import CallFailed, Rejected
from retell_voice.events import AudioDropped, CallState, InputFinished, MalformedMessage, Statistics
from retell_voice.transport import retry


async def test_a_server_that_is_not_up_yet_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    tries = 0

    async def late_server() -> None:
        async with serve(listen_raw, "127.0.0.1", port):
            await done.wait()

    async def listen_raw(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    def delays():
        nonlocal tries
        while True:
            tries += 1
            if tries == 2:
                tried_twice.set()
            yield 0.05

    done, tried_twice = asyncio.Event(), asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "full_jitter", delays)
        call = Call(
            "c",
            url=f"ws://127.0.0.1:{port}",
            microphone=NullMicrophone(),
            speaker=NullSpeaker(),
            connect_attempts=100,
        )
        opening = asyncio.create_task(call.__aenter__())
        await tried_twice.wait()
        server = asyncio.create_task(late_server())
        await opening
        assert call.state is CallState.LIVE
        await call.__aexit__(None, None, None)
    done.set()
    await server


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (429, 3), (404, 1), (401, 1)])
async def test_a_refusal_is_final_and_an_overload_is_not(status: int, tries: int) -> None:
    asked = 0

    def process_request(connection, request):
        nonlocal asked
        asked += 1
        return connection.respond(HTTPStatus(status), "no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "full_jitter", lambda: repeat(0.0))
        async with silent_server(process_request=process_request) as (url, _):
            call = Call("c", url=url, microphone=NullMicrophone(), speaker=NullSpeaker())
            with pytest.raises(Rejected):
                await call.__aenter__()
    assert asked == tries


@pytest.mark.parametrize("code", [1008, 1011, 4000])
async def test_a_close_before_and_during_the_call_shows_code_and_reason(code: int) -> None:
    async def before(session: Session) -> None:
        await session.close(code, "no such call")

    async def during(session: Session) -> None:
        await session.send_audio(tone(0.1))
        await session.close(code, "error_llm")

    async with calling(before) as call:
        end = ended(await collect(call))
    assert (end.by, end.code, end.reason, type(end.error)) == (
        "server",
        code,
        "no such call",
        Rejected,
    )
    async with calling(during) as call:
        end = ended(await collect(call))
    assert (end.by, end.code, end.reason, type(end.error)) == (
        "server",
        code,
        "error_llm",
        CallFailed,
    )
    assert end.statistics.heard == 0.1  # what was queued is still heard


async def test_a_connection_that_breaks_ends_the_call() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(0.1))
        session.websocket.transport.abort()

    async with calling(agent) as call:
        end = ended(await collect(call))
    assert (end.by, end.code, type(end.error)) == ("network", 1006, CallFailed)


async def test_heartbeats_are_timed_and_need_no_answer() -> None:
    async with calling(listen, timing=Timing(heartbeat=0.02, statistics=0.02)) as call:
        async for event in call:
            if isinstance(event, Statistics) and event.round_trip is not None:
                assert 0 < event.round_trip < 1
                break


async def test_a_server_that_knows_no_ping_loses_nothing() -> None:
    async with (
        silent_server() as (url, pings),
        Call(
            "c",
            url=url,
            microphone=NullMicrophone(),
            speaker=NullSpeaker(),
            text_heartbeat=True,
            timing=Timing(heartbeat=0.02, silence_limit=0.5),
        ) as call,
    ):
        for _ in range(50):
            await pings.get()
        assert call.state is CallState.LIVE
        assert call.statistics().round_trip is not None


async def test_a_half_open_connection_ends_the_call() -> None:
    timing = Timing(heartbeat=0.02, silence_limit=0.3)
    gone = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.pause_reading()  # from here on it answers no ping
        await gone.wait()

    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        devices: dict[str, Any] = {"microphone": NullMicrophone(), "speaker": NullSpeaker()}
        async with Call("c", url=url, timing=timing, **devices) as call:
            end = ended(await collect(call))
        gone.set()
    assert (end.by, end.code) == ("network", 1006)
    assert str(end.error) == (
        "network: the connection broke off: 1006 nothing came from the server for 0.3 s"
    )


async def test_who_stood_still_blames_nobody() -> None:
    timing = Timing(look=0.05, heartbeat=0.02, silence_limit=0.3, statistics=0.1)
    async with calling(listen, timing=timing) as call:
        for _ in range(3):
            await until(call, Statistics, 3)
            time.sleep(0.5)  # noqa: ASYNC251 -- no task runs, nothing is read
        await until(call, Statistics, 3)  # the call would end just after the first
        assert call.state is CallState.LIVE
        await call.hang_up()


async def test_when_the_network_stalls_the_oldest_audio_goes_and_the_rest_is_live(
    tmp_path: Path,
) -> None:
    """12 s of a ramp, four times as fast; its values tell what was heard when."""
    writer = WavWriter(tmp_path / "ramp.wav", 8000)
    writer.write((np.arange(96_000) // 10).astype(np.int16))
    writer.close()
    resume = asyncio.Event()
    got: list[bytes] = []

    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.pause_reading()
        await resume.wait()
        websocket.transport.resume_reading()
        got.extend([message async for message in websocket if isinstance(message, bytes)])

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with serve(handler, sock=listening) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        microphone = WavMicrophone(tmp_path / "ramp.wav", speed=4)
        async with Call(
            "c", url=url, audio=AUDIO, microphone=microphone, speaker=NullSpeaker()
        ) as call:
            while (await until(call, AudioDropped)).side != "near_end":
                pass
            resumed_at = opened_io(call).near_end.position
            resume.set()
            await until(call, InputFinished)
            statistics = call.statistics()
    heard = np.frombuffer(b"".join(got), "<i2").astype(int) * 10
    jumps = np.flatnonzero(np.diff(heard) > 10)
    assert len(jumps) == 1
    assert statistics.frames_dropped > 0
    # Heard first after the gap: no more than a second before what was captured by then.
    assert heard[jumps[0] + 1] >= resumed_at - 8000 * 1.1
    assert statistics.frames_sent + statistics.frames_dropped >= 96_000 / 160 - 10


async def test_microphone_audio_that_a_blocked_event_loop_made_old_is_not_sent() -> None:
    async with calling(listen) as call:
        await until(call, Statistics)
        conversation = call._conversation
        assert conversation
        sent = call.statistics().frames_sent
        for waited in (5.0, 1.01):
            conversation.take(bytes(320), waited)
        assert call.statistics().frames_dropped == 2
        assert call.statistics().frames_sent == sent
        conversation.take(bytes(320), 0.99)
        assert call.statistics().frames_sent == sent + 1
        dropped = await until(call, AudioDropped)
        assert (dropped.side, dropped.duration) == ("near_end", pytest.approx(0.04))


async def test_one_message_cannot_end_the_call() -> None:
    async def agent(session: Session) -> None:
        word = f'{{"word":"a","start":1{"0" * 400},"end":1}}'
        await session.send(
            '{"event_type":"update","transcript":'
            f'[{{"role":"user","content":"a","words":[{word}]}}]}}'
        )
        await session.close(1000)

    async with calling(agent) as call:
        events = await collect(call)
    assert any(isinstance(event, MalformedMessage) for event in events)
    assert ended(events).error is None
