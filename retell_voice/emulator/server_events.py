"""Server events: what happens in an emulator, one bounded stream in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """Base class; ``str`` gives one line for people.

    Attributes:
        call: the call_id, masked.
        at: seconds since the call was joined; 0 before.
    """

    call: str
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class CallRegistered(ServerEvent):
    """A call was registered and is waiting for its caller."""

    format: str

    def __str__(self) -> str:
        return f"registered, {self.format}"


@dataclass(frozen=True, slots=True)
class CallJoined(ServerEvent):
    """The caller is connected."""

    format: str

    def __str__(self) -> str:
        return f"joined, {self.format}"


@dataclass(frozen=True, slots=True)
class CallRefused(ServerEvent):
    """A WebSocket, or a web call's caller, was refused with an HTTP status."""

    status: int
    why: str

    def __str__(self) -> str:
        return f"refused with {self.status}: {self.why}"


@dataclass(frozen=True, slots=True)
class ListenerJoined(ServerEvent):
    """Somebody listens to a web call."""

    def __str__(self) -> str:
        return "somebody listens"


@dataclass(frozen=True, slots=True)
class UserSpoke(ServerEvent):
    """The user finished speaking.

    Attributes:
        duration: seconds, with the pre-roll and tail that are kept.
        content: the words, if they were recognised.
    """

    duration: float
    content: str = ""

    def __str__(self) -> str:
        return f"user spoke {self.duration:.1f} s" + (f": {self.content}" if self.content else "")


@dataclass(frozen=True, slots=True)
class UserPressed(ServerEvent):
    """The user pressed a DTMF digit."""

    digit: str

    def __str__(self) -> str:
        return f"user presses {self.digit}"


@dataclass(frozen=True, slots=True)
class CallerMalformed(ServerEvent):
    """The caller sent something that cannot be read; the call goes on.

    Attributes:
        problem: what is wrong with it.
        excerpt: its beginning.
    """

    problem: str
    excerpt: str

    def __str__(self) -> str:
        return f"the caller sent a malformed message: {self.problem}"


@dataclass(frozen=True, slots=True)
class CallerFrames(ServerEvent):
    """The caller's audio comes in frames that Retell does not take, or too fast; the call goes on.

    Each is reported once. Only in the dialect ``web``.
    """

    problem: str

    def __str__(self) -> str:
        return f"the caller's frames: {self.problem}"


@dataclass(frozen=True, slots=True)
class AgentSpoke(ServerEvent):
    """The agent sent an utterance, ``duration`` in seconds."""

    duration: float
    content: str

    def __str__(self) -> str:
        return f"agent says {self.duration:.1f} s: {self.content}"


@dataclass(frozen=True, slots=True)
class AgentInterrupted(ServerEvent):
    """The agent was interrupted and ``clear`` was sent.

    Attributes:
        unheard: seconds of its speech that were not heard.
        by: the user, or an ``agent_interrupt`` of the LLM server.
    """

    unheard: float
    by: Literal["user", "agent_interrupt"] = "user"

    def __str__(self) -> str:
        who = "user interrupts" if self.by == "user" else "the agent interrupts itself"
        return f"{who}, clear sent, {self.unheard:.1f} s unheard"


@dataclass(frozen=True, slots=True)
class CallEnded(ServerEvent):
    """The call ended.

    Attributes:
        code, reason: the WebSocket's close code and reason; a web call has no code.
        why: the call's ``disconnection_reason``.
    """

    code: int | None
    reason: str
    why: str

    def __str__(self) -> str:
        words = f" ({self.reason})" if self.reason else ""
        code = "" if self.code is None else f", close code {self.code}"
        return f"ended: {self.why}{code}{words}"


@dataclass(frozen=True, slots=True)
class ScenarioStep(ServerEvent):
    """A scenario's step begins.

    Attributes:
        name: the kind of step: ``say``, ``wait``, …
        number: its place in the file, ``2``, or ``2.1`` within step 2.
        details: the rest of it, shortened.
    """

    name: str
    number: str
    details: str

    def __str__(self) -> str:
        return f"step {self.number}: {self.name} {self.details}".rstrip()


@dataclass(frozen=True, slots=True)
class ScenarioFailed(ServerEvent):
    """A scenario waited in vain, or does not fit the call; the call was closed.

    Attributes:
        number: the step, as in ``ScenarioStep``; empty if it never began.
        why: one line for people.
    """

    number: str
    why: str

    def __str__(self) -> str:
        return f"the scenario failed at step {self.number}: {self.why}" if self.number else self.why


@dataclass(frozen=True, slots=True)
class CallExpired(ServerEvent):
    """Nobody joined a registered call within so many seconds."""

    expiry: float

    def __str__(self) -> str:
        return f"expired: nobody joined within {self.expiry:g} s"


@dataclass(frozen=True, slots=True)
class WebhookSent(ServerEvent):
    """A webhook was answered with this 2xx status."""

    event: str
    status: int

    def __str__(self) -> str:
        return f"webhook {self.event} sent: answered {self.status}"


@dataclass(frozen=True, slots=True)
class WebhookFailed(ServerEvent):
    """A webhook was not sent, or not answered with 2xx; ``again``: it will be retried."""

    event: str
    why: str
    again: bool = False

    def __str__(self) -> str:
        return f"webhook {self.event} failed: {self.why}{'; retrying' if self.again else ''}"


class ServerEvents:
    """The stream: ``async for server_event in emulator.events``; ends when the emulator stops.

    Keeps the last ``limit`` unread events; older ones are dropped and counted in ``dropped``.
    One reader at a time.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._waiting: deque[ServerEvent] = deque(maxlen=limit)
        self._news = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def tell(self, server_event: ServerEvent) -> None:
        """Add to the stream."""
        self.dropped += len(self._waiting) == self._waiting.maxlen
        self._waiting.append(server_event)
        self._news.set()

    def close(self) -> None:
        """End the stream after what is in it."""
        self._closed = True
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()
