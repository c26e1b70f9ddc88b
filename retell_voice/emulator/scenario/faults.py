"""Faults on demand between a server and its caller.

``Wire`` sits between a WebSocket and its TCP connection and can hold back what is sent; ``reset``
breaks a connection; ``send_bad_message`` sends what no server should send.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from websockets.asyncio.server import ServerConnection

from retell_voice.emulator.scenario.bad_messages import BAD_MESSAGES


async def send_bad_message(websocket: ServerConnection, kind: str, size: int) -> None:
    """Send something from ``BAD_MESSAGES``.

    Raises:
        ConnectionClosed: the connection is closed.
    """
    message = BAD_MESSAGES[kind](size)
    if kind == "bad_frame":
        websocket.transport.write(cast(bytes, message))
    else:
        await websocket.send(message, text=True)


class Wire:
    """Wraps a transport; can hold back what is written to it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] | None = None
        self._end_held = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @classmethod
    def under(cls, websocket: ServerConnection) -> Wire:
        """Put one under a WebSocket."""
        wire = cls(websocket.transport)
        websocket.transport = cast(asyncio.Transport, wire)
        return wire

    def write(self, data: bytes) -> None:
        """Send, or hold."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(bytes(data))

    def write_eof(self) -> None:
        """End what is sent, or hold the end."""
        if self._held is None:
            self._transport.write_eof()
        else:
            self._end_held = True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold back what is written during the block, then send it in one piece."""
        self.hold()
        try:
            yield
        finally:
            self._release()

    def hold(self) -> None:
        """Hold back everything from now on, for good."""
        self._held = []

    def _release(self) -> None:
        held, self._held = b"".join(self._held or ()), None
        if self._transport.is_closing():
            return
        if held:
            self._transport.write(held)
        if self._end_held:
            self._transport.write_eof()


def reset(transport: asyncio.Transport) -> None:
    """Break a TCP connection: the peer gets RST."""
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
