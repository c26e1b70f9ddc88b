"""A call's connection to an LLM server, over real sockets."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from retell_voice.emulator.llm import connection as llm_connection
from retell_voice.emulator.llm import link as llm_link
from retell_voice.emulator.llm.link import (
    DEFAULT_LINK,
    LinkChanged,
    LinkItem,
    LinkSettings,
    LlmFailure,
    LlmLink,
    LlmMalformed,
)
from retell_voice.errors import ConfigError
from retell_voice.events import Utterance
from retell_voice.protocol.llm import (
    Config,
    LlmMetadata,
    Response,
    ResponseRequired,
    UnknownLlmMessage,
    UpdateOnly,
)

SECRET = "call_0123456789abcdef"
QUICK = LinkSettings(pause=0.01, refused_pause=0.01, ping_interval=0.01)
IMPATIENT = replace(QUICK, keepalive_timeout=0.05)
KEPT = {"response_type": "config", "config": {"auto_reconnect": True}}
LONG = 20.0
"""Seconds after which whatever is waited for has failed."""

Handler = Callable[[ServerConnection], Awaitable[None]]
Message = dict[str, Any]


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}


@asynccontextmanager
async def server(handler: Handler, port: int = 0, **options: Any) -> AsyncIterator[str]:
    quiet = logging.getLogger("tests.llm_server")
    quiet.setLevel(logging.CRITICAL)
    async with asyncio.timeout(LONG):
        async with serve(handler, "127.0.0.1", port, logger=quiet, **options) as running:
            yield url_of(running)


def url_of(running: Server) -> str:
    return f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/llm-websocket"


def link_to(
    url: str,
    settings: LinkSettings = QUICK,
    retrying: Callable[[str], None] = lambda words: None,
    **details: Any,
) -> LlmLink:
    return LlmLink(
        url,
        SECRET,
        details=lambda: details,
        settings=settings,
        retrying=retrying,
        clock=lambda: 1700.5,
    )


async def say(websocket: ServerConnection, *messages: Message) -> None:
    for message in messages:
        await websocket.send(json.dumps(message))


def response(response_id: int, content: str = "") -> Message:
    return {
        "response_type": "response",
        "response_id": response_id,
        "content": content,
        "content_complete": True,
    }


async def answer_pings(websocket: ServerConnection) -> None:
    """What a server does that stays alive."""
    async for text in websocket:
        message = json.loads(text)
        if message["interaction_type"] == "ping_pong":
            await say(websocket, {**message, "response_type": "ping_pong"})


async def until_failure(link: LlmLink) -> tuple[list[LinkItem], LlmFailure]:
    items: list[LinkItem] = []
    with pytest.raises(LlmFailure) as caught:
        while True:
            items.append(await anext(link))
    check(caught.value)
    return items, caught.value


def check(failure: LlmFailure) -> None:
    """One line, and the call_id nowhere near it."""
    assert "\n" not in failure.words
    assert str(failure) == failure.words
    for text in (failure.words, failure.hint, repr(failure)):
        assert SECRET not in text
    assert failure.__cause__ is None
    assert failure.__context__ is None or failure.__suppress_context__


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


async def refused(
    url: str, settings: LinkSettings = QUICK, retrying: Callable[[str], None] = lambda words: None
) -> LlmFailure:
    with pytest.raises(LlmFailure) as caught:
        await link_to(url, settings, retrying).__aenter__()
    check(caught.value)
    assert caught.value.why == "error_llm_websocket_open"
    return caught.value


async def test_nobody_listens() -> None:
    told: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        async with asyncio.timeout(LONG):  # not the minutes of a server that may be starting
            failure = await refused(
                f"ws://{host}/llm-websocket", replace(QUICK, pause=60), told.append
            )
    assert failure.words == f"LLM server: {host} refused the connection"
    assert "is the server running" in failure.hint
    assert told == [failure.words]


def test_a_refused_connection_is_reported_within_a_second() -> None:
    assert (DEFAULT_LINK.attempts - 1) * DEFAULT_LINK.refused_pause <= 1


async def test_no_such_host() -> None:
    failure = await refused("ws://no-such-host.invalid/llm-websocket", replace(QUICK, attempts=1))
    assert failure.words.startswith("LLM server: no such host: no-such-host.invalid")


@asynccontextmanager
async def plain_server(says: bytes) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A TCP server that says this to whoever comes; its port, and when somebody came."""
    heard = asyncio.Event()
    handling = set()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            handling.add(task)
        await reader.read(1)
        heard.set()
        writer.write(says)
        with contextlib.suppress(OSError):
            while await reader.read(4096):
                pass
        writer.close()

    running = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with running:
        yield running.sockets[0].getsockname()[1], heard
        await asyncio.gather(*handling)


