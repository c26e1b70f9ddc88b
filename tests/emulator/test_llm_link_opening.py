"""A connection to an LLM server that does not open: what is tried again, and what is told."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from support.llm_server import LONG, QUICK, SECRET, check, link_to, response, say, server
from websockets.asyncio.server import ServerConnection

from retell_voice.emulator.llm.link import DEFAULT_LINK, LinkSettings, LlmFailure
from retell_voice.errors import ConfigError
from retell_voice.protocol.llm import Response

pytestmark = pytest.mark.usefixtures("nothing_is_left")


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
