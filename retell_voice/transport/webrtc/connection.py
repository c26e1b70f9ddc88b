"""A joined web call, as a connection.

::

    joined ──▶ open ── told that it has ended ──▶ last words, 2 s ──▶ over
                 │       on the control channel, by the monitor, or where that is not there, by
                 │       the call's details
                 ├── the gateway closes ──────────────────────────────────────▶ over
                 ├── 2 s without a packet: told; 10 s, or failed: lost ───────▶ over
                 └── you hang up ─────────────────────────────────────────────▶ over

While the network stalls nothing is done but told: the library cannot begin anew with another
address, so after a change of network the call is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from retell_voice.audio.format import AudioFormat
from retell_voice.audio.opus import CLOCK, OpusEncoder
from retell_voice.events import Event, NetworkChanged
from retell_voice.protocol.gateway import read_control
from retell_voice.protocol.messages import AgentPacket, CallOver
from retell_voice.protocol.monitor import TAKE_OVER, CallEnded
from retell_voice.secret import hiding
from retell_voice.transport.ports import Closed

_LEAVE_TIMEOUT = 1.5
_FOLLOW_TIMEOUT = 1.0
"""Seconds for the monitor to say goodbye."""
_WAITING = 1000
"""Packets that may wait to be read: 20 s; whoever does not read for so long gets no more."""
_MESSAGES = 2000
_LOST = "check the network: a web call that is lost cannot be joined again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. The defaults are for use, others for tests.

    Attributes:
        stalled: without a packet, after which that is told.
        lost: without a packet, after which the call is lost.
        last_words: for which audio is taken once the server has said that the call is over.
        look: between two looks at the clock.
        ask: between two questions whether the call is over, where no monitor tells.
    """

    stalled: float = 2.0
    lost: float = 10.0
    last_words: float = 2.0
    look: float = 0.2
    ask: float = 5.0


USUAL = Timeouts()


class Media(Protocol):
    """What carries the audio: a ``Peer``."""

    @property
    def state(self) -> str: ...
    def send(self, payload: bytes, timestamp: int) -> bool: ...
    async def round_trip(self) -> float | None: ...
    async def close(self) -> None:
        """Bounded in time, never raises."""


