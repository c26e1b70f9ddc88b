"""One call, from opening the devices to the last word heard.

::

    connecting ──▶ live ──▶ draining ──▶ ended      draining: the server has closed or the network
                     └────────────────────▲         failed, what had arrived plays out;
                                                    live → ended: you hung up, or a device is lost

This is how a call is opened, and what its user sees of it; what happens in between is in
``conversation``.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.echo_path import Echo, EchoPath
from retell_voice.devices.lease import Lease
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.devices.streams.notices import Notice
from retell_voice.engine.arguments import check_audio, check_parts, frame_ms_of, route_of
from retell_voice.engine.call_devices import CallDevices, opened
from retell_voice.engine.conversation import Conversation
from retell_voice.engine.journal import Journal
from retell_voice.engine.observation import Observation
from retell_voice.engine.observer import Observer
from retell_voice.engine.timing import DEFAULT_TIMING, Timing
from retell_voice.errors import DeviceError
from retell_voice.events import CallState, Event, Statistics
from retell_voice.protocol.dialect import DIGITS
from retell_voice.secret import Secret
from retell_voice.threads.detached import run_detached, run_to_completion, wait_for_end
from retell_voice.threads.mailbox import mailbox_of
from retell_voice.transport.ports import Connection, Route
from retell_voice.transport.retry import connect

PLAYOUT_LIMIT = 600.0
"""Seconds of agent audio that may be queued: minutes are normal, as it comes when generated."""


class Call:
    """A call: an async context manager, and an async iterator of its events.

    ::

        async with Call(call_id) as call:
            async for event in call:
                print(event)

    Args:
        route: what is dialled, or the call_id of a registered call (a secret: it also
            authenticates), for which ``web_route`` makes a route.
        url, updates, alignment, text_heartbeat, connect_timeout: for a call_id only; see
            ``web_route``, also for their defaults. A route states these itself.
        audio: for a call_id, the encoding and rate the call was registered with; for either, an
            ``AudioIO`` whose open devices the call borrows (a call_id then means s16le at 24 kHz:
            for another format make a ``web_route``). Without one, the call opens its own devices
            and closes them.
        microphone, speaker: your hardware; None opens the default devices. Not with an ``AudioIO``.
        frame_ms: length of a frame of microphone audio, 20–250 ms; None: what the route demands,
            else 20.
        level_interval: seconds between ``Levels`` events, None to send none.
        drain_timeout: seconds the agent's last words may play after the connection ended.
        connect_attempts: how often to try if a retry may help; of the HTTP statuses 4xx, only
            after 429.
        jitter: lowest and highest depth of the jitter buffer, seconds; None: the route's default.
        volume: factor for the agent's amplitude, 0–2; see ``Call.volume``. None: 1, or that of the
            borrowed ``AudioIO``.
        device_timeout: seconds a lost device may stay away (see ``DeviceChanged``)
            before the call ends; 0 ends it at once. A borrowed ``AudioIO`` has its own.
        echo, noise_suppression, automatic_gain: processing of the microphone's audio, see
            ``AudioIO``, also for their defaults. Not with an ``AudioIO``, which has its own.
        recorder: sees and hears everything: a ``Recorder``, or your own observer.
        timing: intervals and timeouts; for tests.

    Raises:
        AudioFormatError: the frame length is out of range, or not the one the route demands.
        ConfigError: the call_id is empty.
        DeviceError: the microphone or speaker is not what ``devices.ports`` describes.
        TypeError: an ``AudioIO`` was given together with something it already has; or an argument
            has the wrong type.

    Entering the context raises ``DeviceError``, ``ConnectError`` or ``ConfigError`` if the call
    cannot be opened, ``ValueError`` for a volume out of range or an unknown method of echo
    control. Once it is open, iteration never raises, whatever happens to the call: it ends with an
    ``Ended`` event that carries the error, if there was one. Only one task may iterate; unread
    events beyond 4096 are dropped, the oldest first, and counted.
    """

    def __init__(
        self,
        route: Route | str,
        *,
        url: str | None = None,
        audio: AudioFormat | AudioIO | None = None,
        microphone: Microphone | None = None,
        speaker: Speaker | None = None,
        frame_ms: int | None = None,
        updates: bool | None = None,
        alignment: bool | None = None,
        text_heartbeat: bool | None = None,
        level_interval: float | None = None,
        drain_timeout: float = 30.0,
        connect_timeout: float | None = None,
        connect_attempts: int = 3,
        jitter: tuple[float, float] | None = None,
        volume: float | None = None,
        device_timeout: float = 60.0,
        echo: Echo | None = None,
        noise_suppression: bool = False,
        automatic_gain: bool = False,
        recorder: Observer | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        if isinstance(route, str):
            route = Secret(route)  # before anything here can fail: tracebacks may show locals
        check_audio(
            audio,
            devices=microphone is not None or speaker is not None,
            processing=bool(echo or noise_suppression or automatic_gain),
        )
        self._route = route_of(
            route,
            url=url,
            audio=None if isinstance(audio, AudioIO) else audio,
            updates=updates,
            alignment=alignment,
            text_heartbeat=text_heartbeat,
            connect_timeout=connect_timeout,
        )
        check_parts(microphone, speaker, recorder)
        self._frame_ms = frame_ms_of(frame_ms, self._route)
        self._level_interval = level_interval
        self._drain_timeout = drain_timeout
        self._connect_attempts = connect_attempts
        self._jitter = jitter
        self._timing = timing

        self._journal = Journal()
        self._observation = Observation(recorder, self._journal)
        self._frame_seconds = self.audio.frame_samples(self._frame_ms) / self.audio.rate
        self._entered = False
        self._devices = CallDevices(
            audio if isinstance(audio, AudioIO) else None,
            own=partial(
                AudioIO,
                microphone,
                speaker,
                rate=self.audio.rate,
                volume=1.0 if volume is None else volume,
                device_timeout=device_timeout,
                echo=echo,
                noise_suppression=noise_suppression,
                automatic_gain=automatic_gain,
            ),
            volume=volume,
            lease=self._lease_of,
        )
        self._conversation: Conversation | None = None
        self._runner: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Call {self._route.label} {self._journal.state}>"

    @property
    def state(self) -> CallState:
        """State of the call."""
        return self._journal.state

    @property
    def audio(self) -> AudioFormat:
        """Encoding and rate of what you send; ``route.far_end`` is the agent's."""
        return self._route.near_end

    @property
    def route(self) -> Route:
        """What the call is dialled over."""
        return self._route

    @property
    def microphone(self) -> Microphone:
        """The microphone in use, once the call is open."""
        return self._devices.io.microphone

    @property
    def speaker(self) -> Speaker:
        """The speaker in use, once the call is open."""
        return self._devices.io.speaker

    @property
    def echo(self) -> EchoPath:
        """The echo control in use, why, and how well it works, once the call is open."""
        return self._devices.io.echo

    @property
    def muted(self) -> bool:
        """Whether silence is sent instead of the microphone.

        A borrowed ``AudioIO`` stays muted when the call is over.
        """
        return self._devices.io.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._devices.io.muted = muted

    @property
    def volume(self) -> float:
        """Factor for the agent's amplitude, 0–2: 1 leaves every sample unchanged.

        A change ramps over 20 ms, without a click; peaks beyond full scale are soft-clipped. A
        recorder hears the result.

        Raises (when set):
            ValueError: it is outside 0–2.
        """
        return self._devices.io.volume

    @volume.setter
    def volume(self, volume: float) -> None:
        self._devices.io.volume = volume

    def statistics(self) -> Statistics:
        """Return the figures of the call so far, once it is open."""
        return opened(self._conversation).statistics()

    def press(self, digit: str) -> bool:
        """Press a phone key; ``DigitSent`` follows.

        Args:
            digit: one of ``0123456789*#``.

        Returns whether it was sent: not every dialect carries that, and no call that is over.

        Raises:
            ValueError: there is no such key.
        """
        if len(digit) != 1 or digit not in DIGITS:
            raise ValueError(f"a telephone has the keys {DIGITS}, not {digit!r}")
        if self.state is not CallState.LIVE:
            return False
        return opened(self._conversation).press(digit)

    async def use(
        self, *, microphone: Microphone | None = None, speaker: Speaker | None = None
    ) -> None:
        """Switch to another microphone, another speaker or both, at whatever rates they have.

        A new device is started beside the old one and takes over once audio passes through it;
        ``DeviceChanged`` says so. The old one then plays what it has been given, and is closed
        when this returns, which takes as long as devices take to open and close. Each of the
        agent's samples is played by exactly one of the two; the last block of the old device and
        the first of the new one fade, over 5–30 ms, so that nothing clicks. Of your own voice, at
        most one block of each microphone is lost in between. Cancelling stops the waiting, not the
        switch.

        Raises:
            DeviceError: a device cannot be opened, or no audio passes through it within two
                seconds, or the call has ended. The call keeps both old devices.
            ConfigError: a file cannot be written; as above.
        """
        runner, io = opened(self._runner), self._devices.io
        if self.state is CallState.ENDED:
            raise DeviceError("the call is over: devices cannot be switched")
        using = run_detached(partial(io.switch, microphone, speaker))
        # A device may hang while it opens, which must not outlive the call.
        await asyncio.wait((using, runner), return_when=asyncio.FIRST_COMPLETED)
        if not using.done():
            raise DeviceError("the call is over: devices cannot be switched")
        using.result()

    async def hang_up(self) -> None:
        """End the call; its ``Ended`` event follows. Returns within a second or so."""
        await opened(self._conversation).hang_up()

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a Call can be entered only once: make another Call to call again")
        self._entered = True
        self._mailbox = mailbox_of(asyncio.get_running_loop())
        self._journal.begin()
        connection: Connection | None = None
        try:
            await self._devices.find()
            lease = self._devices.lease
            connection = await connect(
                self._route, attempts=self._connect_attempts, clock=self._journal.now
            )
            conversation = self._conversation = Conversation(
                self._journal,
                lease,
                connection,
                release=self._devices.release,
                frame_seconds=self._frame_seconds,
                level_interval=self._level_interval,
                drain_timeout=self._drain_timeout,
                timing=self._timing,
            )
            await self._observation.begin(lease, self.audio, self._post)
            # Not earlier: input from a file would be lost, and an output file created, for a
            # call that may never open.
            await self._devices.start()
            if conversation.failure is not None:
                raise conversation.failure
        except BaseException:
            self._journal.state = CallState.ENDED
            # Each, whatever happens to the others: this, too, may be cancelled.
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self._observation.end)
                stack.push_async_callback(run_to_completion, self._devices.release)
                if connection is not None:
                    stack.push_async_callback(connection.close)
            raise
        self._journal.move_to(CallState.LIVE)
        self._runner = asyncio.create_task(self._run(conversation))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._journal.state is not CallState.ENDED:
                await self.hang_up()
        finally:
            await wait_for_end(opened(self._runner))

    def __aiter__(self) -> Self:
        opened(self._runner)
        return self

    async def __anext__(self) -> Event:
        runner = opened(self._runner)
        event = await self._journal.events.get()
        if event is None:
            # Raises if the call failed through a defect of ours. Cancelling the reader cancels
            # nothing in the call.
            await asyncio.shield(runner)
            raise StopAsyncIteration
        return event

    async def _run(self, conversation: Conversation) -> None:
        try:
            await conversation.run()
        finally:
            await self._observation.end()

    def _lease_of(self, io: AudioIO) -> Lease:
        return Lease(
            io,
            sends=self._route.near_end,
            receives=self._route.far_end,
            frame_ms=self._frame_ms,
            limit=PLAYOUT_LIMIT,
            jitter=self._jitter,
            packets=self._route.packets,
            post=self._post,
        )

    def _post(self, notice: Notice) -> None:
        """Take a frame or news from a device. Runs on: any thread."""
        self._mailbox.post(opened(self._conversation).take, notice)
