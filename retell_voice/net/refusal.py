"""Servers that refuse a WebSocket with a response that never ends.

Without a length, a body ends with its connection, which some servers leave open; others announce
more than they send. The status is known from the first line on, so the body gets only a moment.
The same goes for responses the library cannot parse: HTTP/1.0, or no HTTP at all.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

_BODY_SECONDS = 0.3
_MOST = 64 * 1024
"""Bytes of a response that are kept."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)(?: ([^\r\n]*))?\r?\n")
_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,8})[^\r\n]*\r?\n")


class PromptlyRefused(ClientConnection):
    """A client's WebSocket; give it to ``websockets.connect`` as ``create_connection``."""

    def __init__(self, protocol: ClientProtocol, **settings: Any) -> None:
        super().__init__(protocol, **settings)
        self._received = b""
        self._waiting: asyncio.TimerHandle | None = None
        self._is_made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._is_made = True
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.response is not None:
            return
        self._received += data[: _MOST - len(self._received)]
        unreadable = self.protocol.handshake_exc is not None  # to the library
        if self._waiting is None and (unreadable or read_refusal(self._received) is not None):
            self._waiting = self.loop.call_later(_BODY_SECONDS, self._settle)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_made:  # TLS within a proxy's TLS failed; the base knows no such end
            return
        super().connection_lost(exc)
        if self._waiting is not None:
            self._waiting.cancel()
            self._settle()

    def _settle(self) -> None:
        if self.response is not None or self.response_rcvd.done():
            return
        response = read_refusal(self._received)
        if response is not None:
            self.protocol.handshake_exc = InvalidStatus(response)
        if self.protocol.handshake_exc is not None:
            self.response_rcvd.set_result(None)


def read_refusal(data: bytes) -> Response | None:
    """Return the response of a server that does not open a WebSocket, with its body so far.

    None: not known yet, or not a refusal.
    """
    line, end = _STATUS_LINE.match(data), _HEAD_ENDS.search(data)
    if line is None or end is None:
        return None
    head, body = data[: end.start()].lower(), data[end.end() :]
    if b"transfer-encoding: chunked" in head:
        body = _joined(body)
    return Response(int(line[1]), (line[2] or b"").decode("latin-1"), Headers(), body)


def _joined(body: bytes) -> bytes:
    """Return the content of a chunked body; the last chunk may be truncated."""
    parts, at = [], 0
    while (chunk := _CHUNK.match(body, at)) is not None and (size := int(chunk[1], 16)):
        at = chunk.end() + size
        parts.append(body[chunk.end() : at])
    return b"".join(parts)
