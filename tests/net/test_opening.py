"""Opening WebSockets past proxies, with private CAs, and with the wrong scheme."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.emulator.http_post import HttpPoster, PostError
from retell_voice.emulator.llm.dial import LinkSettings, LlmFailure, dial
from retell_voice.errors import ConfigError, ConnectError, Rejected, RetellVoiceError
from retell_voice.net.exchange import exchange
from retell_voice.net.tls import client_context
from retell_voice.transport.route import web_route

CERTIFICATES = Path(__file__).parents[1] / "doctor" / "certificates"
SECRET = "call_0123456789abcdef"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ws_proxy", "wss_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "valid.pem", CERTIFICATES / "key.pem")
    return context


async def says_bye(socket: ServerConnection) -> None:
    await socket.close(1000, "bye")


@asynccontextmanager
async def tcp(answer: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers the first bytes it gets, closes then; None: never says a word."""
    writers = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while (data := await reader.read(4096)) and answer is None:
            pass
        if data and answer is not None:
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.transport.abort()


async def why_not(url: str, connect_timeout: float = 5.0) -> RetellVoiceError:
    with pytest.raises(RetellVoiceError) as caught:
        await web_route(SECRET, url=url, connect_timeout=connect_timeout).connect(time.monotonic)
    assert SECRET not in str(caught.value) + caught.value.hint
    assert isinstance(caught.value, ConfigError) or caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("kind", ["websockets", "silent", "closes"])
async def test_a_plain_client_of_a_tls_server_is_told(kind: str) -> None:
    began = time.monotonic()
    if kind == "websockets":
        async with serve(says_bye, "127.0.0.1", 0, ssl=server_tls()) as server:
            port = server.sockets[0].getsockname()[1]
            error = await why_not(f"ws://127.0.0.1:{port}/x")
    else:
        async with tcp(None if kind == "silent" else b"", server_tls()) as port:
            error = await why_not(f"ws://127.0.0.1:{port}/x")
    assert str(error) == f"network: 127.0.0.1:{port} speaks TLS"
    assert "wss://" in error.hint
    assert time.monotonic() - began < 4
    assert isinstance(error, ConnectError)
    assert not error.temporary