async def test_a_server_that_accepts_and_says_nothing() -> None:
    async with plain_server(b"") as (port, _):
        failure = await refused(
            f"ws://127.0.0.1:{port}", replace(QUICK, connect_timeout=0.05, attempts=2)
        )
    assert failure.words == (
        f"LLM server: 127.0.0.1:{port} did not accept the connection within 0.05 s"
    )


async def test_a_server_that_is_no_http_server() -> None:
    async with plain_server(b"220 mail.example.com ESMTP\r\n") as (port, _):
        failure = await refused(f"ws://127.0.0.1:{port}")
    assert failure.words == f"LLM server: 127.0.0.1:{port} answered, but not as a WebSocket"


@pytest.mark.parametrize("scheme", ["wss", "https"])
async def test_tls_to_a_server_without(scheme: str) -> None:
    async with plain_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, _):
        failure = await refused(f"{scheme}://127.0.0.1:{port}/llm-websocket")
    assert failure.words == f"LLM server: 127.0.0.1:{port} speaks no TLS"
    assert "ws://" in failure.hint


@pytest.mark.parametrize(
    ("status", "attempts"), [(401, 1), (404, 1), (429, 3), (500, 3), (503, 3), (302, 1), (599, 3)]
)
async def test_an_http_status_instead_of_a_websocket(status: int, attempts: int) -> None:
    requests: list[str] = []
    told: list[str] = []

    def process_request(connection: ServerConnection, request: Any) -> Any:
        requests.append(request.path)
        answer = connection.respond(HTTPStatus.OK, f"no call {SECRET}\nhere")
        answer.status_code = status
        answer.headers["Location"] = f"ws://elsewhere.invalid/{SECRET}"
        return answer

    async def handler(websocket: ServerConnection) -> None: ...

    async with server(handler, process_request=process_request) as url:
        failure = await refused(url, retrying=told.append)
    assert told == ([failure.words] if attempts > 1 else [])
    assert requests == [f"/llm-websocket/{SECRET}"] * attempts
    phrase = "" if status == 599 else f" {HTTPStatus(status).phrase}"
    assert f"answered HTTP {status}{phrase}: no call …cdef here" in failure.words
    assert ("last part of the path" in failure.hint) == (status == 404)
    assert ("redirects" in failure.hint) == (status == 302)


async def test_a_server_that_is_still_starting_is_waited_for() -> None:
    late = iter([HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY])

    def process_request(connection: ServerConnection, request: Any) -> Any:
        status = next(late, None)
        return None if status is None else connection.respond(status, "starting")

    async def handler(websocket: ServerConnection) -> None:
        await say(websocket, response(0))
        await websocket.wait_closed()

    async with server(handler, process_request=process_request) as url, link_to(url) as link:
        assert isinstance(await anext(link), Response)


async def test_what_is_not_a_url_is_refused() -> None:
    with pytest.raises(ConfigError):
        await link_to("localhost:8080").__aenter__()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "gopher://127.0.0.1:1", "nonsense"])
async def test_a_proxy_that_cannot_be_used(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "socks_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    await refused("ws://example.invalid/x")


async def test_one_who_stops_dialling_leaves_nothing() -> None:
    async with plain_server(b"") as (port, heard):
        dialling = asyncio.create_task(link_to(f"ws://127.0.0.1:{port}").__aenter__())
        await heard.wait()
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling


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
