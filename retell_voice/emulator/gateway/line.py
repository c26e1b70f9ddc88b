"""The line of a web call: what an agent says goes out in real time, what the caller says comes in.

The gateway carries audio and says when the call is over. Transcripts and metadata it does not
relay, no more than Retell's does today.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.audio.opus import OpusDecoder, OpusEncoder
from retell_voice.emulator.gateway.agent_stream import AgentStream
from retell_voice.emulator.gateway.caller_audio import CallerAudio
from retell_voice.emulator.gateway.mixer import Mixer
from retell_voice.emulator.gateway.path import Path, Uplink
from retell_voice.emulator.line import CallOver
from retell_voice.events import Event, Role, UnknownMessage, Utterance
from retell_voice.protocol.dialect import Message
from retell_voice.protocol.gateway import Candidate, status_message
from retell_voice.protocol.messages import MicrophoneAudio
from retell_voice.protocol.monitor import TAKE_OVER

LINGER = 2.0
"""Seconds for a caller to hear the last words and leave, once told that the call is over."""

_IN_A_HURRY = 0.3  # seconds for that when something went wrong, or the emulator stops
_MOST_AHEAD = 0.2  # seconds of an operator's speech that may wait; more is left out
_MAX_WAITING = 3000  # events; a session that does not read for a minute
_NORMAL = 1000


class Media(Protocol):
    """What carries a line: the WebRTC connection, ``Peer``."""

    async def answer(self, offer: str) -> str:
        """Take an SDP offer, the first or another; return the answer.

        Raises:
            ValueError: it cannot be one.
        """

    async def add(self, candidate: Candidate) -> None:
        """Take a candidate of the caller's; raises as ``answer`` does."""

    async def wait_connected(self) -> bool:
        """Wait until audio is carried; False: the connection failed."""

    @property
    def path(self) -> Path:
        """Where all that is sent goes through."""

    @property
    def uplink(self) -> Uplink:
        """Where the caller's audio comes through."""

    async def flush(self) -> None:
        """Wait, for a while, until all that was said on the control channel is sent."""

    async def drop_control(self) -> None:
        """Close the control channel; the audio goes on."""

    def say(self, message: str | bytes) -> None:
        """Send on the control channel, if the caller opened it."""

    async def close(self) -> None:
        """End it; at once, and idempotent."""

    async def vanish(self) -> None:
        """End it without a word."""

    async def wait_closed(self) -> None:
        """Wait for its end."""


