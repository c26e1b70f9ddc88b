"""Servers with faults, for the table of them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

CERTIFICATES = Path(__file__).parents[1] / "doctor" / "certificates"
Handler = Callable[[ServerConnection], Awaitable[None]]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
IMPATIENT = """
from retell_voice.engine.timing import DEFAULT_TIMING
object.__setattr__(DEFAULT_TIMING, "heartbeat", 0.2)
object.__setattr__(DEFAULT_TIMING, "silence_limit", 1.0)
from retell_voice.engine.web_call import WebCall
from retell_voice.transport.webrtc.connection import Timeouts
from retell_voice.transport.webrtc.route import WebRtcRoute
WebCall.__init__.__kwdefaults__["connect_timeout"] = 0.7
WebRtcRoute.__init__.__kwdefaults__["timeouts"] = Timeouts(stalled=0.3, lost=1.0)
"""
"""With which a program waits for nobody."""


# Servers that speak WebSocket


async def says_a_little(socket: ServerConnection) -> None:
    """Let the call begin: a bit of the agent's audio, once the caller has been heard."""
    while isinstance(message := await socket.recv(), str):
        if stream := json.loads(message).get("streamSid"):
            media = {"event": "media", "streamSid": stream, "media": {"payload": "/" * 216}}
            return await socket.send(json.dumps(media))
    return await socket.send(bytes(2))


def closes(code: int, reason: str = "", *, begins: bool = False) -> Handler:
    async def handler(socket: ServerConnection) -> None:
        if begins:
            await says_a_little(socket)
        await socket.close(code, reason)

    return handler


async def breaks_off(socket: ServerConnection) -> None:
    await socket.recv()
    socket.transport.abort()


async def floods(socket: ServerConnection) -> None:
    await says_a_little(socket)
    for _ in range(300):
        await socket.send('{"event_type": "nonsense"}')
        await socket.send("{" * 100)
        await socket.send(b"\1\2\3")
    await socket.close(1011, "enough")


async def stands_still(socket: ServerConnection) -> None:
    """It reads nothing any more, and so answers no heartbeat."""
    await says_a_little(socket)
    socket.transport.pause_reading()
    await asyncio.sleep(3)
    socket.transport.resume_reading()


async def reads_on(socket: ServerConnection) -> None:
    """Read until the connection is closed: unread frames keep a server from seeing that."""
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass


async def sends_a_huge_message(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send("x" * (17 * 2**20))
    await reads_on(socket)


async def speaks_other_audio(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(json.dumps({"text": "x", "audio": "no base64 !"}))
    await socket.close(1000)


# Servers that do not


def answers(data: bytes) -> Raw:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(data)
        writer.close()

    return talk


# What a gateway does in a web call


async def ends(session: Any) -> None:
    await session.end()


async def is_replaced(session: Any) -> None:
    await session.control(json.dumps({"type": "status", "state": "replaced"}))


async def floods_the_control_channel(session: Any) -> None:
    for _ in range(300):
        await session.control('{"event_type": "nonsense"}')
        await session.control("{" * 100)
    await session.end()


async def closes_the_media(session: Any) -> None:
    await session.close()


async def falls_silent(session: Any) -> None:
    session.voice.running.clear()


# All of them


@asynccontextmanager
async def serving(what: Any, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """The server of a row, and after the block: nobody is connected to it any more."""
    server: Any
    if what is None or what.__qualname__.startswith("answers"):
        server = await asyncio.start_server(what or answers(b""), "127.0.0.1", 0, ssl=tls)
    else:
        server = await serve(what, "127.0.0.1", 0, ssl=tls, max_size=None)
    port = next(iter(server.sockets)).getsockname()[1]
    if what is None:
        server.close()
        await server.wait_closed()
    yield port
    if what is not None:
        server.close()
        async with asyncio.timeout(15):
            await server.wait_closed()


def server_tls(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / name, CERTIFICATES / "key.pem")
    return context
