"""The monitor socket, with our own client of it and with sockets of all kinds."""

import asyncio
import json
import time
from typing import Any

import pytest
from support.callers import join
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from retell_voice.emulator import Emulator, RegisteredCall, Session, silent_agent
from retell_voice.events import MonitorChanged, Transcript, Utterance
from retell_voice.protocol.monitor import CallEnded
from retell_voice.transport.monitor import Monitor

KEY = "key_0123456789abcdef"


def watching(emulator: Emulator, call: RegisteredCall, key: str = KEY, **options: Any) -> Any:
    url = f"{emulator.api_url.replace('http', 'ws', 1)}/v2/monitor-call/{call.call_id}"
    protocols = [Subprotocol("bearer"), Subprotocol(key)] if key else None
    return connect(url, subprotocols=protocols, compression=None, **options)


async def closed(websocket: Any) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed):
        while True:
            await websocket.recv()
    return websocket.close_code, websocket.close_reason


async def test_our_client_follows_a_call_from_before_its_beginning_to_its_end() -> None:
    said = [
        (Utterance("agent", "Hello"),),
        (Utterance("agent", "Hello"), Utterance("user", "Hi")),
    ]
    go_on: asyncio.Queue[None] = asyncio.Queue()

    async def agent(session: Session) -> None:
        for each in said:
            await session.update(each)
            await go_on.get()
        session.steer("hurry up", respond=False)
        await go_on.get()

    tries = 0

    async def soon(_: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            joined.set()
            await live.wait()

    joined, live = asyncio.Event(), asyncio.Event()
    async with Emulator(agent=agent, api_key=KEY) as emulator, asyncio.timeout(20):
        call = emulator.register()

        async def caller() -> None:
            await joined.wait()
            async with join(emulator, call) as websocket:
                live.set()
                await websocket.wait_closed()

        calling = asyncio.create_task(caller())
        events = []
        monitor = Monitor(call.call_id, api_key=KEY, api_url=emulator.api_url, sleep=soon)
        async for event in monitor:
            events.append(event)
            if isinstance(event, Transcript):
                go_on.put_nowait(None)
        await calling
    transcripts = [event for event in events if isinstance(event, Transcript)]
    assert [each.utterances for each in transcripts][:2] == said
    assert [item.role for item in transcripts[-1].items] == ["agent", "user", "injected"]
    (ended,) = [event for event in events if isinstance(event, CallEnded)]
    assert ended.reason == "agent_hangup"
    assert ended.timestamp == pytest.approx(time.time(), abs=20)
    states = [event.state for event in events if isinstance(event, MonitorChanged)]
    assert states[0] == "attached"
    assert "lost" not in states
    assert monitor.code in (1000, 4004)


async def test_who_comes_late_gets_a_snapshot_and_then_what_changes() -> None:
    go_on = asyncio.Event()

    async def agent(session: Session) -> None:
        await session.update((Utterance("agent", "Hello"),))
        await go_on.wait()
        await session.update((Utterance("agent", "Hello there"),))
        async for _ in session:
            pass

    async with Emulator(agent=agent, api_key=KEY) as emulator, asyncio.timeout(20):
        call = emulator.register()
        async with join(emulator, call), watching(emulator, call) as websocket:
            assert websocket.subprotocol == "bearer"
            first = json.loads(await websocket.recv())
            assert first["type"] == "transcript_snapshot"
            assert [each["content"] for each in first["transcripts"]] == ["Hello"]
            assert first["pre_session_transcripts"] == []
            go_on.set()
            second = json.loads(await websocket.recv())
            assert second["type"] == "transcript_updated"
            (item,) = second["transcripts"]
            assert item["content"] == "Hello there"
            assert item["id"] == first["transcripts"][0]["id"]
            assert item["role"] == "agent"
            assert isinstance(item["time_sec"], float)


async def test_a_call_that_ends_says_why_and_the_socket_closes() -> None:
    async with Emulator(agent=silent_agent, api_key=KEY) as emulator, asyncio.timeout(20):
        call = emulator.register()
        async with watching(emulator, call) as early:
            assert await closed(early) == (4004, "the call is not going on")
        async with join(emulator, call):
            websocket = await watching(emulator, call)
            assert json.loads(await websocket.recv())["transcripts"] == []
        ended = json.loads(await websocket.recv())
        assert ended["type"] == "call_ended"
        assert ended["disconnection_reason"] == "user_hangup"
        assert await closed(websocket) == (1000, "the call has ended")
        async with watching(emulator, call) as late:
            assert (await closed(late))[0] == 4004
    assert not call.watchers


@pytest.mark.parametrize(
    "options",
    [
        {"key": "wrong"},
        {"key": ""},
        {"key": "", "additional_headers": {"Authorization": "Bearer wrong"}},
        {"key": "", "additional_headers": {"Authorization": f"Basic {KEY}"}},
    ],
)
async def test_without_the_key_it_closes(options: dict[str, Any]) -> None:
    async with Emulator(agent=silent_agent, api_key=KEY) as emulator, asyncio.timeout(20):
        call = emulator.register()
        async with join(emulator, call), watching(emulator, call, **options) as websocket:
            assert await closed(websocket) == (4001, "this API key is not known")


async def test_a_server_may_give_the_key_in_a_header() -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    async with Emulator(agent=silent_agent, api_key=KEY) as emulator, asyncio.timeout(20):
        call = emulator.register()
        async with (
            join(emulator, call),
            watching(emulator, call, key="", additional_headers=headers) as websocket,
        ):
            assert json.loads(await websocket.recv())["type"] == "transcript_snapshot"


async def test_five_may_watch_and_one_who_leaves_makes_room() -> None:
    async with Emulator(agent=silent_agent, api_key=KEY) as emulator, asyncio.timeout(20):
        call = emulator.register()
        async with join(emulator, call):
            watchers = [await watching(emulator, call) for _ in range(5)]
            for each in watchers:
                await each.recv()
            async with watching(emulator, call) as sixth:
                assert (await closed(sixth))[0] == 4008
            await watchers.pop().close()
            async with watching(emulator, call) as sixth:
                await sixth.recv()
            for each in watchers:
                await each.close()


async def test_stopping_tells_watchers_and_waits_for_none() -> None:
    async with asyncio.timeout(20):
        async with Emulator(agent=silent_agent, api_key=KEY) as emulator:
            call = emulator.register()
            caller = await join(emulator, call)
            watcher = await watching(emulator, call)
            await watcher.recv()
            stalled = await watching(emulator, call)
            stalled.transport.pause_reading()
            begun = time.perf_counter()
        assert time.perf_counter() - begun < 3, "the stalled one would cost ten seconds"
        assert json.loads(await watcher.recv())["disconnection_reason"] == "error_retell"
        await caller.wait_closed()
        stalled.transport.abort()
        await stalled.wait_closed()
        await watcher.wait_closed()
