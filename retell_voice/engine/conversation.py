"""A call while it is open: what flows each way, and what is observed.

::

    post ─▶ take ─▶ frames ─▶ send ────▶ connection
                └─▶ events                   │
    playout ◀─ push, clear ◀─ receive ◀──────┘     heartbeat, observe: now and then

Four small tasks on one event loop. What arrives is handled at once and without waiting, so that
a ``clear`` never waits behind anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import ceil

from retell_voice import events
from retell_voice.audio.playout_reports import Cued
from retell_voice.audio.speech_spans import Span
from retell_voice.devices.lease import Lease
from retell_voice.devices.streams.notices import Audible, Notice
from retell_voice.engine.journal import Journal
from retell_voice.engine.outcome import ended, heard
from retell_voice.engine.responses import Responses
from retell_voice.engine.timing import Timing
from retell_voice.errors import DeviceLost
from retell_voice.events import CallState, Event, MalformedMessage, Statistics
from retell_voice.protocol.messages import AgentAudio, AgentPacket, CallOver, Clear, Pong
from retell_voice.threads.detached import run_to_completion
from retell_voice.transport.ports import Closed, Connection, Keypad

_LATE = 0.05
"""Seconds by which a round is often late; if it is later, the event loop was blocked."""
_LAST_WORDS = 0.3
"""Seconds from the news that the call is over in which the agent's last words must have begun."""


