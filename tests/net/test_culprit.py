"""Whose fault it is that nobody was reached: the same words for every kind of HTTP client."""

from __future__ import annotations

import asyncio
import errno
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.addresses import dead, with_two_addresses

from retell_voice.emulator.http_post import HttpPoster, PostError
from retell_voice.errors import ConfigError, ConnectError, RetellVoiceError
from retell_voice.kiosk.placing import UrlCalls
from retell_voice.kiosk.post import post
from retell_voice.net.culprit import find_culprit
from retell_voice.net.http import parse_base
from retell_voice.protocol.gateway import Admission
from retell_voice.rest import get_concurrency
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.transport.webrtc.signalling import Signalling

CERTIFICATES = Path(__file__).parents[1] / "doctor" / "certificates"
PASSWORD = "p@ss-of-the-proxy"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "valid.pem"))


async def sdk(url: str) -> None:
    await get_concurrency(api_key="key_x", api_url=url)


async def plain(url: str) -> None:
    await get_concurrency(api_key="key_x", api_url=url, plain=True)


async def gateway(url: str) -> None:
    signalling = Signalling(parse_base(url, url), 5.0)
    try:
        await signalling.join(Admission(call_id="call_x", access_token="token_x"), "v=0")
    finally:
        await signalling.close()


async def endpoint(url: str) -> None:
    await post(url, "{}", "a-token-of-some-length")


async def look(url: str) -> None:
    await UrlCalls(KioskSettings(call_url=Sourced(url))).check()


async def webhook(url: str) -> None:
    try:
        await HttpPoster(url).post(b"{}", {}, 5.0)
    except PostError as error:
        raise ConnectError(str(error)) from None


Client = Callable[[str], Awaitable[None]]
CLIENTS: list[Client] = [sdk, plain, gateway, endpoint, webhook]


async def why_not(client: Client, url: str) -> RetellVoiceError:
    with pytest.raises(RetellVoiceError) as caught:
        await client(url)
    assert PASSWORD not in str(caught.value) + caught.value.hint
    assert isinstance(caught.value, ConnectError | ConfigError)
    return caught.value


@asynccontextmanager
async def answers(
    data: bytes, tls: ssl.SSLContext | None = None, heads: list[bytes] | None = None
) -> AsyncIterator[int]:
    """A server that answers the first that comes, and closes."""
    writers = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError):
            head = await reader.read(65536)
            if heads is not None:
                heads.append(head)
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            b"HTTP/1.1 407 Password\r\nContent-Length: 0\r\n\r\n",
            "the proxy 127.0.0.1:{} (from https_proxy) wants a user's name and password",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "the proxy 127.0.0.1:{} (from https_proxy) does not connect to api.example.com",
        ),
        (b"", "the proxy 127.0.0.1:{} (from https_proxy) closed the connection, or does not"),
        (b"SSH-2.0-x\r\n\r\n", "the proxy 127.0.0.1:{} (from https_proxy) closed the connection"),
    ],
    ids=["password", "refuses", "closes", "no http"],
)
async def test_a_proxy_that_fails_is_named(
    monkeypatch: pytest.MonkeyPatch, client: Client, answer: bytes, words: str
) -> None:
    async with answers(answer) as port:
        monkeypatch.setenv("https_proxy", f"http://me:{PASSWORD}@127.0.0.1:{port}")
        error = await why_not(client, "https://api.example.com/x")
    assert words.format(port) in str(error)


@pytest.mark.parametrize("client", [*CLIENTS, look], ids=lambda each: each.__name__)
async def test_a_proxy_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, client: Client, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("all_proxy", f"127.0.0.1:{unused_tcp_port}")
    error = await why_not(client, "https://api.example.com/x")
    words = f"127.0.0.1:{unused_tcp_port} refused the connection, which is the proxy (from all_"
    assert words in str(error)


