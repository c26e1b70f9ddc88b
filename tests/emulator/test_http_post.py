"""Posting: what counts as an answer, and what is said when there is none."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.receiver import Receiver

from retell_voice.emulator.http_post import HttpPoster, PostError
from retell_voice.errors import ConfigError


async def test_what_is_posted_arrives_whole() -> None:
    body = "é".encode() * 300_000
    async with Receiver([201]) as receiver:
        assert await HttpPoster(receiver.url).post(body, {"X-Odd": "1"}, 5.0) == 201
    (request,) = receiver.requests
    assert (request.method, request.target, request.body) == ("POST", "/hook?a=1", body)
    assert request.headers["host"] == receiver.url.split("/")[2]
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-odd"] == "1"


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (302, "answered 302, and redirects are not followed"),
        (404, "answered 404 Not Found"),
        (599, "answered 599"),
    ],
)
async def test_only_2xx_is_an_answer(status: int, says: str) -> None:
    async with Receiver([status], {"Location": "/elsewhere"}) as receiver:
        with pytest.raises(PostError) as caught:
            await HttpPoster(receiver.url).post(b"{}", {}, 5.0)
    assert str(caught.value).endswith(says)
    assert "a=1" not in str(caught.value)
    assert len(receiver.requests) == 1


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async with Receiver([None]) as receiver:
        with pytest.raises(PostError, match=r"did not answer within 0\.05 s"):
            await HttpPoster(receiver.url).post(b"{}", {}, 0.05)


async def test_who_is_not_there() -> None:
    async with Receiver() as receiver:
        pass
    with pytest.raises(PostError, match="cannot be reached: Connection refused"):
        await HttpPoster(receiver.url).post(b"{}", {}, 5.0)


@pytest.mark.parametrize(
    "greeting", [b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
async def test_who_speaks_something_else(greeting: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)  # a small request, or the question whether this is TLS
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PostError, match="did not answer in HTTP"):
            await HttpPoster(f"http://127.0.0.1:{port}").post(b"{}", {}, 5.0)


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(bytes(65536))
                await writer.drain()
        except ConnectionError:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await HttpPoster(f"http://127.0.0.1:{port}").post(b"{}", {}, 5.0) == 200


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for localhost, and the certificate that a client must trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


async def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, path = certificate(tmp_path)
    async with Receiver(context=context) as receiver:
        with pytest.raises(PostError, match="the certificate"):
            await HttpPoster(receiver.url).post(b"{}", {}, 5.0)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        assert await HttpPoster(receiver.url).post(b"{}", {}, 5.0) == 204
        other = receiver.url.replace("localhost", "127.0.0.1")
        with pytest.raises(PostError, match="the certificate"):
            await HttpPoster(other).post(b"{}", {}, 5.0)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080/hook",
        "ftp://localhost",
        "http://",
        "http://user:secret@localhost/",
        "http://localhost:port/",
        "http://localhost/a b",
        "http://localhost/é",
        "http://[",
    ],
)
def test_a_url_that_cannot_be_posted_to_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpPoster(url)
    assert "secret" not in str(caught.value)
