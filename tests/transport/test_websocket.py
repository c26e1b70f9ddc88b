"""The connection over real sockets."""

import asyncio
import contextlib
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
from support.phone import PhoneClient, PhoneServer
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.errors import ConfigError, Rejected, RetellVoiceError
from retell_voice.events import Event, MalformedMessage, UnknownMessage
from retell_voice.protocol.messages import AgentAudio, Clear, Marked
from retell_voice.transport.ports import Closed, Connection
from retell_voice.transport.route import web_route
from retell_voice.transport.websocket import Dial, WebSocketConnection, connect

TIMEOUT = 5.0
SECRET = "call_0123456789abcdef"


async def dial(
    prefix: str, connect_timeout: float = TIMEOUT, *, text_heartbeat: bool = False
) -> Connection:
    route = web_route(
        SECRET, url=prefix, text_heartbeat=text_heartbeat, connect_timeout=connect_timeout
    )
    return await route.connect(lambda: 7.0)


async def dial_phone(url: str, clock: Callable[[], float] = lambda: 7.0) -> WebSocketConnection:
    return await connect(Dial(url, PhoneClient()), connect_timeout=TIMEOUT, clock=clock)


@asynccontextmanager
async def server(handler: Callable[[ServerConnection], Awaitable[None]], **options):
    async with serve(handler, "127.0.0.1", 0, **options) as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/audio"


