"""One call's connection to the developer's LLM server: dialled, kept alive, dialled anew.

::

    send ─▶ Line ─▶ LLM server ─▶ Line ─▶ heard (bounded) ─▶ async for
             └──── lost: redial ────┘

How it ends, by Retell's guides "Set up your server" and "Troubleshooting"
(docs.retellai.com/integrate-llm) and in the words of its ``disconnection_reason``:

=============================================  ==============================================
never reached                                  error_llm_websocket_open
closed by the server with 1000                 agent_hangup, when the agent has been heard
closed by the server without a code (1005)     error_llm_websocket_open
closed by the server to restart (1001, 1012)   dialled anew, the fifth time …_runtime
closed by the server with any other code       error_llm_websocket_runtime
a binary message, a text that is no JSON       error_llm_websocket_corrupt_payload
no ``ping_pong`` for 5 s                       dialled anew, the third time …_lost_connection
broken (1006)                                  dialled anew, the fifth time …_runtime
a connection that could not be dialled anew    error_llm_websocket_lost_connection
=============================================  ==============================================

Only with ``auto_reconnect`` is anything dialled anew; without, a broken connection is
``error_llm_websocket_lost_connection``, one that is closed to restart
``error_llm_websocket_runtime``, and a silent one is not noticed. A text that is
no JSON ends the call here so that it is seen; Retell logs it and goes on.
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

from retell_voice.emulator.llm.dial import (
    CORRUPT,
    DEFAULT_LINK,
    LOST,
    RUNTIME,
    LinkSettings,
    LlmFailure,
    dial,
)
from retell_voice.emulator.llm.line import Ending, Line
from retell_voice.protocol.llm import (
    CallDetails,
    Config,
    LlmMessage,
    LlmPayloadError,
    LlmPingPong,
    RetellSide,
)
from retell_voice.secret import mask

__all__ = [
    "DEFAULT_LINK",
    "LinkChanged",
    "LinkItem",
    "LinkSettings",
    "LlmFailure",
    "LlmLink",
    "LlmMalformed",
]

MAX_HEARD = 10_000
"""Messages that may wait to be read; a server that sends more than that ends the call."""

_EXCERPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged:
    """The connection was lost and is being dialled anew, or is back; the call goes on.

    What was waiting to be sent when it was lost is dropped, and so is what is sent until it is
    back. A server that is back sends its config, and maybe its begin message, once more.

    Attributes:
        state: what became of it.
        why: why it was lost, one line; empty when it is back.
    """

    state: Literal["lost", "back"]
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmMalformed:
    """The server sent a message with a field missing or of the wrong type; it is passed over.

    Attributes:
        problem: what is wrong with it; names the field.
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

    Entering dials, and raises ``LlmFailure`` where nobody is reached. ``Config`` and
    ``LlmPingPong`` are obeyed here; the former is passed on as well.

    Args:
        url: the LLM server's, to which the call_id is appended.
        call_id: the call; never shown whole.
        details: gives the call for ``call_details``, when the server asks for it.
        settings: how patient to be.
        retrying: is told in one line why the server was not reached, when it is tried again.
        clock: seconds since 1970, for the timestamps of ``ping_pong``.

    Attributes:
        redials: times that the server was dialled anew.
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
        self._line: Line | None = None
        self._dropped = 0
        self._details_sent = False
        self._losses = {"silent": 0, "broken": 0, "restart": 0}
        self._heard: deque[LinkItem] = deque()
        self._news = asyncio.Event()
        self._end: Exception | None = None

    @property
    def dropped(self) -> int:
        """Messages dropped because the server did not read them."""
        return self._dropped + (self._line.dropped if self._line else 0)

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last ``ping_pong`` to its answer, None before the first."""
        return self._line.round_trip if self._line else None

    async def __aenter__(self) -> Self:
        self._line = await self._dial()
        self._running = asyncio.create_task(self._run(self._line))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        if self._line is not None:  # cancelled before it began
            await self._line.close()

    def send(self, message: LlmMessage) -> None:
        """Have a message sent; never waits. While the connection is lost it is dropped."""
        if self._line is not None:
            self._line.send(message)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LinkItem:
        """Return what the server says next; raises ``LlmFailure`` at the end, whenever asked."""
        while not self._heard:
            if self._end is not None:
                raise self._end
            self._news.clear()
            await self._news.wait()
        return self._heard.popleft()

    async def _run(self, line: Line) -> None:
        try:
            while True:
                self._line = line
                self._details_sent = False
                ending = await line.run(partial(self._take, line))
                self._line = None
                self._dropped += line.dropped
                line = await self._redial(ending)
        except Exception as error:  # a defect too: whoever reads is to see it
            self._end = error
        finally:
            self._line = None
            self._news.set()

    async def _dial(self, *, again: bool = False) -> Line:
        websocket = await dial(
            self._url, self._call_id, self._settings, again=again, retrying=self._retrying
        )
        return Line(websocket, self._settings, self._clock)

    async def _redial(self, ending: Ending) -> Line:
        """Dial anew after a loss, or raise what the call ends with."""
        failure, loss = ending.failure, ending.loss
        words = self._masked(" ".join(failure.words.split()))
        if loss is None:
            raise LlmFailure(failure.why, words, failure.hint)
        if not self._config.auto_reconnect:
            why = failure.why if loss == "restart" else LOST
            raise LlmFailure(why, words, "with auto_reconnect it would be dialled anew")
        self._losses[loss] += 1
        s = self._settings
        if self._losses[loss] > (s.silent_redials if loss == "silent" else s.broken_redials):
            raise LlmFailure(failure.why, f"{words}, {self._losses[loss]} times", failure.hint)
        self._tell(LinkChanged(state="lost", why=words))
        try:
            line = await self._dial(again=True)
        except LlmFailure as error:
            again = error.words.removeprefix("LLM server: ")
            raise LlmFailure(LOST, f"{words}, then {again}", error.hint) from None
        self.redials += 1
        line.keep_alive(True)
        self._tell(LinkChanged(state="back"))
        return line

    def _take(self, line: Line, text: str) -> LlmFailure | None:
        """Take a message of the server; what it returns ends the call."""
        if len(self._heard) >= MAX_HEARD:
            return LlmFailure(RUNTIME, f"LLM server: {MAX_HEARD} messages wait to be handled")
        try:
            message = self._side.receive(text)
        except LlmPayloadError as error:
            problem = self._masked(str(error))
            if not error.field:
                return LlmFailure(CORRUPT, f"LLM server: it sent what is {problem}")
            self._tell(LlmMalformed(problem=problem, excerpt=self._masked(text)[:_EXCERPT]))
            return None
        if isinstance(message, LlmPingPong):
            line.alive()
            return None
        if isinstance(message, Config):
            self._config = message
            line.keep_alive(message.auto_reconnect)
            if message.call_details and not self._details_sent:
                self._details_sent = True
                line.send(CallDetails(call=self._details()))
        self._tell(message)
        return None

    def _tell(self, item: LinkItem) -> None:
        self._heard.append(item)
        self._news.set()

    def _masked(self, text: str) -> str:
        return text.replace(self._call_id, mask(self._call_id))
