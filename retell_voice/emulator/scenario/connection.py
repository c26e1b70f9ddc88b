"""What a scenario does to the connection of its call, on a WebSocket and in a web call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random
from typing import Protocol, cast

from websockets.exceptions import ConnectionClosed

from retell_voice.emulator.gateway.line import GatewayLine
from retell_voice.emulator.gateway.path import Network
from retell_voice.emulator.line import WebSocketLine
from retell_voice.emulator.scenario import faults
from retell_voice.emulator.scenario.bad_messages import BAD_MESSAGES
from retell_voice.emulator.scenario.steps import Alignment, Direction
from retell_voice.emulator.session import CallOver, Session
from retell_voice.events import Role, Utterance
from retell_voice.protocol.web import WebServer

_LARGEST = 1 << 16  # bytes of a message on a data channel, where a peer does not take more
_POLL = 0.02  # seconds between checks that reading is still stopped
_GOODBYE = 1.0  # seconds a caller has to leave once the connection has been ended


class Connection(Protocol):
    """A call's connection, under a scenario."""

    async def speak(self, data: bytes, text: str, alignment: Alignment) -> None:
        """Send audio, with its text where that is asked for or forced."""

    async def force_update(self, transcript: tuple[Utterance, ...], turn: Role | None) -> None:
        """Send a transcript to a caller who did not ask for it."""

    async def send_bad_message(self, kind: str, size: int) -> None:
        """Send one of ``BAD_MESSAGES``."""

    def held(self) -> AbstractAsyncContextManager[None]:
        """Hold back what is sent during the block, then send it in one piece."""

    def deaf(self) -> AbstractAsyncContextManager[None]:
        """Take nothing from the network during the block."""

    async def half_open(self) -> None:
        """Send nothing from now on; returns at once."""

    async def reset(self) -> None:
        """Break the connection."""

    async def drop(self) -> None:
        """End the connection without a goodbye."""


def connection_of(session: Session) -> Connection:
    """Return the connection of a call."""
    line = session.line
    if isinstance(line, GatewayLine):
        return WebCallConnection(line)
    return _Socket(session, cast(WebSocketLine, line))


class _Socket:
    def __init__(self, session: Session, line: WebSocketLine) -> None:
        self._session = session
        self._websocket = line.websocket
        self._websocket.ping_timeout = None  # or it would end a connection that must stay silent
        self._dialect = line.dialect
        self._wire = faults.Wire.under(line.websocket)
        width = session.audio.sample_width
        self._aligned = WebServer(width, alignment=True)
        self._plain = WebServer(width)

    async def speak(self, data: bytes, text: str, alignment: Alignment) -> None:
        dialects = {"asked": self._dialect, "forced": self._aligned}
        dialect = dialects.get(alignment, self._plain)
        data = self._session.filled_up(data) if dialect is self._dialect else data
        await self._session.send(dialect.audio(data, text))

    async def force_update(self, transcript: tuple[Utterance, ...], turn: Role | None) -> None:
        await self._session.send(self._plain.update(transcript, turn))

    async def send_bad_message(self, kind: str, size: int) -> None:
        try:
            await faults.send_bad_message(self._websocket, kind, size)
        except ConnectionClosed:
            raise CallOver from None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        with self._wire.held():
            yield

    @asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        stopping = asyncio.create_task(self._stop_reading())
        try:
            yield
        finally:
            stopping.cancel()
            self._websocket.transport.resume_reading()

    async def _stop_reading(self) -> None:
        while True:
            self._websocket.transport.pause_reading()  # repeatedly: the library resumes it
            await asyncio.sleep(_POLL)

    async def half_open(self) -> None:
        self._websocket.close_timeout = None
        self._wire.hold()

    async def reset(self) -> None:
        faults.reset(self._websocket.transport)

    async def drop(self) -> None:
        self._wire.write_eof()
        self._wire.hold()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._websocket.wait_closed(), _GOODBYE)
        self._websocket.transport.abort()


class WebCallConnection:
    """A web call's; more can be done to it."""

    def __init__(self, line: GatewayLine) -> None:
        self._line = line
        self._path = line.media.path

    async def speak(self, data: bytes, text: str, alignment: Alignment) -> None:  # noqa: ARG002
        await self._line.audio(data, text)

    async def force_update(self, transcript: tuple[Utterance, ...], turn: Role | None) -> None:
        """Say on the control channel what Retell's gateway declares, and does not relay."""
        message = WebServer(2).update(transcript, turn)
        await self._line.send(message)

    async def send_bad_message(self, kind: str, size: int) -> None:
        await self._line.send(BAD_MESSAGES[kind](min(size, _LARGEST)))

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        self._path.hold()
        try:
            yield
        finally:
            await self._path.release()

    @asynccontextmanager
    async def deaf(self) -> AsyncIterator[None]:
        self._line.hold_back()
        try:
            yield
        finally:
            self._line.let_in()

    def become(self, network: Network, direction: Direction, random: Random) -> None:
        """Treat packets so from now on."""
        # Each way by chance of its own: packets of one do not change what becomes of the other's.
        to_caller, from_caller = Random(random.random()), Random(random.random())  # noqa: S311
        if direction != "from_caller":
            self._path.become(network, to_caller)
        if direction != "to_caller":
            self._line.media.uplink.become(network, from_caller)

    async def drop_control(self) -> None:
        """Close the control channel; the audio goes on."""
        await self._line.media.drop_control()

    async def half_open(self) -> None:
        await self._line.media.flush()  # what was sent before is not to be lost
        self._path.cut()

    async def reset(self) -> None:
        await self._line.media.flush()
        await self._line.media.vanish()

    async def drop(self) -> None:
        await self._line.media.flush()
        await self._line.media.close()