@asynccontextmanager
async def plain_server(answer: bytes):
    """A TCP server that says this to whoever comes, once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve_one() -> None:
            peer, _ = listening.accept()
            peer.settimeout(TIMEOUT)
            with peer, contextlib.suppress(OSError):
                peer.sendall(answer)
                while peer.recv(4096):
                    pass

        thread = threading.Thread(target=serve_one)
        thread.start()
        yield listening.getsockname()[1]
        # Not in the event loop: the client's end closes there.
        await asyncio.to_thread(thread.join)


async def test_messages_come_as_events_with_the_calls_time() -> None:
    async def handler(socket: ServerConnection) -> None:
        assert socket.request is not None
        await socket.send(socket.request.path)
        await socket.send(b"\1\2")
        await socket.send("clear")
        await socket.close(1000, "bye")

    async with server(handler) as prefix:
        connection = await dial(prefix)
        assert connection.closed is None
        events = [event async for event in connection]
    assert events == [
        UnknownMessage(at=7.0, message="/audio/…cdef?enable_update=true"),
        AgentAudio(at=7.0, data=b"\1\2"),
        Clear(at=7.0),
    ]
    assert connection.closed == Closed("server", 1000, "bye")


@pytest.mark.parametrize(("text_heartbeat", "texts"), [(False, []), (True, ["ping"])])
async def test_frames_and_heartbeats_arrive(text_heartbeat: bool, texts: list[str]) -> None:
    got: list[str | bytes] = []

    async def handler(socket: ServerConnection) -> None:
        async for message in socket:
            got.append(message)
            if message == b"\3\4":
                await socket.send("heard")

    async with server(handler) as prefix, asyncio.timeout(TIMEOUT):
        connection = await dial(prefix, text_heartbeat=text_heartbeat)
        await connection.send_audio(b"\1\2")
        await connection.ping()
        await connection.send_audio(b"\3\4")
        async for _ in connection:
            assert connection.round_trip == 0.0  # by the clock that stands still
            await connection.close()
    assert got == [b"\1\2", *texts, b"\3\4"]
    assert connection.closed == Closed("you", 1000, "")


async def die_of_ping(socket: ServerConnection) -> None:
    async for message in socket:
        if message == "ping":
            await socket.close(1011, "Expecting value: line 1 column 1 (char 0)")


async def break_at_ping(socket: ServerConnection) -> None:
    async for message in socket:
        if message == "ping":
            socket.transport.abort()


async def answer_ping_and_die_later(socket: ServerConnection) -> None:
    async for message in socket:
        if message == "ping":
            await socket.send("pong")
            await socket.close(1011, "of something else")


@pytest.mark.parametrize(
    ("handler", "names_it"),
    [(die_of_ping, True), (break_at_ping, True), (answer_ping_and_die_later, False)],
)
async def test_an_end_right_after_the_text_heartbeat_names_that(handler, names_it: bool) -> None:
    async with server(handler) as prefix, asyncio.timeout(TIMEOUT):
        connection = await dial(prefix, text_heartbeat=True)
        await connection.ping()
        assert len([event async for event in connection]) == (not names_it)
        closed = connection.closed
    assert closed is not None
    assert closed.code in (1011, 1006)
    assert ("'ping'" in closed.hint, "--no-text-heartbeat" in closed.hint) == (names_it, names_it)


async def test_an_end_long_after_the_text_heartbeat_has_another_cause() -> None:
    time = 7.0

    async def handler(socket: ServerConnection) -> None:
        nonlocal time
        assert await socket.recv() == "ping"
        time += 3.0
        await socket.close(1011, "of something else")

    async with server(handler) as prefix, asyncio.timeout(TIMEOUT):
        route = web_route(SECRET, url=prefix, text_heartbeat=True)
        connection = await route.connect(lambda: time)
        await connection.ping()
        assert [event async for event in connection] == []
    assert connection.closed == Closed("server", 1011, "of something else")


async def test_a_dialect_says_what_belongs_to_the_beginning_the_end_and_each_frame() -> None:
    got: list[Any] = []

    async def handler(socket: ServerConnection) -> None:
        got.extend([json.loads(message) async for message in socket])

    async with server(handler) as url, asyncio.timeout(TIMEOUT):
        connection = await dial_phone(url)
        assert connection.send_now(b"\1\2")
        await connection.send_audio(b"\3\4")
        await connection.ping()
        await connection.close()
        await connection.close()
        assert [event async for event in connection] == []
        assert not connection.send_now(b"late")
    assert got == [
        {"event": "connected"},
        {"event": "start", "stream": "s1"},
        {"event": "media", "chunk": 1, "at": 7.0, "payload": "AQI="},
        {"event": "media", "chunk": 2, "at": 7.0, "payload": "AwQ="},
        {"event": "stop"},
    ]


async def test_what_was_heard_is_said_once_and_replies_go_back_by_themselves() -> None:
    got: list[Event] = []

    async def handler(socket: ServerConnection) -> None:
        dialect = PhoneServer()
        for name in ("heard", "cleared"):
            await socket.send(dialect.mark(name))
        while len(got) < 2:
            got.extend(dialect.receive(await socket.recv()))
            if got == [Marked(name="heard")]:
                await socket.send(dialect.clear())
        await socket.close()

    async with server(handler) as url, asyncio.timeout(TIMEOUT):
        connection = await dial_phone(url)
        events: list[Any] = []
        async for event in connection:
            events.append(event)
            if len(events) == 2:
                connection.heard(events[0].cue)
                connection.heard(events[0].cue)
        connection.heard(events[1].cue)  # it was, just before the clear
        connection.heard("of another call")
    assert [type(event) for event in events] == [AgentAudio, AgentAudio, Clear]
    assert got == [Marked(name="heard"), Marked(name="cleared")]


async def test_headers_of_a_route_are_sent() -> None:
    async def handler(socket: ServerConnection) -> None:
        assert socket.request is not None
        await socket.send(socket.request.headers["X-Token"])
        await socket.close()

    async with server(handler) as url:
        dial = Dial(url, PhoneClient(), {"X-Token": "t0"})
        assert "t0" not in repr(dial)
        connection = await connect(dial, connect_timeout=TIMEOUT, clock=lambda: 0.0)
        assert [type(event) async for event in connection] == [MalformedMessage]


async def test_a_frame_is_sent_at_once_or_not_at_all() -> None:
    got: list[bytes] = []
    read, closed = asyncio.Event(), asyncio.Event()

    async def handler(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await read.wait()
        socket.transport.resume_reading()
        got.extend([message async for message in socket if isinstance(message, bytes)])
        closed.set()

    frames = [number.to_bytes(4, "big") * 4000 for number in range(10_000)]
    async with server(handler, max_queue=None) as prefix, asyncio.timeout(TIMEOUT):
        connection = await dial(prefix)
        taken = next(n for n, frame in enumerate(frames) if not connection.send_now(frame))
        assert taken > 0
        assert not connection.send_now(frames[taken])
        read.set()
        await connection.send_audio(frames[taken])  # waits behind the others
        await connection.close()
        assert not connection.send_now(b"late")
        await closed.wait()
    assert got == frames[: taken + 1]


@pytest.mark.parametrize(("code", "reason"), [(1011, "error_llm_websocket_open"), (4001, "")])
async def test_code_and_reason_of_the_server_are_kept(code: int, reason: str) -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.close(code, reason)

    async with server(handler) as prefix:
        connection = await dial(prefix)
        assert [event async for event in connection] == []
    assert connection.closed == Closed("server", code, reason)
    await connection.send_audio(b"\1\2")  # too late is not an error
    await connection.ping()
    await connection.close()
    assert connection.closed == Closed("server", code, reason)


async def test_a_connection_that_breaks_is_told_from_one_that_is_closed() -> None:
    async def handler(socket: ServerConnection) -> None:
        socket.transport.abort()

    async with server(handler) as prefix:
        connection = await dial(prefix)
        assert [event async for event in connection] == []
    assert connection.closed is not None
    assert (connection.closed.by, connection.closed.code) == ("network", 1006)


async def test_a_text_that_is_not_utf_8_ends_the_connection_as_the_standard_demands() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(b"\xff", text=True)
        await socket.wait_closed()

    async with server(handler) as prefix:
        connection = await dial(prefix)
        assert [event async for event in connection] == []
    assert connection.closed is not None
    assert (connection.closed.by, connection.closed.code) == ("network", 1007)


async def test_a_minute_of_audio_fits_one_message() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(bytes(60 * 48000 * 2))

    async with server(handler) as prefix:
        (event,) = [event async for event in await dial(prefix)]
    assert isinstance(event, AgentAudio)


async def test_a_peer_that_does_not_answer_a_hang_up_costs_a_second_at_the_most() -> None:
    gone = asyncio.Event()

    async def handler(socket: ServerConnection) -> None:
        socket.transport.pause_reading()
        await gone.wait()

    async with server(handler, close_timeout=0.1) as prefix:
        connection = await dial(prefix)
        started = asyncio.get_running_loop().time()
        await connection.close()
        assert asyncio.get_running_loop().time() - started < 2
        gone.set()


@pytest.mark.parametrize(
    "prefix", ["", "host", "http://host/x", "ws://", "ws:///path", "ws://host:port/", "ws://h/?a=1"]
)
async def test_what_is_not_a_websocket_url_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError):
        await dial(prefix)


async def refused(prefix: str, connect_timeout: float = TIMEOUT) -> RetellVoiceError:
    with pytest.raises(RetellVoiceError) as caught:
        await dial(prefix, connect_timeout)
    error = caught.value
    assert "\n" not in str(error)
    for text in (str(error), error.hint, repr(error)):
        assert SECRET not in text
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


async def test_no_such_host() -> None:
    error = await refused("ws://no-such-host.invalid/audio")
    assert str(error).startswith("network: no such host: no-such-host.invalid")
    assert error.exit_code == 4


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_listens(host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = await refused(f"ws://{host}:{port}/audio")
    assert str(error) == f"network: {host}:{port} refused the connection"


async def test_no_answer_in_time() -> None:
    async with plain_server(b"") as port:
        error = await refused(f"ws://127.0.0.1:{port}/audio", connect_timeout=0.05)
    assert "did not answer within 0.05 s" in str(error)


async def test_tls_to_a_server_without() -> None:
    async with plain_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        error = await refused(f"wss://127.0.0.1:{port}/audio")
    assert "TLS" in str(error)
    assert "ws://" in error.hint


async def test_a_server_that_is_no_http_server() -> None:
    async with plain_server(b"220 mail.example.com ESMTP\r\n") as port:
        error = await refused(f"ws://127.0.0.1:{port}/audio")
    assert isinstance(error, Rejected)
    assert "not as a WebSocket" in str(error)


@pytest.mark.parametrize("status", [401, 404, 409, 500, 503])
async def test_an_http_status_instead_of_a_call(status: int) -> None:
    def process_request(connection, request):
        return connection.respond(HTTPStatus(status), f"no call {SECRET}\nhere")

    async def handler(socket: ServerConnection) -> None: ...

    async with server(handler, process_request=process_request) as prefix:
        error = await refused(prefix)
    assert isinstance(error, Rejected)
    assert error.status == status
    assert error.exit_code == 5
    assert f"HTTP {status} {HTTPStatus(status).phrase}: no call …cdef here" in str(error)


@pytest.mark.parametrize("location", ["https://example.invalid/login?to={}", "ws://h.invalid/{}"])
async def test_a_redirect_is_not_followed(location: str) -> None:
    def process_request(connection, request):
        response = connection.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = location.format(SECRET)
        return response

    async def handler(socket: ServerConnection) -> None: ...

    async with server(handler, process_request=process_request) as prefix:
        error = await refused(prefix)
    assert isinstance(error, Rejected)
    assert error.status == 302
    assert "redirects are not followed" in error.hint


@pytest.mark.parametrize(
    "prefix",
    [
        "ws://me:hunter2@/x",
        "ws://me:hunter2@127.0.0.1:1/x?token=hunter2",
        "http://me:hunter2@127.0.0.1/x",
        "ws://user@127.0.0.1:9/x",
        "ws://a..b/x",
    ],
)
async def test_odd_urls_are_refused_without_showing_what_is_secret(prefix: str) -> None:
    error = await refused(prefix)
    assert "hunter2" not in f"{error} {error.hint}"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "gopher://127.0.0.1:1", "nonsense"])
async def test_a_proxy_that_cannot_be_used(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "socks_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    await refused("ws://example.invalid/x")


async def test_the_call_id_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "websockets")

    async def handler(socket: ServerConnection) -> None: ...

    async with server(handler, logger=logging.getLogger("server")) as prefix:
        logging.getLogger("server").setLevel(logging.CRITICAL)
        connection = await dial(prefix)
        assert [event async for event in connection] == []
    assert SECRET not in caplog.text
