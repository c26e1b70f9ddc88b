"""One HTTP request over asyncio streams: small, cancelled at once, nothing kept open.

No redirects, no cookies; certificates are verified. It is for programs that have no memory to spare
for a client that can do everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

from retell_voice.net.stream import open_stream, target_of
from retell_voice.secret import Secret

_MOST = 1 << 20
"""Bytes of an answer that are read."""
_HEADERS_MOST = 65536


class NoHttp(OSError):
    """What came back is no HTTP, or too much of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: of HTTP.
        text: the body; may hold secrets.
        headers: by name, in lower case.
    """

    status: int
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


async def exchange(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float,  # noqa: ASYNC109 - the caller's words name it
) -> Answer:
    """Send a request and return the answer, whatever its status.

    Args:
        method, url: of the request; http or https.
        body: JSON, if there is one.
        headers: beside those that go without saying.
        timeout: seconds for all of it.

    Raises:
        ConfigError: a variable of the environment cannot be used.
        TimeoutError, OSError: there is no answer.
        ValueError: the URL cannot be one, or a header.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    shown = f"[{host}]" if ":" in host else host
    target, login = target_of(url)
    fields = {
        "Host": shown if port is None else f"{shown}:{port}",
        "User-Agent": "retell-voice",
        "Accept": "application/json, text/plain;q=0.5",
        "Connection": "close",
        **({} if body is None else {"Content-Type": "application/json"}),
        **({} if body is None else {"Content-Length": str(len(body))}),
        **login,
        **(headers or {}),
    }
    try:
        request = h11.Request(
            method=method,
            target=target,
            headers=list(fields.items()),
        )
    except (h11.LocalProtocolError, UnicodeError):
        raise ValueError("a header or the URL has characters that none has") from None
    async with asyncio.timeout(timeout):
        reader, writer = await open_stream(url)
        try:
            return await _talk(reader, writer, request, body)
        except (h11.RemoteProtocolError, UnicodeError) as error:
            raise NoHttp(f"it did not answer in HTTP: {error}") from None
        finally:
            writer.transport.abort()


async def _talk(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: h11.Request,
    body: bytes | None,
) -> Answer:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADERS_MOST)
    sent = [http.send(request)]
    if body is not None:
        sent.append(http.send(h11.Data(data=body)))
    sent.append(http.send(h11.EndOfMessage()))
    writer.write(b"".join(filter(None, sent)))
    status, headers, parts, length = 0, {}, [], 0
    while True:
        event = http.next_event()
        match event:
            case h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            case h11.Response():
                status = event.status_code
                headers = {k.decode().lower(): v.decode("latin-1") for k, v in event.headers}
            case h11.Data():
                length += len(event.data)
                if length > _MOST:
                    raise NoHttp(f"it answered with more than {_MOST} bytes")
                parts.append(bytes(event.data))
            case h11.EndOfMessage() | h11.ConnectionClosed():
                text = b"".join(parts).decode("utf-8", "replace")
                return Answer(status, Secret(text), headers)
