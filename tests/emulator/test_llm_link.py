"""A call's connection to an LLM server, over real sockets: what it carries, and how it ends."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest
from support.llm_server import (
    KEPT,
    LONG,
    QUICK,
    SECRET,
    Message,
    link_to,
    response,
    say,
    server,
    until_failure,
)
from websockets.asyncio.server import ServerConnection

from retell_voice.emulator.llm.link import DEFAULT_LINK, LinkSettings, LlmLink
from retell_voice.events import Utterance
from retell_voice.protocol.llm import (
    Config,
    LlmMetadata,
    Response,
    ResponseRequired,
    UnknownLlmMessage,
)

pytestmark = pytest.mark.usefixtures("nothing_is_left")


def test_times_and_retries_are_retells() -> None:
    assert replace(DEFAULT_LINK, refused_pause=0.0) == LinkSettings(
        connect_timeout=7.0,
        attempts=3,
        pause=3.0,
        refused_pause=0.0,
        ping_interval=2.0,
        keepalive_timeout=5.0,
        silent_redials=2,
        broken_redials=4,
    )


async def test_it_dials_the_call_and_says_what_is_said() -> None:
    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        await say(websocket, {"response_type": "metadata", "metadata": websocket.request.path})
        await say(websocket, response(0, "Hello"), {"response_type": "later"})
        asked = json.loads(await websocket.recv())
        await say(websocket, response(asked["response_id"], asked["transcript"][0]["content"]))
        await websocket.wait_closed()

    async with server(handler) as url, link_to(url) as link:
        assert await anext(link) == LlmMetadata(metadata=f"/llm-websocket/{SECRET}")
        assert await anext(link) == Response(response_id=0, content="Hello", content_complete=True)
        assert await anext(link) == UnknownLlmMessage(message='{"response_type": "later"}')
        link.send(ResponseRequired(response_id=7, transcript=(Utterance("user", "Hi"),)))
        assert await anext(link) == Response(response_id=7, content="Hi", content_complete=True)


async def test_hanging_up_closes_with_1000_and_leaves_nothing() -> None:
    closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def handler(websocket: ServerConnection) -> None:
        await websocket.wait_closed()
        closed.set_result(websocket.close_code)

    async with server(handler) as url:
        async with link_to(url) as link:
            link.send(ResponseRequired(response_id=1))
        link.send(ResponseRequired(response_id=2))  # too late is not an error
        assert await closed == 1000


async def test_what_is_sent_at_once_after_dialling_arrives() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, {"response_type": "metadata", "metadata": await websocket.recv()})

    async with server(handler) as url, link_to(url) as link:
        link.send(ResponseRequired(response_id=1))
        item = await anext(link)
    assert isinstance(item, LlmMetadata)
    assert json.loads(item.metadata)["response_id"] == 1


async def test_call_details_are_sent_once_a_connection_where_they_are_wanted() -> None:
    got: list[Message] = []

    async def handler(websocket: ServerConnection) -> None:
        wanted = {"response_type": "config", "config": {"call_details": True}}
        await say(websocket, {"response_type": "config", "config": {}}, wanted, wanted)
        got.append(json.loads(await websocket.recv()))
        got.append(json.loads(await websocket.recv()))

    async with server(handler) as url, link_to(url, agent_id="a1") as link:
        assert await anext(link) == Config()
        assert await anext(link) == Config(call_details=True)
        assert await anext(link) == Config(call_details=True)
        link.send(ResponseRequired(response_id=1))
        await until_failure(link)
    assert got[0] == {"interaction_type": "call_details", "call": {"agent_id": "a1"}}
    assert got[1]["interaction_type"] == "response_required"


async def test_pings_go_out_where_they_are_wanted_and_their_answers_are_not_passed_on() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT)
        for _ in range(3):
            ping = json.loads(await websocket.recv())
            assert ping == {"interaction_type": "ping_pong", "timestamp": 1_700_500}
            await say(websocket, {"response_type": "ping_pong", "timestamp": ping["timestamp"]})
        await say(websocket, {"response_type": "metadata", "metadata": "three"})
        await websocket.wait_closed()

    async with server(handler) as url, link_to(url) as link:
        assert link.round_trip is None
        assert await anext(link) == Config(auto_reconnect=True)
        assert await anext(link) == LlmMetadata(metadata="three")
        assert link.round_trip is not None
        assert 0 < link.round_trip < LONG


@pytest.mark.parametrize("off", [{}, {"response_type": "config", "config": {}}])
async def test_no_pings_where_they_are_not_wanted(off: Message) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, off or response(0))
        async for text in websocket:
            asked = json.loads(text)
            assert asked["interaction_type"] == "response_required"
            await say(websocket, response(asked["response_id"]))

    fast = replace(QUICK, ping_interval=0.001, keepalive_timeout=0.001)
    async with server(handler) as url, link_to(url, fast) as link:
        await anext(link)
        for response_id in range(50):
            link.send(ResponseRequired(response_id=response_id))
            assert isinstance(await anext(link), Response)


async def test_pings_can_be_switched_off() -> None:
    switched = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT)
        await websocket.recv()
        await say(websocket, {"response_type": "config", "config": {"auto_reconnect": False}})
        await switched.wait()
        await say(websocket, {"response_type": "metadata", "metadata": "silence was no loss"})
        await websocket.wait_closed()

    async with server(handler) as url, link_to(url, replace(QUICK, keepalive_timeout=1.0)) as link:
        assert await anext(link) == Config(auto_reconnect=True)
        assert await anext(link) == Config()
        await asyncio.sleep(1.0)  # the timeout itself
        switched.set()
        assert await anext(link) == LlmMetadata(metadata="silence was no loss")


async def test_a_bug_of_ours_is_not_hidden() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, {"response_type": "config", "config": {"call_details": True}})
        await websocket.wait_closed()

    def details() -> Message:
        raise ZeroDivisionError

    async with server(handler) as url, LlmLink(url, SECRET, details=details) as link:
        with pytest.raises(ExceptionGroup) as caught:
            await anext(link)
    assert caught.group_contains(ZeroDivisionError)


async def test_a_link_that_is_left_at_once_closes_its_connection() -> None:
    closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def handler(websocket: ServerConnection) -> None:
        await websocket.wait_closed()
        closed.set_result(websocket.close_code)

    async with server(handler) as url:
        async with link_to(url):
            pass
        assert await closed == 1000


async def test_the_call_id_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT)
        await websocket.recv()

    async with server(handler) as url, link_to(url) as link:
        await until_failure(link)
    assert SECRET not in caplog.text
