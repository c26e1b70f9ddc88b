"""A connection made of a WebSocket and a dialect."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import broadcast
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.protocol import State

from retell_voice.errors import ConfigError, RetellVoiceError
from retell_voice.events import Event
from retell_voice.net.opening import open_websocket
from retell_voice.protocol.dialect import ClientDialect, Message
from retell_voice.protocol.messages import Pong, Reply
from retell_voice.secret import hiding, mask_url
from retell_voice.shown import logger
from retell_voice.transport.not_opened import explain
from retell_voice.transport.ports import Closed

_CLOSE_TIMEOUT = 0.5
_NORMAL = (1000, 1001, 1005)
_SOON = 2.0
"""Seconds within which a message would take effect."""
_UNSENT = 4096
"""Bytes that may be unsent in the socket: less than 0.1 s of audio at 24 kHz."""
_READ = 64 * 1024
"""Bytes per read. asyncio's default of 256 KiB exceeds malloc's mmap threshold: each read would map
and unmap memory, which takes longer than everything else."""
_TCP_NOTSENT_LOWAT = 25 if sys.platform == "linux" else 0x201  # <linux/tcp.h>, <netinet/tcp.h>
MAX_MESSAGE = 16 * 1024 * 1024
"""A minute at 48 kHz as base64 is 8 MB; the library's own limit is 1 MiB."""
_LONG_SECRET = 8
"""Characters of a secret that is looked for in messages."""

# At level DEBUG, the library logs request lines, and with them the call_id.
_logger = logger("retell_voice.websocket")
_logger.setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Dial:
    """The parameters of one attempt to reach a server.

    Attributes:
        url: of the WebSocket, complete. It may contain secrets.
        dialect: a new instance for each attempt.
        headers: extra headers of the request. They may contain secrets.
        events: events to report once the connection is open.
        refused: hints for HTTP statuses of a refusal; None: those about a call_id.
        closed: hint for a close with an error; empty: that about a call_id.
    """

    url: str = field(repr=False)
    dialect: ClientDialect
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    events: Sequence[Event] = ()
    refused: Mapping[int, str] | None = None
    closed: str = ""


class WebSocketConnection:
    """A ``Connection`` over a WebSocket; ``secrets`` are masked in everything the server says."""

    def __init__(
        self,
        websocket: ClientConnection,
        dial: Dial,
        clock: Callable[[], float],
        secrets: Sequence[str] = (),
    ) -> None:
        dialect = dial.dialect
        self._websocket = websocket
        self._dialect = dialect
        self._clock = clock
        self._events = dial.events
        self._closed_hint = dial.closed
        self._hide = hiding(secrets)
        # A short one could match anything, base64 audio for example.
        self._hide_in_messages = hiding(each for each in secrets if len(each) >= _LONG_SECRET)
        self._hanging_up = False
        self._closed: Closed | None = None
        self._heard_at = clock()
        self._round_trip: float | None = None
        self._bytes_sent = 0
        self._heartbeats = 0  # of the dialect's own
        self._heartbeat_at = 0.0
        self._answers_heartbeats = False
        for message in dialect.opening():
            self._say(message)

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, None while it is open."""
        return self._closed

    @property
    def heard_at(self) -> float:
        """Time, on the call's clock, of the last sign of life from the server."""
        return self._heard_at

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last answered heartbeat to its answer."""
        return self._round_trip

    @property
    def bytes_sent(self) -> int:
        """Bytes of your voice sent so far, as encoded, without what the dialect wraps around it."""
        return self._bytes_sent

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield what the server says, stamped with the call's clock, until the end."""
        for event in self._events:
            yield replace(event, at=self._clock())
        while self._closed is None:
            try:
                message = await self._websocket.recv()
            except ConnectionClosed as error:
                self._closed = self._closed or self._closed_by(error)
                if self._closed.by == "server" and self._closed.code in _NORMAL:
                    for event in self._dialect.left(self._clock()):
                        yield event
            else:
                self._heard_at = self._clock()
                if isinstance(message, str):
                    message = self._hide_in_messages(message)
                for event in self._dialect.receive(message, self._heard_at):
                    if isinstance(event, Reply):
                        self._say(event.message)
                        continue
                    self._answers_heartbeats |= isinstance(event, Pong)
                    yield event

    def send_now(self, frame: bytes) -> bool:
        """Send one encoded frame if the network takes it at once; return whether it did."""
        websocket = self._websocket
        transport = websocket.transport
        if websocket.state is not State.OPEN or transport.is_closing():
            return False
        if transport.get_write_buffer_size():
            return False
        self._bytes_sent += len(frame)
        self._say(self._dialect.audio(frame, self._clock()))
        return True

    async def send_audio(self, frame: bytes) -> None:
        """Send one encoded frame; returns when the network has taken it."""
        self._bytes_sent += len(frame)
        await self._send(self._dialect.audio(frame, self._clock()))

    def skip(self, seconds: float) -> None:
        """A WebSocket carries no times: what is missing is not missed."""

    def heard(self, cue: object) -> None:
        """Report that a cue has been heard, if the dialect has a message for that."""
        message = self._dialect.heard(cue)
        if message is not None:
            self._say(message)

    def press(self, digit: str) -> bool:
        """Send a phone key; return whether the dialect carries that. Never blocks."""
        message = self._dialect.digit(digit, self._clock())
        if message is not None:
            self._say(message)
        return message is not None

    async def ping(self) -> None:
        """Send one heartbeat: a WebSocket ping, which every server must answer, and the dialect's
        own if it has one."""
        message = self._dialect.ping()
        if message is not None:
            self._heartbeats += 1
            self._heartbeat_at = self._clock()
            await self._send(message)
        sent = self._clock()

        def answered(pong: asyncio.Future[float]) -> None:
            if not pong.cancelled() and pong.exception() is None:
                self._heard_at = self._clock()
                self._round_trip = self._heard_at - sent

        with contextlib.suppress(ConnectionClosed):
            pong = asyncio.ensure_future(await self._websocket.ping())
            pong.add_done_callback(answered)

    async def close(self) -> None:
        """Hang up, within a second or so."""
        if not self._hanging_up:
            for message in self._dialect.closing():
                self._say(message)
        self._hanging_up = True
        try:
            # The library's own limit starts only once the close frame has been sent.
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self._websocket.close()
        except TimeoutError:
            self._websocket.transport.abort()

    def give_up(self, reason: str) -> None:
        """Treat the connection as broken, at once, whatever the server does."""
        self._closed = self._closed or Closed("network", 1006, reason)
        self._websocket.transport.abort()

    def _say(self, message: Message) -> None:
        """Send at once, whatever is still unsent; nothing once it has ended."""
        if self._websocket.transport.is_closing():
            return  # it broke; asyncio would log every attempt
        broadcast((self._websocket,), message)  # the library's only way to send without a task

    async def _send(self, message: Message) -> None:
        try:
            await self._websocket.send(message)
        except ConnectionClosed as error:
            self._closed = self._closed or self._closed_by(error)

    def _closed_by(self, error: ConnectionClosed) -> Closed:
        if error.rcvd is not None and error.rcvd_then_sent:
            reason = self._hide(error.rcvd.reason)
            hint = self._after_heartbeat() or self._closed_hint
            return Closed("server", error.rcvd.code, reason, hint)
        if self._hanging_up:
            return Closed("you", 1000, "")
        if error.sent is not None:  # the library gave up: a protocol error, no answer to a ping
            return Closed("network", error.sent.code, self._hide(error.sent.reason))
        why = self._hide(str(error.__cause__ or ""))
        return Closed("network", 1006, why, self._after_heartbeat())

    def _after_heartbeat(self) -> str:
        """Return a hint if the dialect's heartbeat made the server close."""
        # The first one does. A later end that comes soon after one is coincidence.
        soon = self._clock() - self._heartbeat_at <= _SOON
        if self._heartbeats != 1 or self._answers_heartbeats or not soon:
            return ""
        return (
            f"it came right after the text heartbeat {self._dialect.ping()!r}, which ends servers "
            "that accept only JSON: leave it out (--no-text-heartbeat, text_heartbeat=False)"
        )


