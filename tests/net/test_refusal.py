"""Refusals whose bodies do not end, byte by byte and over real sockets."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answering import answering
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.errors import Rejected
from retell_voice.net.refusal import read_refusal
from retell_voice.transport.route import web_route

SECRET = "call_0123456789abcdef"
PLAIN = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno such call"
LONGER = b"HTTP/1.1 503 Busy\r\nContent-Length: 5000\r\n\r\ncome back later"
CHUNKED = (
    b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"6;x=y\r\nwho ar\r\n8\r\ne you?\r\n\r\nffff\r\n really"
)
OLD = b"HTTP/1.0 410 Gone\r\nServer: x\r\n\r\nthat call is over"
HEAD_ONLY = b"HTTP/1.1 401\r\n\r\n"
JSON = b'HTTP/1.1 429 Slow Down\r\n\r\n{"status": "error", "message": "too many calls"}'


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize(
    ("answer", "words", "status"),
    [
        (PLAIN, "HTTP 404 Not Found: no such call", 404),
        (LONGER, "HTTP 503 Service Unavailable: come back later", 503),
        (CHUNKED, "HTTP 403 Forbidden: who are you? really", 403),
        (OLD, "HTTP 410 Gone: that call is over", 410),
        (HEAD_ONLY, "HTTP 401 Unauthorized", 401),
        (JSON, "HTTP 429 Too Many Requests: too many calls", 429),
    ],
)
async def test_status_and_words_come_at_once_though_the_connection_stays_open(
    answer: bytes, words: str, status: int, in_pieces: bool
) -> None:
    with answering(answer, in_pieces=in_pieces) as port:
        began = time.monotonic()
        route = web_route(SECRET, url=f"ws://127.0.0.1:{port}/audio", connect_timeout=20)
        with pytest.raises(Rejected) as caught:
            await route.connect(lambda: 0.0)
    assert time.monotonic() - began < 5
    assert str(caught.value) == f"server: 127.0.0.1:{port} answered {words}"
    assert caught.value.status == status
    assert caught.value.__context__ is None


@pytest.mark.parametrize("answer", [PLAIN, LONGER, OLD])
async def test_status_and_words_are_kept_when_the_connection_ends_too_soon(answer: bytes) -> None:
    with answering(answer, stays_open=False) as port, pytest.raises(Rejected) as caught:
        await web_route(SECRET, url=f"ws://127.0.0.1:{port}").connect(lambda: 0.0)
    assert caught.value.status == int(answer[9:12])
    assert answer.rpartition(b"\r\n")[2].decode() in str(caught.value)


async def test_what_is_no_http_is_known_at_once_though_the_connection_stays_open() -> None:
    with answering(b"220 mail.example.com ESMTP\r\n") as port:
        began = time.monotonic()
        with pytest.raises(Rejected, match="answered, but not as a WebSocket"):
            await web_route(SECRET, url=f"ws://127.0.0.1:{port}").connect(lambda: 0.0)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [PLAIN, LONGER, CHUNKED, OLD, HEAD_ONLY, JSON])
def test_a_refusal_is_known_when_its_head_is_whole_and_not_before(answer: bytes) -> None:
    head = answer.index(b"\r\n\r\n") + 4
    for size in range(head):
        assert read_refusal(answer[:size]) is None
    for size in range(head, len(answer)):
        response = read_refusal(answer[:size])
        assert response is not None
        assert response.status_code == int(answer[9:12])


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n\r\n",
        b"HTTP/2 404\r\n\r\n",
    ],
)
def test_what_is_no_refusal(answer: bytes) -> None:
    assert read_refusal(answer) is None


@given(st.binary(max_size=60))
def test_nothing_raises(body: bytes) -> None:
    read_refusal(body)
    head = b"HTTP/1.1 500\r\ntransfer-encoding: chunked\r\n\r\n"
    response = read_refusal(head + body)
    assert response is not None
    assert len(response.body) <= len(body)


async def test_a_server_that_accepts_is_not_disturbed() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await asyncio.sleep(0.4)  # longer than a body is waited for
        await websocket.send(b"\1\2")

    async with serve(handler, "127.0.0.1", 0) as running:
        port = running.sockets[0].getsockname()[1]
        connection = await web_route("c", url=f"ws://127.0.0.1:{port}").connect(lambda: 0.0)
        assert len([event async for event in connection]) == 1
