"""A microphone and a speaker that stay open for as long as a program likes.

::

    microphone ─▶ NearEnd ─▶ listeners, the call that is up
                     ▲ EchoPath: what is played
    speaker    ◀─ Output  ◀─ the call that is up, your own sounds
        ▲
        └─ a Pair: a Supervisor for each brings it back when it is lost; others can take over.
           Looks see what no device reports; Idling lets both rest between calls

Calls borrow them one after the other, without reopening a stream::

    async with AudioIO() as io:
        for call_id in call_ids:
            async with Call(call_id, audio=io) as call:
                async for event in call:
                    ...
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.devices.echo_path import Echo, EchoPath
from retell_voice.devices.event_feed import EventFeed
from retell_voice.devices.lease import Lease
from retell_voice.devices.listener import Listener
from retell_voice.devices.own_sounds import play_until_heard, sound_at
from retell_voice.devices.ports import Microphone, Speaker, check_device, traits_of
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.notices import Notice
from retell_voice.devices.streams.output import Output
from retell_voice.devices.streams.tap import EVERY
from retell_voice.devices.upkeep.drift import ClockDrift
from retell_voice.devices.upkeep.idling import Idling
from retell_voice.devices.upkeep.looks import Looks
from retell_voice.devices.upkeep.pair import Pair
from retell_voice.errors import DeviceLost
from retell_voice.events import DeviceChanged, Event, MicrophoneSilent
from retell_voice.threads.detached import run_detached, run_to_completion


class AudioIO:
    """Both devices, open and watched; an async context manager, and an async iterator of events.

    A lost device comes back by itself, as during a call: ``DeviceChanged`` says so. Without a call,
    nothing is sent and only ``play`` is heard. The constructor finds the default devices unless
    given others, which may take a while.

    Args:
        microphone, speaker: your hardware; None finds the default devices.
        rate: samples a second to open default devices with, if supported. Calls at another rate
            are resampled.
        volume: factor for the amplitude of everything played, 0–2; see ``volume``.
        device_timeout: seconds a lost device may stay away before the current call ends with a
            ``DeviceLost``; 0 ends it at once. Without a call there is no such limit.
        echo: what keeps the agent from hearing itself: ``auto``, ``webrtc``, ``half-duplex``,
            ``system`` (which sets ``PULSE_SOURCE`` and ``PULSE_SINK`` for this process) or
            ``off``; or, for your own, a callable that returns an ``EchoControl`` for the
            microphone's rate. Its adapted state is kept from one call to the next. None: ``auto``
            if both are devices of this computer, else ``off``: what your own hardware hears, and
            whether it needs this, only you know.
        noise_suppression, automatic_gain: WebRTC's; they need the same package as ``webrtc``.
        rests: let devices rest while there is neither a call nor a sound of yours, where they can
            (``devices.ports.CanRest``): they take a third of the processor then, and listeners
            that can wait for 0.1 s get blocks as long.

    Raises:
        ConfigError: the requested echo control is not available.
        DeviceNotFound: there is no default device.
        DeviceError: PortAudio is missing, or a device is not what ``devices.ports`` describes.
        ValueError: the volume is out of range, or the method of echo control is unknown.

    Entering it raises ``DeviceError`` if a device cannot be opened. Iterating yields
    ``DeviceChanged``, ``LatencyChanged``, ``MicrophoneSilent`` and ``InputFinished`` until it is
    closed; their ``at`` counts seconds since it was opened. Unread events beyond 256 are dropped,
    the oldest first.
    """

    def __init__(
        self,
        microphone: Microphone | None = None,
        speaker: Speaker | None = None,
        *,
        rate: int = 24000,
        volume: float = 1.0,
        device_timeout: float = 60.0,
        echo: Echo | None = None,
        noise_suppression: bool = False,
        automatic_gain: bool = False,
        rests: bool = False,
    ) -> None:
        if microphone is None or speaker is None:
            from retell_voice.devices.portaudio import devices  # noqa: PLC0415 - not for one's own

            audio = AudioFormat(rate=rate)
            microphone = microphone or devices.find_microphone(audio)
            speaker = speaker or devices.find_speaker(audio)
        check_device(microphone, "microphone")
        check_device(speaker, "speaker")
        can_block = traits_of(microphone).can_block
        self.near_end = NearEnd(microphone.rate, self._post, can_block=can_block)
        self.output = Output(speaker.rate, volume)
        self.echo = EchoPath(
            echo,
            self.near_end,
            self.output,
            noise_suppression=noise_suppression,
            gain=automatic_gain,
        )
        """The echo control in use, why, and how well it works."""
        self.echo.prepare(microphone, speaker)
        self._pair = Pair(
            microphone,
            speaker,
            self.near_end,
            self.output,
            can_block=can_block,
            device_timeout=device_timeout,
            post=self._post,
        )
        self._idling = Idling(self._pair, self.near_end, self.output, self.echo, may_rest=rests)
        self._looks = Looks(self._pair, self.near_end, self.output, self._idling, self._zeros)
        self._lease: Lease | None = None
        self._is_open = self._is_closed = False
        self._events = EventFeed()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open" if self._is_open else "not open"
        return f"<AudioIO {self.microphone.name!r} {self.speaker.name!r} {state}>"

    @property
    def microphone(self) -> Microphone:
        """The microphone in use."""
        return self._pair.microphone

    @property
    def speaker(self) -> Speaker:
        """The speaker in use."""
        return self._pair.speaker

    @property
    def muted(self) -> bool:
        """Whether calls and listeners get silence instead of the microphone. Kept from one call to
        the next."""
        return self.near_end.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.near_end.muted = muted

    @property
    def volume(self) -> float:
        """Factor for the amplitude of everything played, 0–2: 1 leaves every sample unchanged.

        A change ramps over 20 ms, without a click; peaks beyond full scale are soft-clipped. Kept
        from one call to the next.

        Raises (when set):
            ValueError: it is outside 0–2.
        """
        return self.output.gain.value

    @volume.setter
    def volume(self, volume: float) -> None:
        self.output.gain.value = volume

    @property
    def openings(self) -> int:
        """Times that a device's stream was opened, both sides together."""
        return self._pair.openings

    @property
    def away(self) -> str:
        """Which devices are lost and why, one line; empty while both are there."""
        return self._pair.away

    @property
    def capture_drift(self) -> ClockDrift:
        """How fast the microphone's clock runs."""
        return self._looks.capture_drift

    @property
    def playback_drift(self) -> ClockDrift:
        """How fast the speaker's clock runs."""
        return self._looks.playback_drift

    @property
    def fault(self) -> Exception | None:
        """The exception on one of the audio threads, if any: a defect."""
        return self.near_end.fault or self.output.fault

    # Opening and closing

    def open(self, lease: Lease | None = None) -> None:
        """Open both devices. Blocks; ``async with`` does it off the event loop.

        ``lease``: of a call that uses them from the first sample on.

        Raises:
            DeviceError: one of them cannot be opened.
            RuntimeError: it has been opened before.
        """
        if self._is_open or self._is_closed:
            raise RuntimeError("an AudioIO can be opened only once; make another one")
        self._is_open = True
        self._idling.wake()
        if lease is not None:
            self.lend(lease)
        try:
            self._pair.far.start()
            self.echo.settle(self.microphone, self.speaker)
            self.near_end.start()
            self._pair.near.start()
        except BaseException:
            self.close()
            raise
        self._looks.begin()
        if self._is_closed:  # meanwhile, as one of them hung: what was begun since is left
            self.close()

    def close(self) -> None:
        """Stop and close both devices, independently; safe to call twice. Blocks.

        A call that is up ends with a ``DeviceLost``.
        """
        lease = self._lease
        if lease is not None:
            lease.post(DeviceLost("the AudioIO was closed during the call"))
        self._is_closed = True
        self._pair.end()
        self._looks.end()
        with ExitStack() as stack:
            stack.callback(self._events.close)
            stack.callback(self.near_end.stop)
            stack.callback(self._pair.stop)

    async def __aenter__(self) -> Self:
        self._events.begin()
        await run_to_completion(self.open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await run_to_completion(self.close)

    def __aiter__(self) -> Self:
        if not self._events.has_begun:
            raise RuntimeError("the AudioIO is not open: use it inside 'async with'")
        return self

    async def __anext__(self) -> Event:
        event = await self._events.next()
        if event is None:
            raise StopAsyncIteration
        return event

    # Between and beside calls

    async def play(
        self, sound: Samples | Path | str, rate: int | None = None, *, yields: bool = False
    ) -> None:
        """Play your own sound, mixed with the agent if it speaks; returns when it has been heard.

        Several are played one after the other, up to 32 at a time. Cancelling fades it out.

        Args:
            sound: samples, shape (n,), mono int16; or a WAV file.
            rate: sample rate of samples, Hz; None: that of the speaker.
            yields: give way to the agent: fade out when the agent starts, and skip the sound if
                the agent is already heard.

        Raises:
            ConfigError: the file cannot be read.
            RuntimeError: too many sounds wait, or it is not open.
            TypeError: it is not samples.
        """
        if not self._is_open or self._is_closed:
            raise RuntimeError("the AudioIO is not open: use it inside 'async with'")
        samples = await sound_at(self.output.rate, sound, rate)
        self._idling.wake()
        await play_until_heard(self.output, samples, yields=yields)

    def listen(
        self, side: Literal["near_end", "far_end"] = "near_end", *, every: float = EVERY
    ) -> Listener:
        """Return a listener for what the microphone hears, or for what is played.

        For a wake word, a level meter, a recorder: whether or not a call is up. Whoever can wait
        for ``every`` seconds of it, up to 0.1, spares the processor wake-ups while echo control is
        on.

        Raises:
            ValueError: ``every`` is not positive.
        """
        if not every > 0:
            raise ValueError(f"every is {every}, not a positive number of seconds")
        stream = self.near_end if side == "near_end" else self.output
        return Listener(stream, every)

    def levels(self) -> tuple[float, float]:
        """Return the peak levels of near end and far end since the last call, dBFS.

        −100 for digital silence. For a single reader; a call with ``level_interval`` is one.
        """
        return self.near_end.level(), self.output.level()

    async def use(
        self, *, microphone: Microphone | None = None, speaker: Speaker | None = None
    ) -> None:
        """Switch to another microphone, another speaker or both; see ``Call.use``.

        Raises:
            DeviceError: a device cannot be opened, no audio passes through it, or it is closed.
        """
        await run_detached(partial(self.switch, microphone, speaker))

    def switch(self, microphone: Microphone | None, speaker: Speaker | None) -> None:
        """Replace the devices in use, None for no change; then stop the old ones.

        Blocks for as long as the devices take to open and to close.

        Raises:
            DeviceError: one cannot be opened or passes no audio, or it is closed; nothing has
                changed then.
        """
        self._pair.switch(microphone, speaker, self.echo.changed)

    # A call

    def lend(self, lease: Lease) -> None:
        """Lend the devices to a call; see ``Lease.begin``."""
        if not self._is_open or self._is_closed:
            raise RuntimeError("the AudioIO is not open: use it inside 'async with'")
        if self._lease is not None:
            raise RuntimeError("these devices are in use by another call")
        if self.away:
            raise DeviceLost(self.away)
        self._lease = lease
        self._idling.hold()
        self._looks.lent(lease.far_end)
        self.echo.rest(False)
        self.output.connect(lease.far_end)
        self.near_end.connect(lease.frames)

    def take_back(self, lease: Lease) -> None:
        """Take them back from a finished call; safe to call twice."""
        if self._lease is lease:
            self.near_end.connect(None)
            self.output.connect(None)
            self.echo.rest(True)
            self._idling.release()
            self._looks.lent(None)
            self._lease = None

    # What they tell

    def _zeros(self) -> None:
        self._post(MicrophoneSilent(name=self.microphone.name))

    def _post(self, notice: Notice) -> None:
        """Pass on a device's notice. Runs on: any thread."""
        lease = self._lease
        if lease is not None:
            lease.post(notice)
        if isinstance(notice, Event):
            self._events.post(notice)
        if isinstance(notice, DeviceChanged) and notice.state == "back":
            self.echo.came_back(self.microphone, self.speaker)