async def connect(
    dial: Dial,
    *,
    secrets: Sequence[str] = (),
    connect_timeout: float,
    clock: Callable[[], float],
) -> WebSocketConnection:
    """Open a WebSocket and send what its dialect sends first.

    Args:
        dial: where to, and in which dialect.
        secrets: never shown whole in an error, whoever quotes them.
        connect_timeout: seconds within which the server must answer.
        clock: what to stamp events with.

    Raises:
        ConfigError: the URL is not one of a WebSocket.
        ConnectError: the server was not reached.
        Rejected: it answered, but not with a WebSocket.
    """
    host, _ = server_of(dial.url)
    failure: RetellVoiceError | None = None
    try:
        websocket = await open_websocket(
            dial.url,
            additional_headers=dial.headers,
            compression=None,  # doubles the CPU time to save 17 % on speech
            max_size=MAX_MESSAGE,
            max_queue=None,  # never stop reading: a clear would wait behind what it cancels
            write_limit=_UNSENT,
            ping_interval=None,  # the call sends its own heartbeats
            open_timeout=connect_timeout,
            close_timeout=_CLOSE_TIMEOUT,
            logger=_logger,
        )
    except (OSError, WebSocketException, EOFError, UnicodeError, ImportError) as error:
        failure = explain(
            error,
            host,
            secrets=secrets,
            connect_timeout=connect_timeout,
            hints=dial.refused,
        )
    if failure is not None:
        # Raised out here, so that it has no context: the library's errors contain the URL, and
        # the URL may contain the call_id.
        raise failure
    _keep_unsent_low(websocket.transport.get_extra_info("socket"))
    if hasattr(websocket.transport, "max_size"):  # not with TLS, which has its own buffer
        websocket.transport.max_size = _READ
    return WebSocketConnection(websocket, dial, clock, secrets)


def _keep_unsent_low(sock: socket.socket) -> None:
    """Keep unsent audio on our side, where the oldest can be dropped."""
    with contextlib.suppress(OSError):
        if sys.platform in ("linux", "darwin"):
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _UNSENT)


def server_of(url: str) -> tuple[str, bool]:
    """Return host and port for people, and whether the host is this machine.

    Raises:
        ConfigError: it is not the URL of a WebSocket.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConfigError(
            f"{mask_url(url)!r} is not the URL of a WebSocket",
            "it should look like wss://host/path, or ws:// without TLS",
        )
    local = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
    return f"{parts.hostname}:{port or (443 if parts.scheme == 'wss' else 80)}", local
