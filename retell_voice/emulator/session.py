"""The server's end of one call: what an agent is given to hold its side of the conversation.

::

    async def agent(session: Session) -> None:
        await session.send_audio(greeting, "Hello!")
        async for heard in session:            # microphone audio, until the caller hangs up
            ...

An agent that returns hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection

from retell_voice.audio.format import SAMPLES, AudioFormat, Samples, described, is_samples
from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.frame_check import FrameCheck
from retell_voice.emulator.line import CallOver, Line, WebSocketLine
from retell_voice.emulator.server_events import (
    CallerFrames,
    CallerMalformed,
    ServerEvent,
    ServerEvents,
    UserPressed,
)
from retell_voice.events import Event, MalformedMessage, Role, UnknownMessage, Utterance
from retell_voice.protocol.dialect import Message
from retell_voice.protocol.messages import Digit, MicrophoneAudio, Ping, Reply
from retell_voice.secret import hiding

__all__ = ["CallOver", "Session"]

INBOX = 60.0
"""Seconds of microphone audio an agent may leave unread; beyond it the oldest is dropped."""

MAX_TEXTS = 1000
"""Texts of the caller, no heartbeats, that an agent may leave unread; one more is dropped."""

MAX_TYPED = 100
"""Typed turns, and DTMF digits, that may wait for the agent."""


class Session:
    """The server's end of one call.

    Microphone audio is read and heartbeats are answered all the time, whatever the agent
    does. Every method that sends raises ``CallOver`` once the call is over.

    Attributes:
        call: the call as it was registered; its transcript is kept there.
        line: the connection.
        updates, alignment: what the caller asked for.
        dropped: samples of microphone audio dropped because the agent did not read them.
        dropped_texts: texts dropped for the same reason.
    """

    def __init__(
        self,
        call: RegisteredCall,
        line: Line,
        *,
        chunk_ms: int = 100,
        stall_timeout: float | None = 5.0,
        answer_pings: bool = True,
        record: bool = False,
        server_events: ServerEvents | None = None,
    ) -> None:
        self.call = call
        self.line = line
        self.updates = line.updates
        self.alignment = line.alignment
        self.chunk_ms = line.frame_ms or max(chunk_ms, line.shortest_ms)
        self.dropped = 0
        self.dropped_texts = 0
        self.why: str | None = None
        """Retell's ``disconnection_reason`` once this side has closed the call."""
        self.pinged = asyncio.Event()
        """Set by every heartbeat of the caller, WebSocket's own or the dialect's; for whoever waits
        for the next one to clear."""
        line.on_ping = self.pinged.set
        self.on_update: Callable[[], None] = lambda: None
        """Called when the transcript has changed."""
        self.nudged = asyncio.Event()
        """Set by those who want the agent to respond now; it clears it."""
        self._server_events = server_events
        self._hide = hiding((call.call_id,))
        self._opened = asyncio.get_running_loop().time()
        self._chunk = call.audio.rate * self.chunk_ms // 1000
        self._stall_timeout = stall_timeout
        self._answer_pings = answer_pings
        self._record = record
        self._frames = FrameCheck(call.audio.rate) if call.protocol == "web" else None
        self._inbox: deque[Samples | str] = deque()
        self._inbox_samples = 0
        self._inbox_texts = 0
        self._inbox_limit = int(INBOX * call.audio.rate)
        self._news = asyncio.Event()
        self._begun = asyncio.Event()
        self._typed: asyncio.Queue[str] = asyncio.Queue(MAX_TYPED)
        self._digits: asyncio.Queue[str] = asyncio.Queue(MAX_TYPED)
        self._over = False

    @property
    def websocket(self) -> ServerConnection:
        """The connection itself, for tests that must send what no agent would.

        Raises:
            RuntimeError: this is a web call, which has none.
        """
        if not isinstance(self.line, WebSocketLine):
            raise RuntimeError("a web call has no WebSocket")
        return self.line.websocket

    @property
    def audio(self) -> AudioFormat:
        """Encoding and rate of the call, both directions."""
        return self.call.audio

    async def begin(self) -> None:
        """Wait until the caller has said what its dialect begins with, or is gone."""
        if not self.line.is_ready:
            await self._begun.wait()

    async def receive(self) -> Samples | str | None:
        """Return what the caller sent next.

        Returns:
            Microphone audio, shape (n,), mono int16, n as it came; a text that is not a
            heartbeat; None once the caller is gone.
        """
        while not self._inbox:
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        return self._pop()

    def __aiter__(self) -> Session:
        return self

    async def __anext__(self) -> Samples:
        """Return microphone audio, passing over texts; ends when the caller is gone."""
        while (message := await self.receive()) is not None:
            if not isinstance(message, str):
                return message
        raise StopAsyncIteration

    def typed(self, text: str) -> None:
        """Put in a user turn that was typed, for an agent that takes them.

        Raises:
            RuntimeError: ``MAX_TYPED`` of them wait; perhaps this agent takes none.
        """
        try:
            self._typed.put_nowait(text)
        except asyncio.QueueFull:
            raise RuntimeError(
                f"{MAX_TYPED} typed turns wait for the agent of this call; not every one takes them"
            ) from None

    def steer(self, context: str | None, respond: bool) -> None:
        """Do what the call's owner wants of an ongoing call.

        Args:
            context: text that enters the live transcript.
            respond: the agent is to respond now; one whose words come from an LLM server does.
        """
        if context:
            self.call.live.inject(context, self._age)
            self.call.tell_watchers()
        if respond:
            self.nudged.set()

    @property
    def _age(self) -> float:
        """Seconds since the call began."""
        return asyncio.get_running_loop().time() - self._opened

    async def next_typed(self) -> str:
        """Return the next user turn that was typed; waits for it."""
        return await self._typed.get()

    async def next_digit(self) -> str:
        """Return the next DTMF digit that the caller pressed; waits for it."""
        return await self._digits.get()

    async def send_audio(self, audio: Samples | bytes, text: str = "") -> None:
        """Send what the agent says, as fast as the network takes it.

        Args:
            audio: samples, shape (n,), mono int16 at the call's rate, sent in messages of
                ``chunk_ms``, the last of them filled up with silence where it is shorter than
                the dialect takes; or bytes as encoded on the wire, sent as one message whatever
                their number, so that a sample may be split.
            text: what it says; goes with the first message when alignment is on.

        Raises:
            TypeError: it is neither; floats, two channels and lists are not converted.
        """
        if isinstance(audio, bytes):
            await self._sent(self.line.audio(audio, text))
            return
        if not is_samples(audio):
            raise TypeError(f"audio must be {SAMPLES}, or bytes; it is {described(audio)}")
        for start in range(0, len(audio), self._chunk):
            chunk = self.audio.encode(audio[start : start + self._chunk])
            await self._sent(self.line.audio(self.filled_up(chunk), text))
            text = ""

    def filled_up(self, data: bytes) -> bytes:
        """Return encoded audio at least as long as the line wants it, with silence behind it."""
        least = self.audio.rate * (self.line.frame_ms or self.line.shortest_ms) // 1000
        lacking = least - len(data) // self.audio.sample_width
        return data if lacking <= 0 else data + self.audio.encode(np.zeros(lacking, np.int16))

    async def clear(self) -> None:
        """Tell the caller to drop all audio that has not been heard."""
        await self._sent(self.line.clear())

    async def update(self, transcript: tuple[Utterance, ...], turn: Role | None = None) -> None:
        """Keep the transcript of the whole call so far; send it to a caller who wants updates.

        Args:
            transcript: every utterance of the call.
            turn: who speaks from now on, where that changes.
        """
        self.call.transcript = transcript
        if self.call.live.update(self.call.transcript_with_tool_calls or transcript, self._age):
            self.call.tell_watchers()
            self.on_update()
        if self.updates:
            await self._sent(self.line.update(transcript, turn))

    async def metadata(self, metadata: Any) -> None:
        """Send metadata for the caller's program, any JSON value, where the dialect has that."""
        await self._sent(self.line.metadata(metadata))

    async def send(self, message: Message) -> None:
        """Send any message: of the WebSocket; text of a web call's control channel.

        A caller that has not read for ``stall_timeout`` seconds loses the call.
        """
        await self._sent(self.line.send(message))

    async def _sent(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._stall_timeout):
                await sending
        except TimeoutError:
            await self.close(1008, "the caller does not read what the agent says", "error_unknown")
            raise CallOver from None

    async def close(self, code: int = 1000, reason: str = "", why: str = "agent_hangup") -> None:
        """End the call; returns once the connection is closed, within about a second.

        Args:
            code: WebSocket close code; anything but 1000 and 1001 tells the caller of an error.
            reason: words for the caller; cut to the 123 bytes that a close frame holds.
            why: Retell's ``disconnection_reason``.
        """
        if self.why is None and self.line.is_open:
            self.why = why
        await self.line.close(code, reason)

    def tell(self, kind: type[ServerEvent], **details: Any) -> None:
        """Put a server_event of this call on the stream; the call_id is masked wherever it is."""
        if self._server_events is not None:
            at = self._age
            masked = {name: self._masked(value) for name, value in details.items()}
            self._server_events.tell(kind(call=self.call.name, at=at, **masked))

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._hide(value)
        if isinstance(value, dict):
            return {self._masked(name): self._masked(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        return value

    async def wait_closed(self) -> None:
        """Wait until the caller is gone."""
        await self.line.wait_closed()

    async def run(self) -> None:
        """Read what the caller sends until it is gone; the emulator does this."""
        try:
            while (events := await self.line.receive()) is not None:
                for event in events:
                    await self._take(event)
                if self.line.is_ready:
                    self._begun.set()
        except CallOver:
            pass
        finally:
            self._over = True
            self._news.set()
            self._begun.set()

    async def _take(self, event: Event) -> None:
        match event:
            case MicrophoneAudio():
                samples = self.audio.decode(event.data)
                if self._frames is not None:
                    for problem in self._frames.take(len(samples), self._age):
                        self.tell(CallerFrames, problem=problem)
                if self._record:
                    self.call.record(samples)
                self._inbox_samples += len(samples)
                self._put(samples)
                while self._inbox_samples > self._inbox_limit:
                    self._drop(self._pop())
            case Ping():
                self.pinged.set()
                if self._answer_pings:
                    await self._sent(self.line.pong())
            case Reply():
                await self.send(event.message)
            case Digit(digit=digit):
                self.tell(UserPressed, digit=digit)
                with contextlib.suppress(asyncio.QueueFull):  # not every agent takes them
                    self._digits.put_nowait(digit)
            case MalformedMessage(problem=problem, excerpt=excerpt):
                self.tell(CallerMalformed, problem=problem, excerpt=excerpt)
            case UnknownMessage() if self._inbox_texts < MAX_TEXTS:
                self._inbox_texts += 1
                self._put(event.message)
            case UnknownMessage():
                self._drop(event.message)

    def _put(self, message: Samples | str) -> None:
        self._inbox.append(message)
        self._news.set()

    def _pop(self) -> Samples | str:
        message = self._inbox.popleft()
        if isinstance(message, str):
            self._inbox_texts -= 1
        else:
            self._inbox_samples -= len(message)
        return message

    def _drop(self, message: Samples | str) -> None:
        if isinstance(message, str):
            self.dropped_texts += 1
        else:
            self.dropped += len(message)
