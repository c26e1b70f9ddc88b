"""One call, from opening the devices to the last word heard.

::

    connecting ──▶ live ──▶ draining ──▶ ended      draining: the server has closed, its last
                     └────────────────────▲         words play out; live → ended: you hung up,
                                                    the network failed or a device stayed away

The call is the only driver of asyncio in this package: one connection, one microphone, one
speaker and four small tasks (receive, send, heartbeat, tick). What arrives is handled at once
and without waiting, so that nothing ever stands in front of a ``clear``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from types import TracebackType
from typing import Self, TypeVar

from retell_voice import events
from retell_voice.audio.format import AudioFormat
from retell_voice.audio.playout import DEFAULT_TARGET
from retell_voice.devices.duplex import Duplex
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.errors import ConnectError, DeviceLost, mask
from retell_voice.events import CallState, Event, StateChanged, Statistics
from retell_voice.figures import Figures
from retell_voice.inbox import Inbox
from retell_voice.outcome import ended, heard
from retell_voice.protocol.messages import AgentAudio, Clear, Pong
from retell_voice.transport.ports import Closed, Connection
from retell_voice.transport.retry import full_jitter, is_worth_retrying
from retell_voice.transport.websocket import connect

_T = TypeVar("_T")

DEFAULT_URL = "wss://api.retellai.com/audio-websocket"
PLAYOUT_LIMIT = 600.0
"""Seconds of agent audio that may be queued: minutes are normal, it comes as it is made."""

_SEND_LIMIT = 1.0
"""Seconds of microphone audio that may wait for the network; older audio is dropped."""
_TICK = 0.02
_STATISTICS_INTERVAL = 1.0
_HEARTBEAT_INTERVAL = 5.0
_SILENCE_LIMIT = 15.0
"""Without any sign of life for three heartbeats, a connection is broken."""


class Call:
    """A call: an async context manager, and an async iterator of its events.

    ::

        async with Call(call_id) as call:
            async for event in call:
                print(event)

    Args:
        call_id: the registered call. A secret: it also authenticates.
        url: prefix to which ``/{call_id}`` is appended, with or without a trailing slash.
        audio: encoding and rate with which the call was registered.
        microphone, speaker: your hardware; None opens the default devices.
        frame_ms: length of a frame of microphone audio, 20–250 ms.
        updates: ask for the transcript and turns.
        alignment: ask for audio together with its text.
        level_interval: seconds between ``Levels`` events, None for none.
        drain_timeout: seconds that the agent's last words may play after the server closed.
        connect_timeout: seconds that the server may take to answer.
        connect_attempts: how often to try, where trying again may help: not after a 4xx.
        jitter: lowest and highest depth of the jitter buffer, seconds.
        device_patience: seconds that a lost device may stay away (see ``DeviceChanged``)
            before the call ends; 0 ends it at once.

    Raises:
        AudioFormatError: the frame length is out of range.

    Entering the context raises ``DeviceError``, ``ConnectError`` or ``ConfigError`` when the
    call cannot be opened. Once it is open, iteration never raises for what happens to the
    call: it ends with an ``Ended`` event that holds the error, if there was one. One task may
    iterate; events that nobody reads are dropped beyond 4096, the oldest first, and counted.
    """

    def __init__(
        self,
        call_id: str,
        *,
        url: str = DEFAULT_URL,
        audio: AudioFormat | None = None,
        microphone: Microphone | None = None,
        speaker: Speaker | None = None,
        frame_ms: int = 20,
        updates: bool = True,
        alignment: bool = False,
        level_interval: float | None = None,
        drain_timeout: float = 30.0,
        connect_timeout: float = 10.0,
        connect_attempts: int = 3,
        jitter: tuple[float, float] = DEFAULT_TARGET,
        device_patience: float = 60.0,
    ) -> None:
        self._call_id = call_id
        self._url = url
        self._audio = audio or AudioFormat()
        self._wanted_microphone = microphone
        self._wanted_speaker = speaker
        self._frame_ms = frame_ms
        self._updates = updates
        self._alignment = alignment
        self._level_interval = level_interval
        self._drain_timeout = drain_timeout
        self._connect_timeout = connect_timeout
        self._connect_attempts = connect_attempts
        self._jitter = jitter
        self._device_patience = device_patience

        self._opened = time.monotonic()
        self._state = CallState.CONNECTING
        self._inbox = Inbox()
        self._runner: asyncio.Task[None] | None = None
        self._devices: Duplex | None = None
        self._connection: Connection | None = None

        self._frame_seconds = self._audio.frame_samples(frame_ms) / self._audio.rate
        self._frames: deque[bytes] = deque(maxlen=ceil(_SEND_LIMIT / self._frame_seconds))
        self._frame_waits = asyncio.Event()

        self._over = asyncio.Event()  # no reason left to go on playing
        self._hung_up = False
        self._failure: DeviceLost | None = None
        self._figures = Figures()

    def __repr__(self) -> str:
        return f"<Call {mask(self._call_id)} {self._state}>"

    @property
    def state(self) -> CallState:
        """Where the call is in its life."""
        return self._state

    @property
    def audio(self) -> AudioFormat:
        """Encoding and rate of the call."""
        return self._audio

    @property
    def microphone(self) -> Microphone:
        """The microphone in use, once the call is open."""
        return _opened(self._devices).microphone

    @property
    def speaker(self) -> Speaker:
        """The speaker in use, once the call is open."""
        return _opened(self._devices).speaker

    @property
    def muted(self) -> bool:
        """Whether silence is sent instead of what the microphone hears."""
        return _opened(self._devices).capture.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        _opened(self._devices).capture.muted = muted

    def statistics(self) -> Statistics:
        """Return the figures of the call so far, once it is open."""
        return self._figures.snapshot(
            self._now(), _opened(self._devices), self._connection, self._inbox.dropped
        )

    async def hang_up(self) -> None:
        """End the call; its ``Ended`` event follows. Returns within a second or so."""
        connection = _opened(self._connection)
        if connection.closed is None:  # what has ended already keeps its reason
            self._hung_up = True
        self._over.set()
        _opened(self._devices).playout.clear()
        await connection.close()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._opened = time.monotonic()
        self._move_to(CallState.CONNECTING)
        try:
            await _to_the_end(self._find_devices)
            devices = _opened(self._devices)
            connection = self._connection = await self._connect()
            # Not before: what a file says would be lost, and a file to write would be begun,
            # for a call that may not come about.
            await _to_the_end(devices.start)
            if self._failure is not None:
                raise self._failure
        except BaseException:
            self._state = CallState.ENDED
            await self._close()
            raise
        self._move_to(CallState.LIVE)
        self._runner = asyncio.create_task(self._run(devices, connection))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._state is not CallState.ENDED:
            await self.hang_up()
        await _opened(self._runner)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        event = await self._inbox.get()
        if event is None:
            await _opened(self._runner)  # raises if the call failed through a defect of ours
            raise StopAsyncIteration
        return event

    async def _connect(self) -> Connection:
        for attempt, delay in enumerate(full_jitter(), 1):
            try:
                return await connect(
                    self._url,
                    self._call_id,
                    sample_width=self._audio.sample_width,
                    updates=self._updates,
                    alignment=self._alignment,
                    patience=self._connect_timeout,
                    clock=self._now,
                )
            except ConnectError as error:
                if attempt == self._connect_attempts or not is_worth_retrying(error):
                    raise
            await asyncio.sleep(delay)
        raise AssertionError("the delays never end")

    def _find_devices(self) -> None:
        self._devices = Duplex(
            self._audio,
            self._wanted_microphone,
            self._wanted_speaker,
            frame_ms=self._frame_ms,
            limit=PLAYOUT_LIMIT,
            jitter=self._jitter,
            patience=self._device_patience,
            post=self._post,
        )

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._devices is not None:
            await _to_the_end(self._devices.stop)

    async def _run(self, devices: Duplex, connection: Connection) -> None:
        defect: BaseException | None = None
        try:
            await self._converse(devices, connection)
        except BaseException as error:
            defect = error
            raise
        finally:
            try:
                unheard = devices.playout.depth
                devices.playout.clear()
                await self._close()
            finally:
                self._say_goodbye(devices, connection, unheard, defect)

    async def _converse(self, devices: Duplex, connection: Connection) -> None:
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._send(connection)),
                group.create_task(self._send_heartbeats(connection)),
                group.create_task(self._observe(devices, connection)),
            ]
            await self._receive(devices, connection)
            closed = connection.closed
            if closed is not None and closed.by == "server" and not self._over.is_set():
                self._move_to(CallState.DRAINING)
                devices.playout.finish()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), self._drain_timeout)
            for task in others:
                task.cancel()

    def _say_goodbye(
        self,
        devices: Duplex,
        connection: Connection,
        unheard: float,
        defect: BaseException | None,
    ) -> None:
        now = self._now()
        self._tell_playout(devices, now)
        if self._figures.agent_speaking:
            self._tell(
                events.AgentStopped(at=now, interrupted=True, discarded=unheard, silent_since=now)
            )
        self._tell_drops(now)
        self._move_to(CallState.ENDED)
        self._inbox.put(
            ended(
                connection.closed or Closed("network", 1006, ""),
                self.statistics(),
                hung_up=self._hung_up,
                failure=self._failure,
                defect=defect,
                answered=self._figures.messages > 0,
            )
        )
        self._inbox.close()

    async def _receive(self, devices: Duplex, connection: Connection) -> None:
        async for message in connection:
            self._figures.messages += 1
            match message:
                case AgentAudio(data=data, text=text):
                    self._figures.received(data, devices.playout.push(data, text))
                case Clear(at=at):
                    devices.playout.clear()
                    self._figures.cleared(at)
                case Pong():
                    pass
                case _:
                    self._tell(message)

    async def _send(self, connection: Connection) -> None:
        while True:
            self._frame_waits.clear()
            while self._frames:
                frame = self._frames.popleft()
                await connection.send_audio(frame)
                self._figures.sent(frame)
            await self._frame_waits.wait()

    async def _send_heartbeats(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_INTERVAL)
            await connection.ping()

    async def _observe(self, devices: Duplex, connection: Connection) -> None:
        """Tell what the audio threads did, and notice what went silent, frame by frame."""
        levels_due = statistics_due = now = self._now()
        while True:
            await asyncio.sleep(_TICK)
            was, now = now, self._now()
            self._tell_playout(devices, now)
            if self._state is CallState.DRAINING and devices.playout.silent:
                self._over.set()
            if self._level_interval is not None and now >= levels_due:
                levels_due = now + self._level_interval
                levels = devices.capture.level(), devices.playout.level()
                self._inbox.put(events.Levels(at=now, near_end=levels[0], far_end=levels[1]))
            if now >= statistics_due:
                statistics_due = now + _STATISTICS_INTERVAL
                self._tell_drops(now)
                self._inbox.put(self.statistics())
            devices.look(now)
            # A loop that stood still may have unread signs of life: give it another round.
            if now - was < 1 and now - connection.heard_at > _SILENCE_LIMIT:
                connection.give_up(f"nothing came from the server for {_SILENCE_LIMIT:g} s")
            if devices.fault is not None:
                raise devices.fault

    def _post(self, notice: bytes | Event | DeviceLost) -> None:
        """Take a frame or news from a device. Runs on: any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has closed; nobody is left to tell
            self._loop.call_soon_threadsafe(self._take, notice)

    def _take(self, notice: bytes | Event | DeviceLost) -> None:
        match notice:
            case bytes() if self._state in (CallState.CONNECTING, CallState.LIVE):
                if len(self._frames) == self._frames.maxlen:
                    self._figures.frame_dropped(self._frame_seconds)
                self._frames.append(notice)
                self._frame_waits.set()
            case Event() if self._state is not CallState.ENDED:
                self._tell(replace(notice, at=self._now()))
            case DeviceLost():
                connection = self._connection
                if self._failure is None and (connection is None or connection.closed is None):
                    self._failure = notice
                self._over.set()
                if connection is not None:
                    self._closing = asyncio.create_task(connection.close())

    def _tell_playout(self, devices: Duplex, now: float) -> None:
        for report, ago in devices.playout.poll():
            self._tell(heard(report, devices.playout.rate, now, ago))

    def _tell_drops(self, now: float) -> None:
        for loss in self._figures.drops(now):
            self._inbox.put(loss)

    def _tell(self, event: Event) -> None:
        self._figures.told(event)
        self._inbox.put(event)

    def _move_to(self, state: CallState) -> None:
        self._state = state
        self._inbox.put(StateChanged(at=self._now(), state=state))

    def _now(self) -> float:
        return time.monotonic() - self._opened


async def _to_the_end(work: Callable[[], None]) -> None:
    """Do work on a thread, all of it even when cancelled: half open, nothing can be closed."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await working
        raise


def _opened(part: _T | None) -> _T:
    if part is None:
        raise RuntimeError("the call is not open: use it inside 'async with'")
    return part