class WebRtcConnection:
    """A ``Connection`` over WebRTC.

    Its events are ``AgentPacket`` for each packet; ``NetworkChanged``; what the control channel
    says; and those of the monitor.

    Args:
        audio: encoding and rate of the frames to send.
        clock: what to stamp events with.
        timeouts: how long to wait for packets and for the last words.
    """

    def __init__(self, audio: AudioFormat, clock: Callable[[], float], timeouts: Timeouts) -> None:
        self._audio, self._clock, self._timeouts = audio, clock, timeouts
        self._encoder = OpusEncoder(audio.rate)
        self._timestamp = 0
        self._waiting: deque[Event] = deque()
        self._more = asyncio.Event()
        self._over = False
        self._closed: Closed | None = None
        self._media: Media | None = None
        self._leave: Callable[[], Awaitable[None]] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Task[None] | None = None
        self._heard_at = clock()
        self._stalled = False
        self._round_trip: float | None = None
        self._bytes_sent = 0
        self._hide: Callable[[str], str] = str

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these in everything the server says."""
        self._hide = hiding(secrets)

    def open(
        self,
        media: Media,
        leave: Callable[[], Awaitable[None]],
        transcript: AsyncIterable[Event] | None,
        ended: Callable[[], Awaitable[str | None]] | None = None,
    ) -> None:
        """Begin, now that the call has been joined and audio flows.

        Args:
            media: what carries it.
            leave: tells the gateway that we leave; bounded in time, never raises.
            transcript: events of the call's monitor; None: there is none.
            ended: asks the server why the call is over; None: it goes on. May raise what it likes.
        """
        self._media, self._leave = media, leave
        self._heard_at = self._clock()
        self._tasks.append(asyncio.create_task(self._watch()))
        if transcript is not None or ended is not None:
            self._tasks.append(asyncio.create_task(self._follow(transcript, ended)))
        self.changed()

    # What the peer tells; on the event loop

    def packet(self, sequence: int, timestamp: int, payload: bytes, source: int) -> None:
        """Take a packet that has just arrived."""
        now = self._clock()
        if self._stalled:
            self._stalled = False
            self._tell(NetworkChanged(state="back", silent_for=now - self._heard_at, at=now))
        self._heard_at = now
        if len(self._waiting) < _WAITING:
            self._tell(
                AgentPacket(
                    sequence=sequence, timestamp=timestamp, payload=payload, source=source, at=now
                )
            )

    def message(self, message: str | bytes) -> None:
        """Take a message of the control channel."""
        now = self._heard_at = self._clock()
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        for event in read_control(self._hide(text), now):
            if isinstance(event, CallOver):
                self._last_words(event.state)
            if len(self._waiting) < _MESSAGES:
                self._tell(event)

    def changed(self) -> None:
        """Look at what has become of the peer."""
        match self._media and self._media.state:
            case "closed":
                self._end(Closed("server", 1000, ""))
            case "failed":
                self._end(Closed("network", 1006, "the connection failed", _LOST))

    # A connection

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, or is ending; None before that."""
        return self._closed

    @property
    def heard_at(self) -> float:
        """Time, on the call's clock, of the last packet or message."""
        return self._heard_at

    @property
    def round_trip(self) -> float | None:
        """Seconds of the last round trip that RTCP measured."""
        return self._round_trip

    @property
    def bytes_sent(self) -> int:
        """Bytes of Opus sent so far, without the packets' heads."""
        return self._bytes_sent

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield what comes until the end; a ``CallOver`` is followed by the last words."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._over:
                return
            self._more.clear()
            await self._more.wait()

    def send_now(self, frame: bytes) -> bool:
        """Send a frame of 20 ms; False: the call is over, or the library is stuck."""
        if self._over or self._media is None:
            return False
        payload = self._encoder.encode(self._audio.decode(frame))
        return self.send_packet(payload, self._audio.seconds(frame))

    def send_packet(self, payload: bytes, seconds: float) -> bool:
        """Send a frame that is encoded already; False as above."""
        if self._over or self._media is None:
            return False
        timestamp = self._timestamp
        self.skip(seconds)
        taken = self._media.send(payload, timestamp)
        self._bytes_sent += taken * len(payload)
        return taken

    async def send_audio(self, frame: bytes) -> None:
        """Send a frame of 20 ms, or drop it: one that the library did not take is too late."""
        self.send_now(frame)

    def skip(self, seconds: float) -> None:
        """Let time pass for which nothing is sent."""
        self._timestamp += round(seconds * CLOCK)

    def heard(self, cue: object) -> None:
        """Nobody wants to know."""

    async def ping(self) -> None:
        """Ask RTCP for the round trip: it sends heartbeats of its own."""
        if self._media is not None:
            self._round_trip = await self._media.round_trip() or self._round_trip

    async def close(self) -> None:
        """Hang up: tell the gateway, and close; within a second or so."""
        self._end(Closed("you", 1000, ""))
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    def give_up(self, reason: str) -> None:
        """Take the connection for broken, at once."""
        self._end(Closed("network", 1006, reason, _LOST))

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._media is not None and self._leave is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_TIMEOUT):
                    # Leaving first: to a gateway that sees the media close the call is broken.
                    await self._leave()
            await self._media.close()
        if self._tasks:  # meanwhile the monitor has said goodbye, which may take a while
            ended = asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.wait((ended,), timeout=_FOLLOW_TIMEOUT)

    async def _watch(self) -> None:
        timeouts, now = self._timeouts, self._clock()
        while not self._over:
            await asyncio.sleep(timeouts.look)
            was, now = now, self._clock()
            silent = now - self._heard_at
            if now - was > 1:
                continue  # a loop that stood still may have unread packets
            if silent >= timeouts.lost:
                self.give_up(f"nothing came from the server for {timeouts.lost:g} s")
            elif silent >= timeouts.stalled and not self._stalled and self._closed is None:
                self._stalled = True
                self._tell(NetworkChanged(state="stalled", silent_for=silent, at=now))

    async def _follow(
        self,
        transcript: AsyncIterable[Event] | None,
        ended: Callable[[], Awaitable[str | None]] | None,
    ) -> None:
        if transcript is not None:
            async for event in transcript:
                if isinstance(event, CallEnded) and event.reason != TAKE_OVER:
                    self._last_words(event.reason or "ended")
                if len(self._waiting) < _MESSAGES:
                    self._tell(event)
        while ended is not None and self._closed is None:
            await asyncio.sleep(self._timeouts.ask)
            with contextlib.suppress(Exception):  # the call goes on, whatever we cannot know
                if (reason := await ended()) is not None:
                    self._last_words(reason)

    def _last_words(self, reason: str) -> None:
        if self._closed is None:
            self._closed = Closed("server", 1000, self._hide(reason))
            self._tasks.append(asyncio.create_task(self._end_later()))

    async def _end_later(self) -> None:
        await asyncio.sleep(self._timeouts.last_words)
        self._end(Closed("server", 1000, ""))

    def _end(self, closed: Closed) -> None:
        self._closed = self._closed or closed
        self._over = True
        self._more.set()

    def _tell(self, event: Event) -> None:
        self._waiting.append(event)
        self._more.set()
