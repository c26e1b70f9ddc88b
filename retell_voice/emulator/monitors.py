"""The monitor socket: what is said in a call, to those who watch it.

::

    GET {prefix}/v2/monitor-call/{call_id}    a WebSocket; subprotocols "bearer" and the API key, or
                                              the Authorization header
    server → client   transcript_snapshot, transcript_updated, call_ended; then 1000

It opens for everyone, and closes with 4001 without a good key, 4004 while the call is not going on,
4008 when five are watching already: a browser could not read the status of a refusal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.typing import Subprotocol

from retell_voice.emulator.calls import CallStatus, RegisteredCall
from retell_voice.protocol.monitor import NOT_LIVE, MonitorServer

MOST = 5
"""Who may watch a call at a time (Retell, "Monitor Call")."""

NO_KEY = 4001
TOO_MANY = 4008

_BEARER = Subprotocol("bearer")
_GRACE = 0.3  # seconds for watchers to take what they are sent last when the emulator stops


def select_subprotocol(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Accept ``bearer``, which the API key follows; the key is never sent back.

    Of others the first: a browser gives up a connection that answers none of those it asked for.
    """
    return _BEARER if _BEARER in offered else next(iter(offered), None)


class Monitors:
    """Lets watchers follow calls.

    Args:
        find: looks a call up.
        knows: whether an API key is a good one.
        now: Unix time, seconds.
    """

    def __init__(
        self,
        find: Callable[[str], RegisteredCall | None],
        knows: Callable[[str], bool],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._find = find
        self._knows = knows
        self._now = now
        self._words = MonitorServer()
        self._open: set[ServerConnection] = set()

    async def serve(self, websocket: ServerConnection, call_id: str) -> None:
        """Hold a watcher's connection until the call or the connection ends."""
        call = self._find(call_id)
        if not self._knows(_key(cast(Request, websocket.request))):
            await websocket.close(NO_KEY, "this API key is not known")
        elif call is None or call.status is not CallStatus.ONGOING:
            await websocket.close(NOT_LIVE, "the call is not going on")
        elif len(call.watchers) >= MOST:
            await websocket.close(TOO_MANY, f"{MOST} are watching this call already")
        else:
            self._open.add(websocket)
            try:
                await self._watch(websocket, call)
            except ConnectionClosed:
                pass
            finally:
                self._open.discard(websocket)

    async def stop(self) -> None:
        """End what is still open, once the calls are over."""
        if self._open:
            closing = [asyncio.create_task(each.wait_closed()) for each in self._open]
            await asyncio.wait(closing, timeout=_GRACE)
            for websocket in list(self._open):
                websocket.transport.abort()
            await asyncio.gather(*closing)

    async def _watch(self, websocket: ServerConnection, call: RegisteredCall) -> None:
        news = asyncio.Event()
        call.watchers.add(news)
        leaving = asyncio.create_task(websocket.wait_closed())
        try:
            items, version = call.live.since(0)
            await websocket.send(self._words.transcript(items, snapshot=True))
            while not leaving.done():
                over = call.over
                items, version = call.live.since(version)
                if items:
                    await websocket.send(self._words.transcript(items))
                if over:
                    ended_at = self._now() if call.ended_at is None else call.ended_at
                    why = call.disconnection_reason or ""
                    await websocket.send(self._words.ended(why, ended_at))
                    await websocket.close(1000, "the call has ended")
                    return
                await _first(leaving, news)
                news.clear()
        finally:
            leaving.cancel()
            call.watchers.discard(news)


async def _first(leaving: asyncio.Task[None], news: asyncio.Event) -> None:
    """Wait for the end of a connection, or for news."""
    waiting = asyncio.create_task(news.wait())
    try:
        await asyncio.wait({leaving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _key(request: Request) -> str:
    """Return the API key that a watcher gives, empty if none."""
    offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
    names = [each.strip() for each in offered.split(",")]
    if _BEARER in names[:1]:
        return names[1] if len(names) > 1 else ""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
