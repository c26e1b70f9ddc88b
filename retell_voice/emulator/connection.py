"""Incoming connections: HTTP and WebSocket on one port.

Every connection starts as HTTP. One that asks for a WebSocket becomes the ``ServerConnection`` of
``websockets`` that it is, and is fed everything received so far.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event
from websockets.server import ServerProtocol

from retell_voice.emulator.http import HttpPeer, Respond
from retell_voice.emulator.rest.replies import Reply

_REQUEST_TIMEOUT = 15.0  # seconds for a request, and for the next one on the same connection
_LINGER = 1.0  # seconds for the client to read an error before the connection is aborted
_MAX_UNSENT = 1 << 20  # bytes of responses that the client does not read


class HttpConnection(ServerConnection):
    """One connection; give it to ``websockets.serve`` as ``create_connection``.

    Args:
        protocol, server: from ``serve``.
        respond: answers plain HTTP requests.
        http_connections: those that speak HTTP, so that a stopping server can close them.

    Attributes:
        on_ping: called for each WebSocket ping, which is answered anyway.
        answering: awaits the answer to a request.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        server: Server,
        *,
        respond: Respond,
        http_connections: set[HttpConnection],
        **settings: Any,
    ) -> None:
        super().__init__(protocol, server, **settings)
        self.on_ping: Callable[[], None] = lambda: None
        self._http: HttpPeer | None = HttpPeer(respond)
        self._http_connections = http_connections
        self._answered = 0
        self.answering: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def shut(self) -> None:
        """Close at once, whatever is going on."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._http_connections.add(self)
        self._wait(_REQUEST_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        if self._http is None:
            super().data_received(data)
            return
        if self._http.closing:
            return
        self._sent(self._http, self._http.receive(data))

    def _sent(self, http: HttpPeer, out: bytes) -> None:
        """Send what HTTP says, and do what comes after it."""
        if out:
            self.transport.write(out)
        while http.has_more and self.transport.get_write_buffer_size() <= _MAX_UNSENT:
            self.transport.write(http.go_on())  # the next of several requests, one at a time
        if http.promised is not None:
            if self.answering is None:
                self.answering = asyncio.create_task(self._answer(http, http.promised))
        elif http.upgrade is not None:
            self._become_websocket(http.upgrade)
        elif http.closing:
            # Closing with input unread would reset the connection and lose the response.
            self._wait(_LINGER)
            if self.transport.can_write_eof():
                self.transport.write_eof()
        elif self.transport.get_write_buffer_size() > _MAX_UNSENT:
            self.shut()
        elif http.answered > self._answered:
            self._answered = http.answered
            self._wait(_REQUEST_TIMEOUT)

    async def _answer(self, http: HttpPeer, promised: Awaitable[Reply]) -> None:
        """Await an answer and send it; meanwhile nothing more is read."""
        self.transport.pause_reading()
        reply = await promised
        self.answering = None
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._sent(http, http.answer(reply))

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.on_ping()

    def eof_received(self) -> None:
        if self._http is None:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave_http()
        if self._http is None:
            super().connection_lost(exc)

    def _become_websocket(self, data: bytes) -> None:
        self._leave_http()
        self._http = None
        super().connection_made(self.transport)
        super().data_received(data)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.shut)

    def _leave_http(self) -> None:
        self._http_connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