@pytest.mark.parametrize("answers", [True, False], ids=["at once", "never"])
async def test_a_tls_client_of_a_plain_server_is_told(answers: bool) -> None:
    """One that answers nonsense, and one that waits for the end of a line that never comes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(5)
        if answers or first.startswith(b"GET /"):
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        else:
            await reader.read()
        writer.close()

    began = time.monotonic()
    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await why_not(f"wss://127.0.0.1:{port}/x", 0.5)
    assert str(error) == f"network: 127.0.0.1:{port} speaks no TLS"
    assert "ws://, not wss://" in error.hint
    assert time.monotonic() - began < 3


async def test_tls_that_is_too_old_is_told() -> None:
    async with tcp(b"\x15\x03\x01\x00\x02\x02\x46") as port:  # its alert about the version
        error = await why_not(f"wss://127.0.0.1:{port}/x")
    assert "what it speaks is too old" in str(error)
    assert "TLS 1.2 or newer" in error.hint


async def test_a_private_ca_holds_for_every_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    async def each(port: int, ws: int) -> list[str]:
        """What became of the connections that this package makes, "" where all is well."""
        found = []
        for connect in (
            lambda: web_route(SECRET, url=f"wss://localhost:{ws}/x").connect(time.monotonic),
            lambda: dial(f"wss://localhost:{ws}/llm", SECRET, LinkSettings(attempts=1)),
            lambda: exchange("GET", f"https://localhost:{port}/", timeout=5),
            lambda: HttpPoster(f"https://localhost:{port}/").post(b"{}", {}, 5),
        ):
            try:
                made: Any = await connect()
            except (RetellVoiceError, LlmFailure, PostError, ssl.SSLError) as error:
                found.append(str(error))
            else:
                found.append("")
                if hasattr(made, "close"):
                    await made.close()
        return found

    async with (
        serve(says_bye, "127.0.0.1", 0, ssl=server_tls()) as server,
        tcp(answer, server_tls()) as port,
    ):
        ws = server.sockets[0].getsockname()[1]
        assert all("certificate" in each.lower() for each in await each(port, ws))
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "valid.pem"))
        assert await each(port, ws) == [""] * 4


def test_the_store_is_read_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    first = client_context()
    assert client_context() is first
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "valid.pem"))
    named = client_context()
    assert named is not first
    monkeypatch.setattr("retell_voice.net.tls._FRESH", 0.0)
    assert client_context() is not named


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_store_that_cannot_be_used_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "none"))
    with pytest.raises(
        ConfigError, match=rf"^{variable} in the environment cannot be used: .*No s"
    ):
        client_context()
    if variable == "SSL_CERT_FILE":
        (tmp_path / "none").write_text("no certificate")
        with pytest.raises(ConfigError, match="there is no certificate in it"):
            client_context()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "the proxy 127.0.0.1:{} (from https_proxy) wants a user's name and password",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            "the proxy 127.0.0.1:{} (from https_proxy) does not connect to api.example.com:443: "
            "HTTP 403 Forbidden",
        ),
        (
            b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "the proxy 127.0.0.1:{} (from https_proxy) does not connect to api.example.com:443: "
            "HTTP 503 Service Unavailable",
        ),
        (b"", "the proxy 127.0.0.1:{} (from https_proxy) closed the connection, or does not"),
        (b"SSH-2.0-x\r\n", "the proxy 127.0.0.1:{} (from https_proxy) closed the connection"),
        (None, "api.example.com:443 did not answer within 0.3 s through the proxy 127.0.0.1:{}"),
    ],
    ids=["password", "refuses", "busy", "closes", "no http", "silent"],
)
async def test_a_proxy_that_fails_is_named_as_the_proxy(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None, words: str
) -> None:
    async with tcp(answer) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        error = await why_not("wss://api.example.com/x", 0.3 if answer is None else 5.0)
    assert str(error).startswith(f"network: {words.format(port)}")
    assert not isinstance(error, Rejected)


async def test_a_server_behind_a_proxy_in_tls_is_told_from_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "valid.pem"))

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        up_reader, up = await asyncio.open_connection("127.0.0.1", behind)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(4096):
                    sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, up), copy(up_reader, writer))
        done.set()

    done = asyncio.Event()
    async with serve(says_bye, "127.0.0.1", 0, ssl=server_tls()) as server:
        behind = server.sockets[0].getsockname()[1]
        async with await asyncio.start_server(proxy, "127.0.0.1", 0, ssl=server_tls()) as listening:
            port = listening.sockets[0].getsockname()[1]
            monkeypatch.setenv("https_proxy", f"https://localhost:{port}")
            error = await why_not("wss://other.example/x")
            await asyncio.wait_for(done.wait(), 10)
    assert str(error).startswith("network: the TLS certificate of other.example:443 is not valid")
    # Python 3.11's own complaint is about its TLS; none is about our connection.
    assert not any("PromptlyRefused" in str(each) for each in complaints)


async def test_a_proxy_that_is_not_there_is_named_as_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with tcp(b"") as port:
        pass
    monkeypatch.setenv("all_proxy", f"127.0.0.1:{port}")
    error = await why_not("wss://api.example.com/x")
    expected = f"127.0.0.1:{port} refused the connection, which is the proxy (from all_proxy)"
    assert str(error) == f"network: {expected}"


async def test_a_proxy_is_used_and_one_that_cannot_be_is_not_gone_past(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        up_reader, up = await asyncio.open_connection("127.0.0.1", behind)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(4096):
                sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, up), copy(up_reader, writer))

    async with serve(says_bye, "127.0.0.1", 0) as server:
        behind = server.sockets[0].getsockname()[1]
        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{port}")
            route = web_route(SECRET, url="ws://api.example.com/x")
            connection = await route.connect(time.monotonic)
            assert [event async for event in connection] == []
            await connection.close()
    assert asked[0].startswith("CONNECT api.example.com:80 HTTP/1.1")
    # Earlier releases of the library do not decode what stands for me:p@ss.
    decodes = Version(version("websockets")) >= Version("17.2")
    shown = "bWU6cEBzcw==" if decodes else "bWU6cCU0MHNz"
    assert f"Proxy-Authorization: Basic {shown}" in asked[0]
    monkeypatch.setenv("http_proxy", "http://proxy:port")
    error = await why_not("ws://api.example.com/x")
    assert isinstance(error, ConfigError)
    assert str(error).startswith("http_proxy in the environment cannot be used")
