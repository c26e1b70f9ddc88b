"""Each layer over real sockets, with everything that can be wrong with it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from support.addresses import address, dead
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat
from retell_voice.doctor import network
from retell_voice.doctor.findings import Finding, Verdict, exit_code
from retell_voice.emulator import Emulator
from retell_voice.net.dialling import Address

CERTIFICATES = Path(__file__).with_name("certificates")
PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def look(url: str, step_timeout: float = 5.0, **more: Any) -> list[Finding]:
    async with asyncio.timeout(20):
        return [each async for each in network.examine(url, step_timeout=step_timeout, **more)]


def verdicts(found: list[Finding]) -> list[tuple[str, Verdict]]:
    return [(each.check, each.verdict) for each in found]


@asynccontextmanager
async def websockets(handler: Any = None, **more: Any) -> AsyncIterator[int]:
    async def closes(socket: ServerConnection) -> None:
        await socket.close(1008, "no such call")

    async with serve(handler or closes, "127.0.0.1", 0, **more) as server:
        yield server.sockets[0].getsockname()[1]


def tls(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / certificate, CERTIFICATES / "key.pem")
    return context


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as end:
        return int(end.getsockname()[1])


async def test_the_emulator_refuses_and_is_reachable_and_no_call_is_spent() -> None:
    async with Emulator() as emulator:
        call = emulator.register(AudioFormat())
        found = await look(emulator.url)
        assert verdicts(found) == [("DNS", PASS), ("TCP", PASS), ("WebSocket", PASS)]
        assert "HTTP 404" in found[-1].says
        assert all(each.figures["ms"] >= 0 for each in found)
        assert call.status == "registered"


async def test_a_server_that_closes_an_unknown_call_is_reachable() -> None:
    async with websockets() as port:
        found = await look(f"ws://127.0.0.1:{port}")
    assert verdicts(found) == [("DNS", PASS), ("TCP", PASS), ("WebSocket", PASS)]
    assert "close code 1008" in found[-1].says


async def test_a_server_that_lets_anybody_in() -> None:
    asked = []

    async def stays(socket: ServerConnection) -> None:
        asked.append(socket.request.path if socket.request else "")
        await socket.wait_closed()

    async with websockets(stays) as port:
        found = await look(f"ws://127.0.0.1:{port}/audio")
    assert found[-1].verdict is PASS
    assert "lets anybody in" in found[-1].says
    assert asked[0].startswith("/audio/doctor-")


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [
        (HTTPStatus.UNAUTHORIZED, PASS, 0),
        (HTTPStatus.NOT_FOUND, PASS, 0),
        (HTTPStatus.SERVICE_UNAVAILABLE, WARN, 0),
        (HTTPStatus.TOO_MANY_REQUESTS, WARN, 0),
        (HTTPStatus.MOVED_PERMANENTLY, FAIL, 5),
        (HTTPStatus.OK, FAIL, 5),
    ],
)
async def test_answers_without_a_websocket(status: HTTPStatus, verdict: Verdict, code: int) -> None:
    async with websockets(process_request=lambda c, r: c.respond(status, "")) as port:
        found = await look(f"ws://127.0.0.1:{port}")
    assert (found[-1].check, found[-1].verdict) == ("WebSocket", verdict)
    assert exit_code(found) == code


async def test_a_name_that_there_is_not() -> None:
    async def nowhere(host: str, port: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    found = await look("wss://voice.test/x", resolve=nowhere)
    assert verdicts(found) == [("DNS", FAIL)]
    assert "no such host: voice.test: Name or service not known" in found[0].says
    assert exit_code(found) == 4


async def test_a_name_server_that_says_nothing() -> None:
    async def never(host: str, port: int) -> list[Any]:
        await asyncio.Event().wait()
        raise AssertionError

    found = await look("ws://voice.test/x", step_timeout=0.05, resolve=never)
    assert verdicts(found) == [("DNS", FAIL)]
    assert "no answer" in found[0].says


async def test_nobody_listens() -> None:
    found = await look(f"ws://127.0.0.1:{free_port()}/x")
    assert verdicts(found) == [("DNS", PASS), ("TCP", FAIL)]
    assert "refused" in found[-1].says.lower()
    assert exit_code(found) == 4


async def test_the_second_address_is_tried_when_the_first_refuses() -> None:
    async with websockets() as port:

        async def two(host: str, asked: int) -> list[Any]:
            kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
            return [(*kind, ("127.0.0.1", free_port())), (*kind, ("127.0.0.1", port))]

        found = await look(f"ws://127.0.0.1:{port}", resolve=two)
    assert verdicts(found)[1] == ("TCP", PASS)


async def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
        found = await look(f"ws://127.0.0.1:{port}", step_timeout=0.2)
        assert verdicts(found) == [("DNS", PASS), ("TCP", PASS), ("WebSocket", FAIL)]
        assert "did not answer" in found[-1].says
        found = await look(f"wss://127.0.0.1:{port}", step_timeout=0.2)
        assert verdicts(found) == [("DNS", PASS), ("TCP", PASS), ("TLS", FAIL)]
    assert exit_code(found) == 4


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("valid.pem", "self-signed"),
        ("other.pem", "self-signed"),
        ("expired.pem", "certificate has expired"),
    ],
)
async def test_certificates_that_are_not_trusted(certificate: str, words: str) -> None:
    async with websockets(ssl=tls(certificate)) as port:
        found = await look(f"wss://localhost:{port}")
    assert verdicts(found)[2:] == [("TLS", FAIL)]
    assert "not valid" in found[-1].says
    # OpenSSL names the first fault it meets, in the words of its version.
    assert words in found[-1].says or "self" in found[-1].says


async def test_a_certificate_that_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "valid.pem"))
    async with websockets(ssl=tls("valid.pem")) as port:
        found = await look(f"wss://localhost:{port}")
    assert verdicts(found) == [("DNS", PASS), ("TCP", PASS), ("TLS", PASS), ("WebSocket", PASS)]
    assert "TLSv1.3, certificate by Test" in found[2].says
    assert found[2].figures["certificate_days"] > 365


async def test_a_trusted_certificate_of_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "other.pem"))
    async with websockets(ssl=tls("other.pem")) as port:
        found = await look(f"wss://localhost:{port}")
    assert found[-1].verdict is FAIL
    assert "localhost" in found[-1].says


async def test_tls_with_a_server_that_has_none() -> None:
    async with websockets() as port:
        found = await look(f"wss://127.0.0.1:{port}")
    assert verdicts(found)[-1] == ("TLS", FAIL)
    assert "ws://, not wss://" in found[-1].hint


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
async def test_an_address_where_nobody_answers_does_not_cost_the_next_its_time() -> None:
    """As of a name with an IPv6 address that leads nowhere."""
    with dead() as first:
        async with websockets() as port:

            async def resolve(_host: str, port: int) -> list[Address]:
                return [address(first), address(port)]

            found = await look(f"ws://127.0.0.1:{port}", resolve=resolve)
    assert [each.check for each in found] == ["DNS", "TCP", "WebSocket"]
    assert 200 < found[1].figures["ms"] < 1000  # as long as a call takes


@pytest.mark.parametrize("url", ["http://x", "ws://", "ws://h:99999", "ws://[::1", "nonsense"])
async def test_urls_that_are_none(url: str) -> None:
    found = await look(url)
    assert verdicts(found) == [("URL", FAIL)]
    assert exit_code(found) == 2


async def test_a_proxy_is_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")
    found = await look("wss://voice.test/x")
    assert verdicts(found) == [("proxy", PASS), ("DNS", PASS), ("TCP", FAIL)]


async def test_no_secret_of_the_url_is_shown() -> None:
    url = "http://me:hunter2@host/x?key=sesame"
    assert not {"hunter2", "sesame"} & set(repr(await look(url)))
    found = repr(await look(f"ws://me:hunter2@127.0.0.1:{free_port()}/x"))
    assert "hunter2" not in found


def test_a_certificate_that_runs_out_soon() -> None:
    day = 86400.0
    assert network.judge_certificate(100 * day, 0, "CA")[0] is PASS
    verdict, words, hint = network.judge_certificate(3 * day, 0, "")
    assert verdict is WARN
    assert "3 more days" in words
    assert "renew" in hint
