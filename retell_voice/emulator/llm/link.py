"""One call's link to the developer's LLM server: dialled, kept alive, redialled.

::

    send ─▶ LlmConnection ─▶ LLM server ─▶ LlmConnection ─▶ inbox (bounded) ─▶ async for
                └────── lost: redial ──────────┘

How it ends, by Retell's guides "Set up your server" and "Troubleshooting"
(docs.retellai.com/integrate-llm), as a ``disconnection_reason``:

=============================================  ==============================================
never reached                                  error_llm_websocket_open
closed by the server with 1000                 agent_hangup, once the agent has been heard
closed by the server without a code (1005)     error_llm_websocket_open
closed by the server with any other code       error_llm_websocket_runtime
a binary message (closed with 1007)            error_llm_websocket_corrupt_payload
a text that is not JSON                        error_llm_websocket_corrupt_payload
no ``ping_pong`` for 5 s                       redialled, the third time …_lost_connection
broken (1006)                                  redialled, the fifth time …_runtime
redialling failed                              error_llm_websocket_lost_connection
=============================================  ==============================================

Only with ``auto_reconnect`` is anything redialled. Without it, a broken connection is
``error_llm_websocket_lost_connection`` and a silent one goes unnoticed. A text that is not JSON
ends the call here so that it gets noticed; Retell logs it and carries on. An empty text, and a byte
order mark, are only reported.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from retell_voice.emulator.llm.connection import Closed, LlmConnection
from retell_voice.emulator.llm.dial import (
    CORRUPT,
    DEFAULT_LINK,
    LOST,
    RUNTIME,
    LinkSettings,
    LlmFailure,
    dial,
)
from retell_voice.protocol.llm import (
    CallDetails,
    Config,
    LlmMessage,
    LlmPayloadError,
    LlmPingPong,
    RetellSide,
)
from retell_voice.secret import hiding

__all__ = [
    "DEFAULT_LINK",
    "LinkChanged",
    "LinkItem",
    "LinkSettings",
    "LlmFailure",
    "LlmLink",
    "LlmMalformed",
]

MAX_INBOX = 10_000
"""Messages that may wait to be read; a server that sends more ends the call."""

_EXCERPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged:
    """The connection was lost and is being redialled, or is back; the call goes on.

    Messages queued when it was lost are dropped, and so are those sent until it is back. A server
    that is back sends its config, and maybe its begin message, again.

    Attributes:
        state: lost or back.
        why: why it was lost, one line; empty when it is back.
    """

    state: Literal["lost", "back"]
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmMalformed:
    """The server sent a malformed message; it is ignored.

    Attributes:
        problem: what is wrong with it; names the field if one is missing or of the wrong type.
        excerpt: its first 200 characters.
    """

    problem: str
    excerpt: str


LinkItem = LlmMessage | LinkChanged | LlmMalformed


class LlmLink:
    """A call's connection to an LLM server; an async context manager and an async iterator.

    ::

        async with LlmLink(url, call_id, details=call.details) as link:
            async for item in link:           # until LlmFailure
                ...
                link.send(ResponseRequired(response_id=1, transcript=transcript))

    Entering dials, and raises ``LlmFailure`` if that fails. ``Config`` and ``LlmPingPong`` are
    handled here; the former is passed on as well.

    Args:
        url: URL of the LLM server, to which the call_id is appended.
        call_id: the call; never shown whole.
        details: returns the call for ``call_details``, if the server asks for it.
        settings: time-outs and retries.
        retrying: called with one line about why the server was not reached, before a retry.
        clock: Unix time in seconds, for the timestamps of ``ping_pong``.

    Attributes:
        redials: how often the server was redialled.
    """

    def __init__(
        self,
        url: str,
        call_id: str,
        *,
        details: Callable[[], Mapping[str, Any]],
        settings: LinkSettings = DEFAULT_LINK,
        retrying: Callable[[str], None] = lambda _words: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.redials = 0
        self._url = url
        self._call_id = call_id
        self._details = details
        self._settings = settings
        self._retrying = retrying
        self._clock = clock
        self._side = RetellSide()
        self._config = Config()
        self._connection: LlmConnection | None = None
        self._dropped = 0
        self._details_sent = False
        self._losses = {"silent": 0, "broken": 0}
        self._inbox: deque[LinkItem] = deque()
        self._news = asyncio.Event()
        self._end: Exception | None = None

    @property
    def dropped(self) -> int:
        """Messages dropped because the server did not read them."""
        return self._dropped + (self._connection.dropped if self._connection else 0)

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last ``ping_pong`` to its answer, None before the first."""
        return self._connection.round_trip if self._connection else None

    async def __aenter__(self) -> Self:
        self._connection = await self._dial()
        self._running = asyncio.create_task(self._run(self._connection))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        if self._connection is not None:  # cancelled before it began
            await self._connection.close()

    def send(self, message: LlmMessage) -> None:
        """Send a message; never waits. While the connection is lost it is dropped."""
        if self._connection is not None:
            self._connection.send(message)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LinkItem:
        """Return the next item; raises ``LlmFailure`` at the end, as often as it is called."""
        while not self._inbox:
            if self._end is not None:
                raise self._end
            self._news.clear()
            await self._news.wait()
        return self._inbox.popleft()

    async def _run(self, connection: LlmConnection) -> None:
        try:
            while True:
                self._connection = connection
                self._details_sent = False
                closed = await connection.run(partial(self._take, connection))
                self._connection = None
                self._dropped += connection.dropped
                connection = await self._redial(closed)
        except Exception as error:  # even a bug: the reader must see it
            self._end = error
        finally:
            self._connection = None
            self._news.set()

    async def _dial(self, *, again: bool = False) -> LlmConnection:
        websocket = await dial(
            self._url, self._call_id, self._settings, again=again, retrying=self._retrying
        )
        return LlmConnection(websocket, self._settings, self._clock)

    async def _redial(self, closed: Closed) -> LlmConnection:
        """Redial after a loss, or raise what the call ends with."""
        failure, loss = closed.failure, closed.loss
        words = self._masked(" ".join(failure.words.split()))
        if loss is None:
            raise LlmFailure(failure.why, words, failure.hint)
        if not self._config.auto_reconnect:
            raise LlmFailure(LOST, words, "with auto_reconnect it would be redialled")
        self._losses[loss] += 1
        s = self._settings
        if self._losses[loss] > (s.silent_redials if loss == "silent" else s.broken_redials):
            raise LlmFailure(failure.why, f"{words}, {self._losses[loss]} times", failure.hint)
        self._tell(LinkChanged(state="lost", why=words))
        try:
            connection = await self._dial(again=True)
        except LlmFailure as error:
            again = error.words.removeprefix("LLM server: ")
            raise LlmFailure(LOST, f"{words}, then {again}", error.hint) from None
        self.redials += 1
        connection.keep_alive(True)
        self._tell(LinkChanged(state="back"))
        return connection

    def _take(self, connection: LlmConnection, text: str) -> LlmFailure | None:
        """Take a message of the server; what it returns ends the call."""
        if len(self._inbox) >= MAX_INBOX:
            return LlmFailure(RUNTIME, f"LLM server: {MAX_INBOX} messages wait to be handled")
        if not text.strip("\ufeff \t\r\n"):
            self._tell(LlmMalformed(problem="an empty text", excerpt=""))
            return None
        try:
            message = self._side.receive(text)
        except LlmPayloadError as error:
            problem = self._masked(str(error))
            if not error.field:
                return LlmFailure(CORRUPT, f"LLM server: it sent a text that is {problem}")
            self._tell(LlmMalformed(problem=problem, excerpt=self._masked(text)[:_EXCERPT]))
            return None
        if isinstance(message, LlmPingPong):
            connection.alive()
            return None
        if isinstance(message, Config):
            self._config = message
            connection.keep_alive(message.auto_reconnect)
            if message.call_details and not self._details_sent:
                self._details_sent = True
                connection.send(CallDetails(call=self._details()))
        self._tell(message)
        return None

    def _tell(self, item: LinkItem) -> None:
        self._inbox.append(item)
        self._news.set()

    def _masked(self, text: str) -> str:
        return hiding((self._call_id,))(text)
