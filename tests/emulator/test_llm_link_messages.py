"""What an LLM server should not send; what waits where it does not read, or sends too much."""

import asyncio
import contextlib
import json
import time
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
)
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from retell_voice.emulator.llm import connection as llm_connection
from retell_voice.emulator.llm import link as llm_link
from retell_voice.emulator.llm.link import LlmMalformed
from retell_voice.events import Utterance
from retell_voice.protocol.llm import Config, LlmMetadata, Response, ResponseRequired, UpdateOnly

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.mark.parametrize("text", ["", " \r\n", "\ufeff", "\ufeff\n"])
async def test_an_empty_text_is_reported_and_the_call_goes_on(text: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(text)
        await websocket.send("\ufeff" + json.dumps(response(0, "Hello")))
        await websocket.wait_closed()

    async with server(handler) as url, link_to(url) as link:
        got = [await anext(link) for _ in range(2)]
    assert got == [
        LlmMalformed(problem="an empty text", excerpt=""),
        Response(response_id=0, content="Hello", content_complete=True),
    ]


@pytest.mark.parametrize("timestamp", [{}, {"timestamp": None}, {"timestamp": "1700500"}])
async def test_a_ping_pong_keeps_alive_whatever_its_timestamp(timestamp: Message) -> None:
    pings = 10

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT)
        for _ in range(pings):  # longer than the keepalive time-out
            await websocket.recv()
            await say(websocket, {"response_type": "ping_pong", **timestamp})
        await say(websocket, {"response_type": "metadata", "metadata": "alive"})
        await websocket.wait_closed()

    settings = replace(QUICK, ping_interval=0.02, keepalive_timeout=0.15)
    async with server(handler) as url, link_to(url, settings) as link:
        assert await anext(link) == Config(auto_reconnect=True)
        assert await anext(link) == LlmMetadata(metadata="alive")


async def test_who_stood_still_blames_nobody() -> None:
    pinged: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT)
        async for text in websocket:
            pinged.put_nowait(text)
            await say(websocket, {"response_type": "ping_pong"})

    settings = replace(QUICK, ping_interval=0.02, keepalive_timeout=0.15)
    async with server(handler) as url, link_to(url, settings) as link:
        assert await anext(link) == Config(auto_reconnect=True)
        await pinged.get()
        for _ in range(10):
            time.sleep(0.16)  # noqa: ASYNC251 -- no task runs, nothing is read
            await asyncio.sleep(0)
        while not pinged.empty():
            pinged.get_nowait()
        for _ in range(5):
            await pinged.get()
        assert link.redials == 0


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("hello", "it sent a text that is not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("[]", "it sent a text that is an array, not a JSON object"),
        (f'"{SECRET}', "it sent a text that is not JSON (Unterminated string starting at"),
        (b'{"response_type": "config", "config": {}}', "it sent a binary message"),
    ],
)
async def test_what_is_not_json_ends_the_call(message: str | bytes, words: str) -> None:
    closed: asyncio.Future[tuple[int | None, str | None]] = (
        asyncio.get_running_loop().create_future()
    )

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, KEPT)
        await websocket.send(message)
        await websocket.wait_closed()
        closed.set_result((websocket.close_code, websocket.close_reason))

    async with server(handler) as url, link_to(url) as link:
        items, failure = await until_failure(link)
        code, reason = await closed
    assert items == [Config(auto_reconnect=True)]
    assert failure.why == "error_llm_websocket_corrupt_payload"
    assert failure.words.startswith(f"LLM server: {words}")
    assert code == 1007
    assert reason is not None
    assert failure.words.startswith(reason)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"\x81\x01\xff", "error_llm_websocket_corrupt_payload"),  # text, not UTF-8
        (b"\xf0\x00", "error_llm_websocket_runtime"),  # reserved bits
    ],
)
async def test_what_is_no_websocket_message_ends_the_call(frame: bytes, why: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.write(frame)
        await websocket.wait_closed()

    async with server(handler) as url, link_to(url) as link:
        _, failure = await until_failure(link)
    assert failure.why == why
    assert "unreadable" in failure.words


async def test_a_message_with_a_wrong_field_is_reported_and_ignored() -> None:
    wrong = {"response_type": "response", "response_id": SECRET}
    config = {"response_type": "config", "config": {"auto_reconnect": "yes"}}

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, wrong, config, response(1))
        await websocket.wait_closed()

    async with server(handler) as url, link_to(url) as link:
        got = [await anext(link) for _ in range(3)]
    assert got == [
        LlmMalformed(
            problem="response: response_id is a string, must be a number",
            excerpt='{"response_type": "response", "response_id": "…cdef"}',
        ),
        LlmMalformed(
            problem="config: config.auto_reconnect is a string, must be true or false",
            excerpt=json.dumps(config),
        ),
        Response(response_id=1, content_complete=True),
    ]


async def test_where_the_server_does_not_read_old_updates_are_dropped_first() -> None:
    got: list[Message] = []

    async def handler(websocket: ServerConnection) -> None:
        async for text in websocket:
            got.append(json.loads(text))
            if got[-1].get("response_id") == 2:
                return

    transcripts = [(Utterance("user", str(number)),) for number in range(300)]
    async with server(handler) as url, link_to(url) as link:
        link.send(ResponseRequired(response_id=1))
        for transcript in transcripts:  # nothing is sent meanwhile
            link.send(UpdateOnly(transcript=transcript))
        assert link.dropped == 301 - llm_connection.MAX_QUEUED
        link.send(ResponseRequired(response_id=2))
        await until_failure(link)
        assert link.dropped == 302 - llm_connection.MAX_QUEUED
    kept = [update["transcript"][0]["content"] for update in got[1:-1]]
    assert got[0]["response_id"] == 1
    assert kept == [str(number) for number in range(302 - llm_connection.MAX_QUEUED, 300)]


async def test_where_no_update_waits_the_oldest_is_dropped() -> None:
    got: list[int] = []

    async def handler(websocket: ServerConnection) -> None:
        async for text in websocket:
            got.append(json.loads(text)["response_id"])
            if got[-1] == 299:
                return

    async with server(handler) as url, link_to(url) as link:
        for response_id in range(300):
            link.send(ResponseRequired(response_id=response_id))
        await until_failure(link)
        assert link.dropped == 300 - llm_connection.MAX_QUEUED
    assert got == list(range(300 - llm_connection.MAX_QUEUED, 300))


async def test_a_server_that_floods_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_link, "MAX_INBOX", 5)

    async def handler(websocket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await say(websocket, response(0), {"response_type": "response"})

    async with server(handler) as url, link_to(url) as link:
        await link._running  # nobody reads meanwhile
        items, failure = await until_failure(link)
    assert len(items) == 5
    assert failure.why == "error_llm_websocket_runtime"
    assert "5 messages wait" in failure.words
