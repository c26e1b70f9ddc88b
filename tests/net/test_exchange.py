"""One HTTP request: what servers answer, and what is no answer."""

from __future__ import annotations

import asyncio

import pytest
from support.rest import answer, server

from retell_voice.net import exchange as module
from retell_voice.net.exchange import exchange
from retell_voice.net.proxy import proxy_for

TOKEN = "a-secret-token-of-length"


async def test_a_request_and_its_answer() -> None:
    async with server(answer(b'{"a": 1}', "201 Created")) as (url, heads):
        said = await exchange("POST", f"{url}/x?y=z", body=b'{"b": 2}', timeout=5)
    assert (said.status, said.text) == (201, '{"a": 1}')
    assert said.headers["content-type"] == "application/json"
    assert heads[0].split() == ["POST", "/x?y=z", "HTTP/1.1"]
    assert heads.bodies == [b'{"b": 2}']
    assert "a" not in repr(said.text)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
async def test_every_way_to_end_a_body(sent: bytes) -> None:
    async with server(sent) as (url, _):
        assert (await exchange("GET", url, timeout=5)).text == "hello"


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"", "did not answer in HTTP"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000, "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000, "did not answer in HTTP"),
    ],
)
async def test_what_is_no_answer(monkeypatch: pytest.MonkeyPatch, sent: bytes, says: str) -> None:
    monkeypatch.setattr(module, "_MOST", 1000)
    async with server(sent) as (url, _):
        with pytest.raises(OSError, match=says):
            await exchange("GET", url, timeout=5)


async def test_a_server_that_says_nothing_and_one_that_is_not_there(unused_tcp_port: int) -> None:
    async with server(None) as (url, _):
        with pytest.raises(TimeoutError):
            await exchange("GET", url, timeout=0.2)
    with pytest.raises(ConnectionRefusedError):
        await exchange("GET", f"http://127.0.0.1:{unused_tcp_port}", timeout=5)


async def test_what_is_cancelled_leaves_no_connection() -> None:
    async with server(None) as (url, heads):
        task = asyncio.create_task(exchange("GET", url, timeout=5))
        await heads.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_token_with_a_line_end_is_refused_and_not_shown() -> None:
    headers = {"Authorization": f"Bearer {TOKEN}\r\nX: y"}
    with pytest.raises(ValueError, match="characters that none has") as caught:
        await exchange("GET", "http://127.0.0.1:1", headers=headers, timeout=5)
    assert TOKEN not in str(caught.value)


def test_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert not proxy_for("https://api.retellai.com")
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    assert proxy_for("https://api.retellai.com")
    assert not proxy_for("http://api.retellai.com")
    monkeypatch.setenv("no_proxy", "retellai.com")
    assert not proxy_for("https://api.retellai.com")