class GatewayLine:
    """A ``Line`` over WebRTC.

    Args:
        audio: what a session exchanges with it.
        open_media: makes the connection that carries it.

    Raises:
        ConfigError: there is no libopus.
    """

    frame_ms = None
    shortest_ms = 0
    updates = False
    alignment = False
    is_ready = True

    def __init__(self, audio: AudioFormat, open_media: Callable[[GatewayLine], Media]) -> None:
        self.on_ping: Callable[[], None] = lambda: None  # there is none
        self._audio = audio
        self._stream = AgentStream(audio.rate)
        self._encoder = OpusEncoder(audio.rate)
        self._ears = CallerAudio(audio.rate, OpusDecoder(audio.rate))
        self._room = asyncio.Event()
        self.listeners: set[ListenerLine] = set()
        """Who listens to the call, the operator included."""
        self.operator: ListenerLine | None = None
        """Who has taken it over."""
        self.media = open_media(self)
        self._half = b""  # a sample that has not come whole
        self._inbox: deque[Event] = deque(maxlen=_MAX_WAITING)
        self._news = asyncio.Event()
        self._reason = ""
        self._leaving: asyncio.Task[None] | None = None
        self._over = False
        self._deaf_with: deque[Event] | None = None

    def next_packet(self) -> bytes:
        """Return the next 20 ms of the agent, or of who took over, Opus."""
        said = self._stream.pull()
        if self._stream.has_room:
            self._room.set()
        for listener in self.listeners:
            if listener is not self.operator:
                listener.hear("agent", said)
        return self._encoder.encode(said)

    def received(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take a packet of the caller's."""
        samples = self._ears.receive(sequence, timestamp, payload)
        if len(samples):
            for listener in self.listeners:
                listener.hear("caller", samples)
            self._put(MicrophoneAudio(data=self._audio.encode(samples)))

    def take_over(self, operator: ListenerLine) -> None:
        """Put a listener in the agent's place; for the agent the call is over."""
        self.operator = operator
        operator.speaks_to(self._stream)
        self._stream.clear()
        self.ended()

    def told(self, message: str) -> None:
        """Take what the caller says on the control channel."""
        self._put(UnknownMessage(message=message))

    def ended(self) -> None:
        """Note that the connection is closed."""
        self._over = True
        self._news.set()
        self._room.set()

    def hold_back(self) -> None:
        """Let nothing in that the caller says, until ``let_in``."""
        self._deaf_with = deque(maxlen=_MAX_WAITING)

    def let_in(self) -> None:
        """Let in what was held back, at once."""
        held, self._deaf_with = self._deaf_with or (), None
        self._inbox.extend(held)
        self._news.set()

    def _put(self, event: Event) -> None:
        if self._over:
            return
        (self._inbox if self._deaf_with is None else self._deaf_with).append(event)
        self._news.set()

    @property
    def is_open(self) -> bool:
        return not self._over and self._leaving is None

    @property
    def caller_left(self) -> str:
        return "user_hangup" if self.operator is None else TAKE_OVER

    @property
    def closed(self) -> tuple[None, str]:
        return None, self._reason

    async def receive(self) -> Sequence[Event] | None:
        while not self._inbox and self.is_open:
            self._news.clear()
            await self._news.wait()
        if not self.is_open:
            return None
        events = tuple(self._inbox)
        self._inbox.clear()
        return events

    async def audio(self, data: bytes, text: str) -> None:  # noqa: ARG002 - it is not carried
        self._check_open()
        while not self._stream.has_room:
            self._room.clear()
            await self._room.wait()
            self._check_open()
        data = self._half + data
        whole = len(data) - len(data) % self._audio.sample_width
        self._half = data[whole:]
        self._stream.push(np.asarray(self._audio.decode(data[:whole])))

    async def clear(self) -> None:
        self._check_open()
        self._half = b""
        self._stream.clear()

    async def update(
        self,
        transcript: tuple[Utterance, ...],  # noqa: ARG002 - not relayed
        turn: Role | None,  # noqa: ARG002 - not relayed
    ) -> None:
        self._check_open()

    async def metadata(self, metadata: Any) -> None:  # noqa: ARG002 - not relayed
        self._check_open()

    async def pong(self) -> None:
        """There are no heartbeats."""

    async def send(self, message: Message) -> None:
        """Say something on the control channel."""
        self._check_open()
        self.media.say(message)

    def _check_open(self) -> None:
        if not self.is_open:
            raise CallOver

    async def close(self, code: int, reason: str) -> None:
        """Tell the caller that the call is over; what waits to be heard still is, as it leaves."""
        if self._over:  # as for the agent when somebody has taken the call over
            return
        if self._leaving is None:
            self._reason = reason
            linger = LINGER if code == _NORMAL else _IN_A_HURRY
            self._leaving = asyncio.create_task(self._leave(linger))
            self._news.set()
            self._room.set()
        await asyncio.shield(self._leaving)

    async def finish(self) -> None:
        """Wait until a caller who was told that the call is over has left, or had the time to."""
        if self._leaving is not None:
            await self._leaving

    async def _leave(self, linger: float) -> None:
        await say_goodbye(self.media, linger)

    async def wait_closed(self) -> None:
        await self.media.wait_closed()


class ListenerLine:
    """The line of somebody who listens to a web call, and may take it over.

    Args:
        audio: what it exchanges with the call.
        open_media: makes the connection that carries it.

    Raises:
        ConfigError: there is no libopus.
    """

    def __init__(self, audio: AudioFormat, open_media: Callable[[ListenerLine], Media]) -> None:
        self._mixer = Mixer(audio.rate)
        self._encoder = OpusEncoder(audio.rate)
        self._ears = CallerAudio(audio.rate, OpusDecoder(audio.rate))
        self._most = int(audio.rate * _MOST_AHEAD)
        self._to: AgentStream | None = None
        self.media = open_media(self)

    def hear(self, source: str, samples: Samples) -> None:
        """Take what a side of the call says, shape (n,)."""
        self._mixer.push(source, samples)

    def speaks_to(self, stream: AgentStream) -> None:
        """Be heard from now on; until then what is said here is dropped."""
        self._to = stream

    def next_packet(self) -> bytes:
        """Return the next 20 ms of the call, Opus."""
        return self._encoder.encode(self._mixer.pull())

    def received(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take a packet of the listener's."""
        if self._to is not None and self._to.waiting < self._most:
            self._to.push(self._ears.receive(sequence, timestamp, payload))

    def told(self, message: str) -> None:
        """Nothing is expected on a listener's control channel."""


async def say_goodbye(media: Media, linger: float) -> None:
    """Tell somebody that the call is over, and close the connection, at the latest after a while.

    Args:
        media: the connection.
        linger: seconds.
    """
    media.say(status_message("ended"))
    with suppress(TimeoutError):
        async with asyncio.timeout(linger):
            await media.wait_closed()
    await media.close()
