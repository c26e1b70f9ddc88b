"""The live transcript of any call: the monitor socket, reopened when it breaks.

::

                    ┌────────── again, after a while ◀───────────┐
                    ▼                                            │
    Monitor ──▶ attached ── messages ──▶ events        closed ──▶│──▶ over: the call has ended
                                                                 └──▶ lost: reported, and over
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from retell_voice.errors import ConfigError
from retell_voice.events import Event, MonitorChanged
from retell_voice.net.http import DEFAULT_API_URL, parse_base
from retell_voice.net.opening import open_websocket
from retell_voice.net.unreachable import explain_unreachable
from retell_voice.protocol.monitor import (
    TAKE_OVER,
    Again,
    CallEnded,
    Lost,
    MonitorClient,
    MonitorLink,
)
from retell_voice.secret import Secret, as_secret, hiding, mask
from retell_voice.shown import logger
from retell_voice.transport.websocket import MAX_MESSAGE

_BROKEN = 1006
_NEVER = 4999  # ours, for failures a retry cannot fix
_TIMEOUT = 10.0
_CLOSE_TIMEOUT = 0.5
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""Characters of a subprotocol (RFC 9110, 5.6.2): the key is sent as one."""
_HINTS = {
    401: "check the API key",
    403: "the API key needs write permission for calls",
    404: "unknown call: check the call_id and the URL of the API",
}

# At level DEBUG, the library logs requests, and with them the key.
_logger = logger("retell_voice.monitor")
_logger.setLevel(logging.INFO)


class Monitor:
    """An async iterator of what is said in a call, and of what happens to the connection.

    ::

        async for event in Monitor(call_id, api_key=key):
            print(event)

    It yields ``Transcript``, ``Turn``, ``NodeTransition`` and, at the end of the call,
    ``CallEnded``; ``MonitorChanged`` when the connection is up, broken, or lost for good; and
    ``UnknownMessage`` and ``MalformedMessage``. It ends with the call or when the connection is
    lost, and never raises, whatever the network or the server do. Iterate once.

    Args:
        call_id: an ongoing call, or one about to begin; a secret.
        api_key: Retell's key, with write permission for calls; never shown.
        api_url: base of the REST API; the socket is on the same host, under the same path.
        clock: stamps the events, seconds.
        draw: returns random numbers from 0 to 1, to spread retries.
        sleep: sleeps this many seconds between retries.

    Attributes:
        code: of the last close: that of the WebSocket, 4000 plus the status of
            an HTTP answer, or 1006 if there was neither; None before.

    Raises:
        ConfigError: call_id, key or URL is invalid.
    """

    def __init__(
        self,
        call_id: str,
        *,
        api_key: str,
        api_url: str = DEFAULT_API_URL,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._key = as_secret("api_key", api_key)
        self._call_id = as_secret("call_id", call_id)
        base = parse_base(api_url, DEFAULT_API_URL)
        if not call_id:
            raise ConfigError("the call_id is empty", "give that of an ongoing call")
        if not _TOKEN.fullmatch(api_key):
            raise ConfigError(
                "the API key is empty or has invalid characters",
                "the key is in Retell's dashboard",
            )
        self._host = base.host
        root = f"ws{base.url.removeprefix('http')}"
        self._url = Secret(f"{root}/v2/monitor-call/{quote(call_id, safe='')}")
        self._clock, self._sleep = clock, sleep
        self._client = MonitorClient()
        self._hide = hiding((self._key, self._call_id))
        self._link = MonitorLink(draw)
        self.code: int | None = None

    def __repr__(self) -> str:
        return f"<Monitor {mask(self._call_id)}>"

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        """Yield events until the call is over or the connection is lost for good."""
        while True:
            code, reason, hint = _BROKEN, "", ""
            try:
                websocket = await self._open()
            except InvalidStatus as error:
                code, reason, hint = self._refused(error)
            except (UnicodeError, ImportError, ConfigError) as error:  # host, proxy
                code, reason = _NEVER, f"{self._host} cannot be reached: {error}"
            except (OSError, WebSocketException, EOFError) as error:
                reason = explain_unreachable(error, self._host, _TIMEOUT).words
            else:
                try:
                    yield MonitorChanged(state="attached", at=self._clock())
                    async for event in self._events(websocket):
                        yield event
                finally:
                    await websocket.close()
                code = websocket.close_code or _BROKEN
                reason = self._hide(websocket.close_reason or "")
            self.code = code
            match self._link.closed(code, reason):
                case Again(delay=delay):
                    why = reason or f"the connection closed with code {code}"
                    yield MonitorChanged(state="retrying", why=why, at=self._clock())
                    await self._sleep(delay)
                case Lost(why=why):
                    why = f"{why}; {hint}" if hint else why
                    yield MonitorChanged(state="lost", why=why, at=self._clock())
                    return
                case _:
                    return

    async def _open(self) -> ClientConnection:
        return await open_websocket(
            self._url,
            subprotocols=[Subprotocol("bearer"), Subprotocol(self._key)],
            max_size=MAX_MESSAGE,
            open_timeout=_TIMEOUT,
            close_timeout=_CLOSE_TIMEOUT,
            logger=_logger,
        )

    async def _events(self, websocket: ClientConnection) -> AsyncIterator[Event]:
        try:
            async for message in websocket:
                known = self._hide(message) if isinstance(message, str) else message
                events = self._client.receive(known, self._clock())
                self._link.received(events)
                for event in events:
                    yield event
                    # For whoever took it over, the call goes on: the server may or may not close.
                    if isinstance(event, CallEnded) and event.reason != TAKE_OVER:
                        return
        except ConnectionClosed:
            return

    def _refused(self, error: InvalidStatus) -> tuple[int, str, str]:
        """Return an HTTP refusal as a close: code, reason, hint."""
        status = error.response.status_code
        # A proxy or a restarting server: a moment later it may work.
        code = _BROKEN if status == 429 or status >= 500 else 4000 + status
        return code, f"{self._host} answered HTTP {status}", _HINTS.get(status, "")
