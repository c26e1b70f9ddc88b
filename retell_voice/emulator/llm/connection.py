"""One WebSocket to an LLM server: a send queue, the keepalive, and how it was closed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from retell_voice.emulator.llm.dial import (
    CORRUPT,
    HUNG_UP,
    LOST,
    OPEN,
    RUNTIME,
    LinkSettings,
    LlmFailure,
    hang_up,
)
from retell_voice.protocol.llm import LlmMessage, PingPong, RetellSide, UpdateOnly

MAX_QUEUED = 256
"""Messages that may wait to be sent. Beyond that the oldest ``update_only`` is dropped, as the next
one says all of it again; if there is none, the oldest message."""

_RESTARTS = (1001, 1012)  # going away, service restart


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended.

    Attributes:
        failure: what the call ends with, unless the connection is redialled.
        loss: why to redial: the server fell silent, or the connection broke; None: do not.
    """

    failure: LlmFailure
    loss: Literal["silent", "broken"] | None = None


class LlmConnection:
    """One WebSocket to an LLM server.

    Args:
        websocket: the connection, open.
        settings: time-outs.
        clock: Unix time in seconds, for the timestamps of ``ping_pong``.

    Attributes:
        dropped: messages dropped because the server did not read them.
        round_trip: seconds from the last ``ping_pong`` to its answer, None before the first.
    """

    def __init__(
        self, websocket: ClientConnection, settings: LinkSettings, clock: Callable[[], float]
    ) -> None:
        self.dropped = 0
        self.round_trip: float | None = None
        self._websocket = websocket
        self._settings = settings
        self._clock = clock
        self._side = RetellSide()
        self._queue: deque[tuple[type[LlmMessage], str]] = deque()
        self._to_send = asyncio.Event()
        self._keepalive = asyncio.Event()
        self._alive_at = 0.0
        self._pinged_at: float | None = None
        self._silent = False

    def send(self, message: LlmMessage) -> None:
        """Queue a message; never waits."""
        self._queue.append((type(message), self._side.encode(message)))
        if len(self._queue) > MAX_QUEUED:
            self._drop()
        self._to_send.set()

    def keep_alive(self, wanted: bool) -> None:
        """Start or stop exchanging ``ping_pong``."""
        if not wanted:
            self._keepalive.clear()
        elif not self._keepalive.is_set():
            self._alive_at = asyncio.get_running_loop().time()
            self._keepalive.set()

    def alive(self) -> None:
        """Note a ``ping_pong`` of the server."""
        self._alive_at = asyncio.get_running_loop().time()
        if self._pinged_at is not None:
            self.round_trip = self._alive_at - self._pinged_at
            self._pinged_at = None

    async def run(self, take: Callable[[str], LlmFailure | None]) -> Closed:
        """Exchange messages until the connection ends; it is closed on return.

        Args:
            take: called with each text of the server; what it returns ends the connection.
        """
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._write()), group.create_task(self._ping())]
                closed = await self._read(take)
                for helper in helpers:
                    helper.cancel()
        finally:
            await self.close()
        return closed

    async def close(self) -> None:
        """Hang up, within half a second."""
        await hang_up(self._websocket)

    async def _read(self, take: Callable[[str], LlmFailure | None]) -> Closed:
        try:
            while True:
                message = await self._websocket.recv()
                if isinstance(message, bytes):
                    failure: LlmFailure | None = LlmFailure(
                        CORRUPT,
                        "LLM server: it sent a binary message",
                        "send JSON as text, not as bytes",
                    )
                else:
                    failure = take(message)
                if failure is not None:
                    corrupt = failure.why == CORRUPT
                    await hang_up(self._websocket, 1007 if corrupt else 1008, failure.words)
                    return Closed(failure)
        except ConnectionClosed as error:
            return self._closed_by(error)

    async def _write(self) -> None:
        while True:
            while self._queue:
                _, text = self._queue.popleft()
                try:
                    await self._websocket.send(text)
                except ConnectionClosed:
                    return
            self._to_send.clear()
            await self._to_send.wait()

    async def _ping(self) -> None:
        clock = asyncio.get_running_loop().time
        limit = self._settings.keepalive_timeout
        while True:
            await self._keepalive.wait()
            now = clock()
            left = self._alive_at + limit - now
            if left <= 0:
                self._silent = True
                await hang_up(self._websocket, 1001, f"no ping_pong for {limit:g} s")
                return
            self.send(PingPong(timestamp=int(self._clock() * 1000)))
            self._pinged_at = self._pinged_at or now
            pause = min(self._settings.ping_interval, left)
            await asyncio.sleep(pause)
            # After a block of the event loop, answers may wait unread: it does not count.
            late = clock() - now - pause
            self._alive_at = min(self._alive_at + late, clock())

    def _drop(self) -> None:
        self.dropped += 1
        for position, (kind, _) in enumerate(self._queue):
            if kind is UpdateOnly:
                del self._queue[position]
                return
        self._queue.popleft()

    def _closed_by(self, error: ConnectionClosed) -> Closed:
        if self._silent:
            words = f"no ping_pong for {self._settings.keepalive_timeout:g} s"
            hint = "auto_reconnect is on: answer every ping_pong, even while streaming an answer"
            return Closed(LlmFailure(LOST, f"LLM server: {words}", hint), "silent")
        if error.rcvd is not None and error.rcvd_then_sent:
            return Closed(_closed_with(error.rcvd.code, error.rcvd.reason))
        if error.sent is not None:  # by the library: not a WebSocket frame, or not UTF-8
            why = CORRUPT if error.sent.code == 1007 else RUNTIME
            words = f"it sent something unreadable ({error.sent.code} {error.sent.reason})"
            return Closed(LlmFailure(why, f"LLM server: {words}"))
        words = "the connection broke (1006), is its process alive?"
        return Closed(LlmFailure(RUNTIME, f"LLM server: {words}"), "broken")


def _closed_with(code: int, reason: str) -> LlmFailure:
    said = f" {reason}" if reason else ""
    if code == 1000:
        return LlmFailure(HUNG_UP, f"LLM server: it hung up (1000{said})")
    if code == 1005:
        return LlmFailure(
            OPEN,
            "LLM server: it closed the connection without a code (1005)",
            "close with 1000 to hang up",
        )
    hint = "an exception in its handler? See its log" if code == 1011 else ""
    if code in _RESTARTS:
        hint = "Retell only redials connections that break (1006); close with 1000 to hang up"
    return LlmFailure(RUNTIME, f"LLM server: it closed the connection ({code}{said})", hint)
