"""How a session reaches its caller: the port, and a WebSocket behind it.

A web call's is ``gateway/line.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from retell_voice.emulator.connection import HttpConnection
from retell_voice.emulator.dialects import Answer
from retell_voice.events import Event, Role, Utterance
from retell_voice.protocol.dialect import Message

_CLOSE_TIMEOUT = 0.8  # a whole emulator stops within a second
_NOT_A_WEBSOCKET = (1002, 1007, 1009)  # protocol error, not UTF-8, message too big


class CallOver(Exception):
    """The caller is gone, or the call was closed: nothing can be sent any more."""


class Line(Protocol):
    """The connection of one call. What sends raises ``CallOver`` once it is closed."""

    @property
    def frame_ms(self) -> int | None:
        """Length that all audio is sent in, ms; None: any."""

    @property
    def shortest_ms(self) -> int:
        """Length that audio is sent in at least, ms."""

    @property
    def updates(self) -> bool:
        """Whether the caller asked for transcripts."""

    @property
    def alignment(self) -> bool:
        """Whether the caller asked for audio with its text."""

    @property
    def is_ready(self) -> bool:
        """Whether the caller has said all that it must before audio can be sent."""

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""

    @property
    def closed(self) -> tuple[int | None, str]:
        """Close code and reason once it is closed; no code where there are none."""

    @property
    def caller_left(self) -> str:
        """Retell's word for a call that its caller ended."""

    on_ping: Callable[[], None]
    """Called for each ping of the connection itself, which is answered anyway."""

    async def receive(self) -> Sequence[Event] | None:
        """Return what the caller sends next; None once it is gone."""

    async def audio(self, data: bytes, text: str) -> None:
        """Send audio, encoded as the call is, and the text that begins in it."""

    async def clear(self) -> None:
        """Drop what has not been heard."""

    async def update(self, transcript: tuple[Utterance, ...], turn: Role | None) -> None:
        """Send the transcript, where it is carried."""

    async def metadata(self, metadata: Any) -> None:
        """Send metadata, where it is carried."""

    async def pong(self) -> None:
        """Answer a heartbeat."""

    async def send(self, message: Message) -> None:
        """Send any message."""

    async def close(self, code: int, reason: str) -> None:
        """End the call; returns within about a second."""

    async def wait_closed(self) -> None:
        """Wait until the caller is gone."""


class WebSocketLine:
    """A WebSocket and the dialect that is spoken on it.

    Attributes:
        websocket: the connection.
        dialect: what is spoken.
    """

    def __init__(self, websocket: ServerConnection, answer: Answer) -> None:
        self.websocket = websocket
        self.dialect = answer.dialect
        self.updates = answer.updates
        self.alignment = answer.alignment

    @property
    def frame_ms(self) -> int | None:
        return self.dialect.frame_ms

    @property
    def shortest_ms(self) -> int:
        return self.dialect.shortest_ms

    @property
    def is_ready(self) -> bool:
        return self.dialect.is_ready

    @property
    def is_open(self) -> bool:
        return self.websocket.state is State.OPEN

    @property
    def closed(self) -> tuple[int | None, str]:
        return self.websocket.close_code or 1006, self.websocket.close_reason or ""

    @property
    def caller_left(self) -> str:
        sent, received = self.websocket.protocol.close_sent, self.websocket.protocol.close_rcvd
        broken = sent is not None and received is None and sent.code in _NOT_A_WEBSOCKET
        return "error_frontend_corrupted_payload" if broken else "user_hangup"

    @property
    def on_ping(self) -> Callable[[], None]:
        return self._http.on_ping

    @on_ping.setter
    def on_ping(self, call: Callable[[], None]) -> None:
        self._http.on_ping = call

    @property
    def _http(self) -> HttpConnection:
        assert isinstance(self.websocket, HttpConnection)  # noqa: S101 - the server makes no others
        return self.websocket

    async def receive(self) -> Sequence[Event] | None:
        try:
            return self.dialect.receive(await self.websocket.recv())
        except ConnectionClosed:
            return None

    async def audio(self, data: bytes, text: str) -> None:
        await self.send(self.dialect.audio(data, text))

    async def clear(self) -> None:
        await self.send(self.dialect.clear())

    async def update(self, transcript: tuple[Utterance, ...], turn: Role | None) -> None:
        await self._send_if_any(self.dialect.update(transcript, turn))

    async def metadata(self, metadata: Any) -> None:
        await self._send_if_any(self.dialect.metadata(metadata))

    async def pong(self) -> None:
        await self._send_if_any(self.dialect.pong())

    async def _send_if_any(self, message: Message | None) -> None:
        if message is not None:
            await self.send(message)

    async def send(self, message: Message) -> None:
        try:
            await self.websocket.send(message)
        except ConnectionClosed:
            raise CallOver from None

    async def close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.websocket.close(code, _fitting(reason))
        except TimeoutError:
            self.websocket.transport.abort()
            await self.websocket.wait_closed()

    async def wait_closed(self) -> None:
        await self.websocket.wait_closed()


def _fitting(reason: str) -> str:
    """Return what fits into a close frame, 123 bytes."""
    return reason.encode(errors="replace")[:123].decode(errors="ignore")  # half a surrogate: "?"
