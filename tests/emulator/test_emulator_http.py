"""HTTP read in any pieces, and what is not HTTP."""

import json
from collections.abc import Awaitable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.http import MAX_BODY, HttpPeer
from retell_voice.emulator.rest.replies import Reply, Request

POST = (
    b"POST /a?b=1 HTTP/1.1\r\nHost: [::]\r\nContent-Length: 5\r\n"
    b"Authorization: Bearer k\r\n\r\nhello"
)
GET = b"GET /c HTTP/1.1\r\nHost: [::]\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: [::]\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


class Server:
    """A peer and what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.peer = HttpPeer(self._respond)
        self.sent = b""

    def _respond(self, request: Request) -> Reply:
        self.requests.append(request)
        status = 405 if request.method == "CONNECT" else 200
        return Reply(status, {"n": len(self.requests)})

    def feed(self, data: bytes, cuts: list[int] | None = None) -> None:
        edges = [0, *sorted(cuts or []), len(data)]
        for start, end in pairwise(edges):
            self.sent += self.peer.receive(data[start:end])
            while self.peer.has_more:
                self.sent += self.peer.go_on()


def cuts_of(data: bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(data)), max_size=12)


@given(cuts_of(POST + GET + POST))
def test_pieces_make_no_difference(cuts: list[int]) -> None:
    whole, pieces = Server(), Server()
    whole.feed(POST + GET + POST)
    pieces.feed(POST + GET + POST, cuts)
    assert pieces.requests == whole.requests
    assert pieces.sent == whole.sent
    assert [r.method for r in whole.requests] == ["POST", "GET", "POST"]
    assert whole.requests[0].target == "/a?b=1"
    assert whole.requests[0].body == b"hello"
    assert whole.requests[0].headers["authorization"] == "Bearer k"


@given(cuts_of(GET + UPGRADE + b"\x81\x80early"))
def test_a_websocket_is_handed_over_with_every_byte(cuts: list[int]) -> None:
    early = b"\x81\x80early"
    server = Server()
    data = GET + UPGRADE + early
    edges = [0, *sorted(cuts), len(data)]
    handed = b""
    for start, end in pairwise(edges):
        if handed:
            handed += data[start:end]  # the door feeds the WebSocket from here on
        else:
            server.feed(data[start:end])
            handed = server.peer.upgrade or b""
    assert handed == UPGRADE + early
    assert len(server.requests) == 1


@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_never_raise(data: bytes, after_a_request: bool) -> None:
    server = Server()
    if after_a_request:
        server.feed(POST)
    server.feed(data)
    server.feed(b"\r\n\r\n" + data)


def test_what_is_not_http_is_answered_and_closed() -> None:
    server = Server()
    server.feed(b"\x16\x03\x01 hello\r\n\r\n")
    assert server.sent.startswith(b"HTTP/1.1 400 ")
    assert server.peer.closing
    body = json.loads(server.sent.partition(b"\r\n\r\n")[2])
    assert body["status"] == "error"
    assert "HTTP" in body["error_message"]


def test_an_endless_head_is_refused() -> None:
    server = Server()
    server.feed(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(100):
        server.feed(b"a" * 1000)
    assert server.sent.startswith(b"HTTP/1.1 431 ")
    assert server.peer.closing


def test_an_endless_body_is_refused_and_not_kept() -> None:
    server = Server()
    server.feed(b"POST / HTTP/1.1\r\nHost: [::]\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(MAX_BODY // 65536 + 2):
        server.feed(b"10000\r\n" + bytes(65536) + b"\r\n")
    assert server.sent.startswith(b"HTTP/1.1 413 ")
    assert server.peer.closing
    assert server.requests == []


def test_a_client_that_waits_is_told_to_go_on() -> None:
    server = Server()
    head, _, body = POST.partition(b"\r\n\r\n")
    server.feed(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert server.sent.startswith(b"HTTP/1.1 100 ")
    server.feed(body)
    assert b"HTTP/1.1 200 " in server.sent


def test_http_1_0_closes_after_its_answer() -> None:
    server = Server()
    server.feed(b"GET / HTTP/1.0\r\n\r\n")
    assert b" 200 " in server.sent
    assert server.peer.closing


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "OPTIONS", "PATCH", "X-ODD"])
def test_any_method_is_answered(method: str) -> None:
    server = Server()
    server.feed(f"{method} /x HTTP/1.1\r\nHost: [::]\r\n\r\n".encode() + GET)
    assert server.sent.count(b"HTTP/1.1 ") == 2
    assert [request.method for request in server.requests] == [method, "GET"]


def test_an_upgrade_to_something_else_is_declined() -> None:
    server = Server()
    h2c = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n"
    server.feed(b"GET /x HTTP/1.1\r\nHost: [::]\r\n" + h2c + GET)
    assert server.sent.count(b"HTTP/1.1 200 ") == 2


HEADS = st.tuples(
    st.sampled_from([b"GET", b"HEAD", b"POST", b"CONNECT"]),
    st.lists(
        st.sampled_from(
            [
                b"Content-Length: 3",
                b"Content-Length: 0",
                b"Transfer-Encoding: chunked",
                b"Upgrade: h2c",
                b"Connection: upgrade",
                b"Connection: close",
                b"Expect: 100-continue",
            ]
        ),
        unique=True,
    ),
    st.sampled_from([b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"5\r\nab"]),
)


@given(st.lists(HEADS, max_size=3), st.data())
def test_odd_requests_never_raise(
    requests: list[tuple[bytes, list[bytes], bytes]], data: st.DataObject
) -> None:
    stream = b"".join(
        b"\r\n".join([method + b" /x HTTP/1.1", b"Host: [::]", *headers, b"", body])
        for method, headers, body in requests
    )
    whole, pieces = Server(), Server()
    whole.feed(stream)
    pieces.feed(stream, data.draw(cuts_of(stream)))
    assert pieces.requests == whole.requests


def test_several_requests_at_once_are_answered_one_at_a_time() -> None:
    """So that whoever sends thousands and reads no answer costs no memory."""
    server = Server()
    out = server.peer.receive(GET * 5)
    for answered in range(1, 5):
        assert out.count(b"HTTP/1.1 200 OK") == 1
        assert len(server.requests) == answered
        assert server.peer.has_more
        out = server.peer.go_on()
    assert len(server.requests) == 5


async def test_a_promised_answer_comes_in_its_turn() -> None:
    requests: list[Request] = []

    async def later(request: Request) -> Reply:
        return Reply(201, request.method)

    def respond(request: Request) -> Reply | Awaitable[Reply]:
        requests.append(request)
        return later(request) if request.method == "POST" else Reply(200, request.method)

    peer = HttpPeer(respond)
    assert peer.receive(POST + GET + UPGRADE[:20]) == b""
    assert peer.promised is not None
    assert peer.receive(UPGRADE[20:]) == b""
    assert [each.method for each in requests] == ["POST"]
    out = peer.answer(await peer.promised)
    while peer.has_more:
        out += peer.go_on()
    assert out.index(b"HTTP/1.1 201 Created") < out.index(b"HTTP/1.1 200 OK")
    assert peer.promised is None
    assert peer.upgrade == UPGRADE


def test_a_reply_may_be_a_text_of_another_type() -> None:
    peer = HttpPeer(lambda _: Reply(200, "v=0\r\n", content_type="application/sdp"))
    out = peer.receive(GET)
    assert b"Content-Type: application/sdp\r\n" in out
    assert out.endswith(b"\r\n\r\nv=0\r\n")
