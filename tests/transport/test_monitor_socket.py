import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.answering import answering
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from retell_voice.errors import ConfigError
from retell_voice.events import (
    Event,
    MalformedMessage,
    MonitorChanged,
    Transcript,
    TranscriptItem,
    Turn,
)
from retell_voice.protocol.monitor import NOT_LIVE, TAKE_OVER, CallEnded, MonitorServer
from retell_voice.transport.monitor import Monitor

CALL_ID = "call_0123456789abcdef"
KEY = "key_0123456789abcdef"
words = MonitorServer()
hello = TranscriptItem("a", "agent", 1.0, "Hello")
Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(*handlers: Handler) -> AsyncIterator[str]:
    """A server that hands each connection to the next handler, the last to all that follow."""
    left = list(handlers)

    async def handle(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        assert websocket.request.path == f"/base/v2/monitor-call/{CALL_ID}"
        assert websocket.request.headers["Sec-WebSocket-Protocol"] == f"bearer, {KEY}"
        await (left.pop(0) if len(left) > 1 else left[0])(websocket)

    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol("bearer")]) as running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/base"


def closing(code: int, reason: str = "", *before: str) -> Handler:
    async def handle(websocket: ServerConnection) -> None:
        for message in before:
            await websocket.send(message)
        await websocket.close(code, reason)

    return handle


async def aborting(websocket: ServerConnection) -> None:
    websocket.transport.abort()


class Waited(list[float]):
    """A clock for tests: remembers the pauses, and makes none."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def watch(url: str, sleep: Callable[[float], Awaitable[None]] | None = None) -> Monitor:
    return Monitor(
        CALL_ID,
        api_key=KEY,
        api_url=url,
        clock=lambda: 7.0,
        draw=lambda: 0.0,
        sleep=Waited() if sleep is None else sleep,
    )


async def all_of(monitor: Monitor) -> list[Event]:
    return [event async for event in monitor]


async def test_what_is_said_comes_as_events_until_the_call_ends() -> None:
    async def handle(websocket: ServerConnection) -> None:
        await websocket.send(words.transcript([hello]))
        await websocket.send("what?")
        await websocket.send(words.ended("agent_hangup", 9.0))
        with pytest.raises(ConnectionClosed):  # the client has heard enough
            await websocket.recv()

    async with server(handle) as url:
        events = await all_of(watch(url))
    assert events[0] == MonitorChanged(state="attached", at=7.0)
    assert isinstance(events[1], Transcript)
    assert events[1].items == (hello,)
    assert events[2] == Turn(speaker="agent", at=7.0)
    assert isinstance(events[3], MalformedMessage)
    assert events[4:] == [CallEnded(reason="agent_hangup", timestamp=9.0, at=7.0)]


async def test_a_socket_that_breaks_is_opened_again_and_the_transcript_goes_on() -> None:
    waited = Waited()
    more = TranscriptItem("b", "user", 2.0, "Hi")
    async with server(
        aborting,
        closing(1011, "restarting", words.transcript([hello])),
        closing(1000, "call_ended", words.transcript([more])),
    ) as url:
        events = await all_of(watch(url, waited))
    states = [event.state for event in events if isinstance(event, MonitorChanged)]
    assert states == ["attached", "retrying", "attached", "retrying", "attached"]
    assert "restarting" in [event.why for event in events if isinstance(event, MonitorChanged)]
    assert waited == [0.5, 0.5]  # a message came in between: counted anew
    assert isinstance(events[-2], Transcript)
    assert events[-2].items == (hello, more)


async def test_a_call_that_is_not_live_yet_is_waited_for() -> None:
    waited = Waited()
    async with server(closing(NOT_LIVE), closing(NOT_LIVE), closing(1000)) as url:
        await all_of(watch(url, waited))
    assert waited == [0.5, 1.0]


async def test_a_call_that_never_gets_live_is_given_up() -> None:
    waited = Waited()
    async with server(closing(NOT_LIVE, "not live")) as url:
        events = await all_of(watch(url, waited))
    assert events[-1] == MonitorChanged(state="lost", why="the call is not live", at=7.0)
    assert waited == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


@pytest.mark.parametrize(("code", "reason"), [(4001, "bad key"), (4008, "too many watchers")])
async def test_a_refusal_is_final(code: int, reason: str) -> None:
    async with server(closing(code, reason)) as url:
        events = await all_of(watch(url))
    assert events[1:] == [MonitorChanged(state="lost", why=reason, at=7.0)]


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "check the API key"), (403, "write permission for calls")]
)
async def test_a_key_that_is_refused_over_http_is_told_with_what_to_do(
    status: int, hint: str
) -> None:
    body = json.dumps({"message": f"not with {KEY}"}).encode()
    head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with answering(head + body) as port:
        (event,) = await all_of(watch(f"http://127.0.0.1:{port}"))
    assert isinstance(event, MonitorChanged)
    assert event.state == "lost"
    assert f"127.0.0.1:{port} answered HTTP {status}" in event.why
    assert hint in event.why
    assert KEY not in event.why


async def test_a_server_that_is_overloaded_or_not_there_is_tried_eight_times() -> None:
    waited = Waited()
    with answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as port:
        busy = await all_of(watch(f"http://127.0.0.1:{port}", waited))
    assert len(waited) == len(busy) - 1 == 8
    gone = await all_of(watch(f"http://127.0.0.1:{port}"))
    assert isinstance(gone[-1], MonitorChanged)
    assert gone[-1].state == "lost"
    assert "refused the connection" in gone[-1].why


async def test_who_took_the_call_over_goes_on_listening() -> None:
    more = words.transcript([hello])
    async with server(closing(1000, "", words.ended(TAKE_OVER, 1.0), more)) as url:
        events = await all_of(watch(url))
    assert isinstance(events[2], Transcript)


async def test_leaving_the_iteration_closes_the_socket() -> None:
    closed = asyncio.Event()

    async def handle(websocket: ServerConnection) -> None:
        await websocket.send(words.transcript([hello]))
        await websocket.wait_closed()
        closed.set()

    async with server(handle) as url, asyncio.timeout(5):
        events = watch(url).__aiter__()
        assert await anext(events) == MonitorChanged(state="attached", at=7.0)
        await anext(events)
        await events.aclose()
        await closed.wait()


async def test_nothing_shows_the_key_or_the_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for ours in ("websockets.server", "asyncio"):  # the test's own end
        caplog.set_level(logging.INFO, ours)
    async with server(closing(1000)) as url:
        monitor = watch(url)
        await all_of(monitor)
    assert KEY not in caplog.text + repr(monitor) + repr(vars(monitor))
    assert CALL_ID not in caplog.text + repr(monitor) + repr(vars(monitor))


@pytest.mark.parametrize(
    "given",
    [
        {"call_id": ""},
        {"api_key": ""},
        {"api_key": "two words"},
        {"api_key": "kéy"},
        {"api_key": "a,b"},
        {"api_url": "ftp://example.com"},
    ],
)
def test_what_cannot_be_used_is_refused_at_once(given: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {
        "call_id": CALL_ID,
        "api_key": KEY,
        "api_url": "http://127.0.0.1:1",
    } | given
    with pytest.raises(ConfigError):
        Monitor(arguments.pop("call_id"), **arguments)
