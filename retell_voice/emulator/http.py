"""The server's side of HTTP/1.1, until a request asks for a WebSocket. Sans-IO.

``websockets`` only reads requests without a body, so requests are first read here with ``h11``.
Bytes in, bytes out; what a WebSocket client sent is kept and handed over untouched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import h11

from retell_voice.emulator.rest.replies import Reply, Request, error_reply, phrase

MAX_BODY = 1 << 20
"""Longest request body, bytes; a longer one is answered with 413."""


Respond: TypeAlias = Callable[[Request], Reply | Awaitable[Reply]]
"""Answers a request, or promises to; neither raises."""


class HttpPeer:
    """The HTTP of one connection.

    Args:
        respond: answers requests.

    Attributes:
        upgrade: once a request asks for a WebSocket: all bytes from its first one on.
        closing: nothing more will be read; close once everything is sent.
        answered: requests answered so far.
        promised: an answer that is awaited; ``answer`` takes it, and requests after it wait.
        has_more: there may be another request in what came; ``go_on`` answers it.
    """

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._h11 = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._raw = b""  # of a request whose head is not complete: it may be a WebSocket's
        self._body = bytearray()
        self.upgrade: bytes | None = None
        self.closing = False
        self.answered = 0
        self.promised: Awaitable[Reply] | None = None
        self.has_more = False

    def receive(self, data: bytes) -> bytes:
        """Take bytes as they come, in pieces of any size; return what is to be sent.

        That is one answer at the most, however many requests came.
        """
        if not data or self.closing or self.upgrade is not None:
            return b""  # to h11 no data would mean the end
        if self._request is None:
            self._raw += data
        self._h11.receive_data(data)
        return self.go_on() if self.promised is None and not self.has_more else b""

    def answer(self, reply: Reply) -> bytes:
        """Take the answer that was promised; return what is to be sent."""
        self.promised, self.has_more = None, True
        return self._reply(reply)

    def go_on(self) -> bytes:
        """Read on up to the next answer, and return what is to be sent."""
        self.has_more = False
        answered, out = self.answered, b""
        try:
            while not self.closing and self.upgrade is None and self.promised is None:
                if self.answered > answered:
                    self.has_more = True
                    break
                event = self._h11.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                    break
                out += self._event(event)
        except h11.RemoteProtocolError as error:
            out += self._refuse(error.error_status_hint, f"the request is not HTTP: {error}")
        return out

    def _event(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> bytes:
        match event:
            case h11.Request():
                if b"websocket" in _header(event, b"upgrade").lower():
                    self.upgrade, self._raw = self._raw, b""
                    return b""
                self._request, self._raw = event, b""
                if self._h11.they_are_waiting_for_100_continue:
                    interim = h11.InformationalResponse(status_code=100, headers=[])
                    return self._h11.send(interim) or b""
            case h11.Data():
                self._body += event.data
                if len(self._body) > MAX_BODY:
                    return self._refuse(413, f"the body is longer than {MAX_BODY} bytes")
            case h11.EndOfMessage():
                return self._answer(self._request) if self._request is not None else b""
        return b""

    def _answer(self, head: h11.Request) -> bytes:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        request = Request(
            method=head.method.decode("latin-1"),
            target=head.target.decode("latin-1"),
            headers=headers,
            body=bytes(self._body),
        )
        self._body.clear()
        reply = self._respond(request)
        if isinstance(reply, Reply):
            return self._reply(reply)
        self.promised = reply
        return b""

    def _reply(self, reply: Reply) -> bytes:
        out = self._send(reply)
        if self._h11.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            self._h11.start_next_cycle()
            self._request = None
            self._raw = self._h11.trailing_data[0]
        else:
            self.closing = True
        return out

    def _refuse(self, status: int, message: str) -> bytes:
        self.closing = True
        self._body.clear()
        if self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return b""
        return self._send(error_reply(status, message, {"Connection": "close"}))

    def _send(self, reply: Reply) -> bytes:
        self.answered += 1
        body = b"" if reply.status == 204 else reply.encode()
        headers = list(reply.headers.items())
        if body:
            headers += [("Content-Type", reply.content_type), ("Content-Length", str(len(body)))]
        response = h11.Response(
            status_code=reply.status, reason=phrase(reply.status).encode(), headers=headers
        )
        parts: list[h11.Event] = [response, h11.Data(data=body), h11.EndOfMessage()]
        if not body or (self._request is not None and self._request.method == b"HEAD"):
            del parts[1]  # of HEAD: the headers of a body, and none
        return b"".join(self._h11.send(part) or b"" for part in parts)


def _header(request: h11.Request, name: bytes) -> bytes:
    return next((value for key, value in request.headers if key == name), b"")
