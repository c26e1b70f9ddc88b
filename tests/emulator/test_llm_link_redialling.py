"""A connection to an LLM server that falls silent, breaks or is closed: when it is redialled."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from support.llm_server import (
    KEPT,
    QUICK,
    SECRET,
    Message,
    link_to,
    response,
    say,
    server,
    until_failure,
    url_of,
)
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from retell_voice.emulator.llm.link import LinkChanged
from retell_voice.protocol.llm import Config, Response, ResponseRequired

pytestmark = pytest.mark.usefixtures("nothing_is_left")

IMPATIENT = replace(QUICK, keepalive_timeout=0.05)


async def answer_pings(websocket: ServerConnection) -> None:
    """What a server does that stays alive."""
    async for text in websocket:
        message = json.loads(text)
        if message["interaction_type"] == "ping_pong":
            await say(websocket, {**message, "response_type": "ping_pong"})


async def test_a_server_that_falls_silent_is_redialled_twice() -> None:
    reasons: list[tuple[int | None, str | None]] = []

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT, response(0, "Hello"))
        await websocket.wait_closed()
        reasons.append((websocket.close_code, websocket.close_reason))

    lost = LinkChanged(state="lost", why="LLM server: no ping_pong for 0.05 s")
    again = [
        Config(auto_reconnect=True),
        Response(response_id=0, content="Hello", content_complete=True),
    ]
    async with server(handler) as url, link_to(url, IMPATIENT) as link:
        items, failure = await until_failure(link)
        assert link.redials == 2
    back = LinkChanged(state="back")
    assert items == [*again, lost, back, *again, lost, back, *again]
    assert failure.why == "error_llm_websocket_lost_connection"
    assert failure.words == "LLM server: no ping_pong for 0.05 s, 3 times"
    assert "answer every ping_pong" in failure.hint
    assert reasons == [(1001, "no ping_pong for 0.05 s")] * 3


async def test_only_pings_are_signs_of_life_and_a_redial_does_not_forget_them() -> None:
    dialled = 0

    async def handler(websocket: ServerConnection) -> None:
        nonlocal dialled
        dialled += 1
        if dialled == 1:
            await say(websocket, KEPT)
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await say(websocket, response(0))
                    await asyncio.sleep(0.01)  # the pace of a server that talks on
        await websocket.wait_closed()

    async with server(handler) as url, link_to(url, IMPATIENT) as link:
        items, failure = await until_failure(link)
    states = [item.state for item in items if isinstance(item, LinkChanged)]
    assert states == ["lost", "back", "lost", "back"]
    assert failure.why == "error_llm_websocket_lost_connection"


async def test_a_server_that_reads_nothing_at_all_is_redialled() -> None:
    """A half-open connection: it takes no closing frame either."""
    dialled = 0
    gone = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        nonlocal dialled
        dialled += 1
        await say(websocket, KEPT)
        if dialled == 1:
            websocket.transport.pause_reading()
            await gone.wait()
        else:
            await answer_pings(websocket)

    async with server(handler, close_timeout=0.1) as url:
        async with link_to(url, IMPATIENT) as link:
            got = [await anext(link) for _ in range(4)]
        gone.set()
    assert got[1:4] == [
        LinkChanged(state="lost", why="LLM server: no ping_pong for 0.05 s"),
        LinkChanged(state="back"),
        Config(auto_reconnect=True),
    ]


async def test_a_connection_that_breaks_is_redialled_four_times() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT)
        await websocket.recv()
        websocket.transport.abort()

    async with server(handler) as url, link_to(url) as link:
        items, failure = await until_failure(link)
        assert link.redials == 4
    lost = LinkChanged(
        state="lost", why="LLM server: the connection broke (1006), is its process alive?"
    )
    config = Config(auto_reconnect=True)
    assert items == [config, *[lost, LinkChanged(state="back"), config] * 4]
    assert failure.why == "error_llm_websocket_runtime"
    assert "5 times" in failure.words


async def test_a_connection_that_breaks_ends_the_call_without_auto_reconnect() -> None:
    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.abort()

    async with server(handler) as url, link_to(url) as link:
        items, failure = await until_failure(link)
        assert (await until_failure(link))[1] is failure  # whenever asked
    assert items == []
    assert failure.why == "error_llm_websocket_lost_connection"
    assert "auto_reconnect" in failure.hint


async def test_after_a_redial_nothing_old_is_sent_and_details_are_sent_again() -> None:
    got: list[list[Message]] = []

    async def handler(websocket: ServerConnection) -> None:
        here: list[Message] = []
        got.append(here)
        config = {"auto_reconnect": True, "call_details": True}
        await say(websocket, {"response_type": "config", "config": config})
        async for text in websocket:
            message = json.loads(text)
            if message["interaction_type"] != "ping_pong":
                here.append(message)
            if message.get("response_id") == 1:
                websocket.transport.abort()
            if message.get("response_id") == 3:
                await say(websocket, response(3))

    async with server(handler) as url, link_to(url, replace(QUICK, ping_interval=60)) as link:
        assert isinstance(await anext(link), Config)
        link.send(ResponseRequired(response_id=1))
        lost = await anext(link)
        assert isinstance(lost, LinkChanged)
        link.send(ResponseRequired(response_id=2))
        assert await anext(link) == LinkChanged(state="back")
        link.send(ResponseRequired(response_id=3))
        assert isinstance(await anext(link), Config)
        assert isinstance(await anext(link), Response)
    first, second = got
    assert [message["interaction_type"] for message in first] == [
        "call_details",
        "response_required",
    ]
    assert sorted(message["interaction_type"] for message in second) == [
        "call_details",
        "response_required",
    ]
    assert [message.get("response_id") for message in second if "response_id" in message] == [3]


async def dies(running: Server, websocket: ServerConnection) -> None:
    """What is seen of a process that is killed."""
    await say(websocket, KEPT)
    running.close(close_connections=False)
    websocket.transport.abort()


async def test_a_server_that_comes_back_a_little_later_is_found() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await dies(first, websocket)

    async def successor(websocket: ServerConnection) -> None:
        await say(websocket, response(0, "again"))
        await answer_pings(websocket)

    persistent = replace(QUICK, attempts=10_000)
    async with serve(handler, "127.0.0.1", 0) as first:
        port = first.sockets[0].getsockname()[1]
        async with link_to(url_of(first), persistent) as link:
            assert isinstance(await anext(link), Config)
            assert isinstance(await anext(link), LinkChanged)
            async with server(successor, port):
                assert await anext(link) == LinkChanged(state="back")
                assert isinstance(await anext(link), Response)


async def test_a_server_that_does_not_come_back_ends_the_call() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await dies(running, websocket)

    async with serve(handler, "127.0.0.1", 0) as running:
        port = running.sockets[0].getsockname()[1]
        async with link_to(url_of(running)) as link:
            items, failure = await until_failure(link)
    assert [type(item) for item in items] == [Config, LinkChanged]
    assert failure.why == "error_llm_websocket_lost_connection"
    assert failure.words == (
        "LLM server: the connection broke (1006), is its process alive?,"
        f" then 127.0.0.1:{port} refused the connection"
    )


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("code", "reason", "why", "words"),
    [
        (1000, "", "agent_hangup", "it hung up (1000)"),
        (1000, f"bye {SECRET}", "agent_hangup", "it hung up (1000 bye …cdef)"),
        (None, "", "error_llm_websocket_open", "it closed the connection without a code (1005)"),
        (1011, "oh\nno", "error_llm_websocket_runtime", "it closed the connection (1011 oh no)"),
        (4000, "", "error_llm_websocket_runtime", "it closed the connection (4000)"),
    ],
)
async def test_a_server_that_closes_ends_the_call(
    kept: bool, code: int | None, reason: str, why: str, words: str
) -> None:
    async def handler(websocket: ServerConnection) -> None:
        if kept:
            await say(websocket, KEPT)
        if code is None:
            websocket.transport.write(b"\x88\x00")  # a close frame with nothing in it
            await websocket.wait_closed()
        else:
            await websocket.close(code, reason)

    async with server(handler) as url, link_to(url) as link:
        items, failure = await until_failure(link)
    assert items == ([Config(auto_reconnect=True)] if kept else [])
    assert (failure.why, failure.words) == (why, f"LLM server: {words}")


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("code", [1001, 1012])
async def test_a_server_that_closes_to_restart_is_not_redialled(code: int, kept: bool) -> None:
    """Retell redials after silence and after 1006; any other code than 1000 ends the call."""

    async def handler(websocket: ServerConnection) -> None:
        if kept:
            await say(websocket, KEPT)
        await websocket.close(code)

    async with server(handler) as url, link_to(url) as link:
        items, failure = await until_failure(link)
        assert link.redials == 0
    assert items == ([Config(auto_reconnect=True)] if kept else [])
    assert failure.why == "error_llm_websocket_runtime"
    assert failure.words == f"LLM server: it closed the connection ({code})"
    assert "only redials connections that break" in failure.hint


async def test_one_who_hangs_up_while_redialling_leaves_nothing() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await dies(running, websocket)

    persistent = replace(QUICK, pause=60)
    async with (
        serve(handler, "127.0.0.1", 0) as running,
        link_to(url_of(running), persistent) as link,
    ):
        async for item in link:
            if isinstance(item, LinkChanged):
                break