@pytest.mark.parametrize("client", [sdk, plain, gateway], ids=lambda each: each.__name__)
async def test_a_proxy_that_wants_a_password_for_a_plain_request_is_named(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    async with answers(b"HTTP/1.1 407 Password\r\nContent-Length: 0\r\n\r\n") as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        error = await why_not(client, "http://api.example.com/x")
    assert f"the proxy 127.0.0.1:{port} (from http_proxy) wants a user's name" in str(error)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
async def test_the_wrong_scheme_is_told(client: Client) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATES / "valid.pem", CERTIFICATES / "key.pem")
    async with answers(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", tls) as port:
        error = await why_not(client, f"http://127.0.0.1:{port}/x")
    assert f"127.0.0.1:{port} speaks TLS" in str(error)
    assert "https://" in f"{error}{error.hint}"
    async with answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        error = await why_not(client, f"https://127.0.0.1:{port}/x")
    assert f"127.0.0.1:{port} speaks no TLS" in str(error)
    assert "http://, not https://" in f"{error}{error.hint}"


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
async def test_a_certificate_that_nobody_knows_is_no_wrong_scheme(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATES / "valid.pem", CERTIFICATES / "key.pem")
    async with answers(b"", tls) as port:
        error = await why_not(client, f"https://localhost:{port}/x")
    assert "certificate of" in str(error)
    assert "not valid" in str(error)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
async def test_a_private_ca_is_trusted_and_the_proxy_used(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    """Behind it, a server of the name on its certificate."""
    teapot = b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"
    async with behind_a_proxy(monkeypatch, teapot) as (port, asked):
        with pytest.raises(RetellVoiceError, match="418"):
            await client(f"https://localhost:{port}/x")
    assert asked[0].startswith(f"CONNECT localhost:{port} HTTP/1.1")
    assert "authorization: basic bwu6cebzcy1vzi10agutchjvehk=" in asked[0].lower()


@asynccontextmanager
async def behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> AsyncIterator[tuple[int, list[str]]]:
    """A server in TLS that is to be reached through a proxy; what the proxy is asked."""
    asked: list[str] = []
    done = asyncio.Event()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATES / "valid.pem", CERTIFICATES / "key.pem")
    # The proxy must be asked, and localhost is never reached through one.
    monkeypatch.setattr("retell_voice.net.proxy._IS_LOCAL", NEVER)

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        up_reader, up = await asyncio.open_connection("127.0.0.1", behind)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while data := await source.read(4096):
                    sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, up), copy(up_reader, writer))
        done.set()

    async with (
        answers(answer, tls) as behind,
        await asyncio.start_server(proxy, "127.0.0.1", 0) as listening,
    ):
        port = listening.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://me:{PASSWORD}@127.0.0.1:{port}")
        yield behind, asked
        await asyncio.wait_for(done.wait(), 10)


@pytest.mark.parametrize("client", [endpoint, webhook], ids=lambda each: each.__name__)
async def test_a_server_that_fails_behind_a_proxy_is_to_blame_itself(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    async with behind_a_proxy(monkeypatch, b"SSH-2.0-x\r\n\r\n") as (port, _):
        error = await why_not(client, f"https://localhost:{port}/x")
    assert f"localhost:{port}" in str(error)
    assert "did not answer in HTTP" in str(error)
    assert "the proxy" not in f"{error}{error.hint}"


async def test_a_connection_that_breaks_behind_a_proxy_is_not_its_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    broken = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    read, connect = httpx.ReadError("x"), httpx.ConnectError("x")
    read.__cause__ = connect.__cause__ = broken
    for error in (broken, read):
        why = await find_culprit(error, "https://api.example.com/x", 5.0)
        assert why.words == "cannot connect to api.example.com: Connection reset by peer"
    assert "is the proxy" in (await find_culprit(connect, "https://api.example.com/x", 5.0)).words


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 407 Password\r\nContent-Length: 0\r\n\r\n"])
async def test_what_is_not_encrypted_is_passed_on_by_the_proxy_and_nothing_goes_past_it(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    def no_question(*_: object) -> None:
        pytest.fail("the server was asked past the proxy")

    monkeypatch.setattr("retell_voice.net.culprit.speaks_tls", no_question)
    heads: list[bytes] = []
    async with answers(answer, heads=heads) as port:
        monkeypatch.setenv("http_proxy", f"http://me:{PASSWORD}@127.0.0.1:{port}")
        error = await why_not(webhook, "http://api.example.com:81/x?y=1")
    assert heads[0].startswith(b"POST http://api.example.com:81/x?y=1 HTTP/1.1\r\n")
    assert b"\r\nHost: api.example.com:81\r\n" in heads[0]
    assert b"\r\nProxy-Authorization: Basic bWU6cEBzcy1vZi10aGUtcHJveHk=\r\n" in heads[0]
    says = f"the proxy 127.0.0.1:{port} (from http_proxy) wants" if answer else "not answer in HTTP"
    assert says in str(error)


class Never:
    def fullmatch(self, _: str) -> None:
        return None


NEVER: Any = Never()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
@pytest.mark.parametrize("client", CLIENTS, ids=lambda each: each.__name__)
async def test_an_address_that_says_nothing_costs_no_half_second(
    monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    """As the IPv6 address of a name whose server is reached over IPv4 only."""
    with dead() as first:
        async with answers(b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n") as port:
            with_two_addresses(monkeypatch, "both.localhost", first)
            began = time.monotonic()
            with pytest.raises(RetellVoiceError, match="418"):
                await client(f"http://both.localhost:{port}/x")
    assert time.monotonic() - began < 1.5  # loading the SDK included


async def test_a_proxy_of_another_kind_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    for client in (endpoint, webhook, look):
        error = await why_not(client, "https://api.example.com/x")
        assert "https_proxy in the environment cannot be used" in str(error)