class Conversation:
    """Drives one connection, one microphone and one speaker.

    Args:
        journal: where everything is recorded.
        devices: the call's lease of the devices, not yet begun.
        release: gives them back, or closes them; may take a while, so it runs on a thread.
        connection: to the server, open.
        frame_seconds: length of a frame of microphone audio.
        level_interval: seconds between ``Levels`` events, None to send none.
        drain_timeout: seconds the agent's last words may play after the connection ended.
        timing: all other intervals.
    """

    def __init__(
        self,
        journal: Journal,
        devices: Lease,
        connection: Connection,
        *,
        release: Callable[[], None],
        frame_seconds: float,
        level_interval: float | None,
        drain_timeout: float,
        timing: Timing,
    ) -> None:
        self.failure: DeviceLost | None = None
        """The device that was lost and ends the call."""
        self._journal = journal
        self._devices = devices
        self._release = release
        self._connection = connection
        self._frame_seconds = frame_seconds
        self._level_interval = level_interval
        self._drain_timeout = drain_timeout
        self._timing = timing
        self._frames: deque[bytes] = deque(maxlen=ceil(timing.send_limit / frame_seconds))
        self._frame_waits = asyncio.Event()
        self._over = asyncio.Event()  # no reason left to keep playing
        self._responses = Responses()
        self._hung_up = False
        self._closing: asyncio.Task[None] | None = None
        self._told_broken = False  # that agent audio cannot be read
        self._told_over: float | None = None  # when the server said that the call is over
        self._unheard = 0.0  # seconds of agent audio that the end cut off

    def statistics(self) -> Statistics:
        """Return the figures so far."""
        journal = self._journal
        return journal.counters.snapshot(
            journal.now(), self._devices, self._connection, journal.events.dropped
        )

    async def hang_up(self) -> None:
        """End it; returns within a second or so."""
        if self._connection.closed is None:  # one that has already ended keeps its reason
            self._hung_up = True
        self._over.set()
        self._silence()
        await asyncio.shield(self._close())

    def _close(self) -> asyncio.Task[None]:
        """Start closing the connection and return the task, which survives any cancellation."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._connection.close())
        return self._closing

    def press(self, digit: str) -> bool:
        """Send a phone key; return whether the connection carries that."""
        connection = self._connection
        if not (isinstance(connection, Keypad) and connection.press(digit)):
            return False
        self._journal.tell(events.DigitSent(at=self._journal.now(), digit=digit))
        return True

    def take(self, notice: Notice, waited: float) -> None:
        """Take a frame or a notice from a device, on the event loop.

        ``waited``: seconds it had to wait for the busy event loop.
        """
        journal = self._journal
        match notice:
            case bytes():
                if journal.state in (CallState.CONNECTING, CallState.LIVE):
                    if waited > self._timing.send_limit:
                        self._drop()
                        return
                    if not self._frames and self._connection.send_now(notice):
                        journal.counters.sent()
                        return
                    if len(self._frames) == self._frames.maxlen:
                        self._drop()
                    self._frames.append(notice)
                    self._frame_waits.set()
            case Audible() if journal.state is not CallState.ENDED:
                self._tell_playout()
            case Event() if journal.state is not CallState.ENDED:
                journal.tell(replace(notice, at=journal.now()))
            case DeviceLost():
                if self.failure is None and self._connection.closed is None:
                    self.failure = notice
                self._over.set()
                self._close()

    async def run(self) -> None:
        """Converse until the end, close everything and report how it ended."""
        defect: BaseException | None = None
        try:
            await self._converse()
        except BaseException as error:
            defect = error
            raise
        finally:
            try:
                self._silence()
                await asyncio.shield(self._close())
                await run_to_completion(self._release)
            finally:
                self._say_goodbye(defect)

    async def _converse(self) -> None:
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._send()),
                group.create_task(self._send_heartbeats()),
                group.create_task(self._observe()),
            ]
            await self._receive()
            closed = self._connection.closed
            if closed is not None and closed.by != "you" and not self._over.is_set():
                self._journal.move_to(CallState.DRAINING)
                self._devices.far_end.finish()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), self._drain_timeout)
            for task in others:
                task.cancel()

    async def _receive(self) -> None:
        counters, far_end = self._journal.counters, self._devices.far_end
        async for message in self._connection:
            counters.messages += not isinstance(message, events.ProviderComplaint)
            match message:
                case AgentAudio() | AgentPacket() if self._over.is_set():
                    pass  # you have hung up, and hear nothing more
                case AgentAudio(data=data, text=text, cue=cue):
                    counters.received(data, far_end.push(data, text, cue))
                    self._responses.audio_arrived(self._journal.now())
                case AgentPacket():
                    counters.received(message.payload, 0.0)
                    self._push_packet(message)
                case CallOver(at=at):
                    self._told_over = at
                case Clear(at=at):
                    far_end.clear()
                    counters.cleared(at)
                    self._responses.cleared()
                    self._devices.cleared()
                case Pong():
                    pass
                case _:
                    self._journal.tell(message)

    def _push_packet(self, packet: AgentPacket) -> None:
        packets, payload = self._devices.packets, packet.payload
        if packets is not None and packets.push_packet(
            packet.sequence, packet.timestamp, payload, packet.source
        ):
            return
        journal = self._journal
        broken = MalformedMessage(
            problem="agent audio that is not Opus", excerpt=payload[:20].hex(), at=journal.now()
        )
        journal.counters.told(broken)
        if not self._told_broken:  # there may be fifty a second
            journal.events.put(broken)
        self._told_broken = True

    def _drop(self) -> None:
        self._journal.counters.frame_dropped(self._frame_seconds)
        self._connection.skip(self._frame_seconds)

    async def _send(self) -> None:
        while True:
            self._frame_waits.clear()
            while self._frames:
                frame = self._frames.popleft()
                # Before the wait, as the connection counts its bytes: the call may end meanwhile.
                self._journal.counters.sent()
                await self._connection.send_audio(frame)
            await self._frame_waits.wait()

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._timing.heartbeat)
            await self._connection.ping()

    async def _observe(self) -> None:
        """Watch everything that does not report by itself."""
        devices, connection, journal = self._devices, self._connection, self._journal
        levels_due = statistics_due = now = journal.now()
        limit, silent = self._timing.silence_limit, 0.0
        interval = min(self._timing.look, self._level_interval or self._timing.look)
        while True:
            await asyncio.sleep(interval)
            was, now = now, journal.now()
            self._tell_playout()
            if self._level_interval is not None and now >= levels_due:
                levels_due = now + self._level_interval
                levels = devices.io.near_end.level(), devices.io.output.level()
                journal.events.put(events.Levels(at=now, near_end=levels[0], far_end=levels[1]))
            if devices.hears_itself():
                journal.tell(events.EchoSuspected(at=now, echo=devices.io.echo.name))
            if now >= statistics_due:
                statistics_due = max(now, statistics_due + self._timing.statistics)
                self._tell_drops(now)
                journal.events.put(self.statistics())
            # After a block, signs of life may wait unread: count no more than a round.
            passed = min(now - was, interval + _LATE)
            silent = min(silent + passed, now - connection.heard_at)
            if silent > limit:
                connection.give_up(f"nothing came from the server for {limit:g} s")
            if devices.fault is not None:
                raise devices.fault

    def _tell_playout(self) -> None:
        now, far_end = self._journal.now(), self._devices.far_end
        for report, ago in far_end.poll():
            if isinstance(report, Cued):
                self._connection.heard(report.cue)
            else:
                self._tell_heard(heard(report, far_end.rate, now, ago))
        if self._journal.state is CallState.DRAINING and far_end.silent:
            self._over.set()
        if self._said_all(now):
            self._close()

    def _said_all(self, now: float) -> bool:
        """Return True once: when the server has ended the call, and its last words were heard.

        Of audio that streams on and on nothing else tells.
        """
        packets = self._devices.packets
        if self._told_over is None or packets is None or now - self._told_over < _LAST_WORDS:
            return False
        if packets.speaking:
            return False
        self._told_over = None
        return True

    def _tell_heard(self, event: Event) -> None:
        self._journal.tell(event)
        figure: Event | None = None
        match event:
            case events.AgentStarted():
                figure = self._responses.started(event, self._spoken(), self._connection.round_trip)
            case events.AgentStopped():
                figure = self._responses.stopped(event, self._spoken())
        if figure is not None:
            self._journal.tell(figure)

    def _spoken(self) -> list[Span]:
        """When you spoke, in call time."""
        time_of = self._journal.time_of
        spans = self._devices.io.near_end.speech.spans
        return [Span(time_of(begin), time_of(end)) for begin, end in spans]

    def _tell_drops(self, now: float) -> None:
        unsent, lost = self._journal.counters.drops(now), self._devices.drops(now)
        for loss in lost:  # for what was not sent it has been said
            self._connection.skip(loss.duration)
        for loss in (*unsent, *lost):
            self._journal.events.put(loss)

    def _silence(self) -> None:
        """Silence everything."""
        self._unheard += self._devices.far_end.depth
        self._devices.far_end.clear()

    def _say_goodbye(self, defect: BaseException | None) -> None:
        journal = self._journal
        now = journal.now()
        self._tell_playout()
        if journal.counters.agent_speaking:
            journal.tell(
                events.AgentStopped(
                    at=now, interrupted=True, discarded=self._unheard, silent_since=now
                )
            )
        self._tell_drops(now)
        journal.move_to(CallState.ENDED)
        journal.events.put(
            ended(
                self._connection.closed or Closed("network", 1006, ""),
                self.statistics(),
                hung_up=self._hung_up,
                failure=self.failure,
                defect=defect,
                answered=journal.counters.messages > 0,
            )
        )
        journal.events.close()
