"""A microphone and a speaker that stay open for as long as a program likes.

::

    microphone ─▶ NearEnd ─▶ listeners, the call that is up
                     ▲ EchoPath: what is played
    speaker    ◀─ Output  ◀─ the call that is up, your own sounds
        ▲
        └─ a Supervisor for each: brings it back when it is lost, gives it more latency after gaps

Calls borrow them one after the other, without reopening a stream::

    async with AudioIO() as io:
        for call_id in call_ids:
            async with Call(call_id, audio=io) as call:
                async for event in call:
                    ...
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from retell_voice.audio.format import SAMPLES, AudioFormat, Samples, described, is_samples
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.clock import LEFT_OUT, WATCH, WATCH_SECONDS, Ticking
from retell_voice.devices.echo_path import Echo, EchoPath
from retell_voice.devices.event_feed import EventFeed
from retell_voice.devices.files import NullMicrophone, NullSpeaker, read_wav
from retell_voice.devices.lease import Lease
from retell_voice.devices.listener import Listener
from retell_voice.devices.ports import Microphone, Speaker, check_device, traits_of
from retell_voice.devices.streams.convert import as_microphone, as_speaker
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.notices import Notice
from retell_voice.devices.streams.output import MOST_SOUNDS, Output, Sound
from retell_voice.devices.streams.tap import EVERY
from retell_voice.devices.upkeep.drift import ClockDrift
from retell_voice.devices.upkeep.gates import CaptureGate, PlayoutGate
from retell_voice.devices.upkeep.looks import Looks
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.errors import DeviceError, DeviceLost
from retell_voice.events import DeviceChanged, Event, MicrophoneSilent
from retell_voice.threads.detached import run_detached, run_to_completion
from retell_voice.threads.mailbox import mailbox_of

_SWITCH_SECONDS = 1.0
"""Seconds that closing waits for a device that is just taking over."""
_REST_SECONDS = 3.0
"""Without a call or a sound, until devices rest: longer than a kiosk's dialling sound pauses."""


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
        self._microphone = microphone
        self._speaker = speaker
        self._can_block = traits_of(microphone).can_block
        self._device_timeout = device_timeout
        self._may_rest = rests
        self._used_at = 0.0  # seconds of the machine's clock: a call or a sound
        self.near_end = NearEnd(microphone.rate, self._post, can_block=self._can_block)
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
        self._near = self._near_supervisor(microphone)
        self._far = self._far_supervisor(speaker)
        self._aside: list[Supervisor] = []  # those of devices about to take over
        self._retired_starts = 0
        self._switching = threading.Lock()  # held while they do
        self._lease: Lease | None = None
        self._is_open = self._is_closed = False
        self._ticking: Ticking | None = None
        self._looks = Looks(self.near_end, self.output, self._zeros)
        self._events = EventFeed()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open" if self._is_open else "not open"
        return f"<AudioIO {self._microphone.name!r} {self._speaker.name!r} {state}>"

    @property
    def microphone(self) -> Microphone:
        """The microphone in use."""
        return self._microphone

    @property
    def speaker(self) -> Speaker:
        """The speaker in use."""
        return self._speaker

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
        supervisors = (self._near, self._far, *self._aside)
        return self._retired_starts + sum(each.starts for each in supervisors)

    @property
    def away(self) -> str:
        """Which devices are lost and why, one line; empty while both are there."""
        return "; ".join(filter(None, (self._near.trouble, self._far.trouble)))

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
        self._used_at = time.monotonic()
        if lease is not None:
            self.lend(lease)
        try:
            self._far.start()
            self.echo.settle(self._microphone, self._speaker)
            self.near_end.start()
            self._near.start()
        except BaseException:
            self.close()
            raise
        self._ticking = WATCH.begin(WATCH_SECONDS, self._look, self._watch_failed)
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
        if self._ticking is not None:
            WATCH.end(self._ticking)
        for supervisor in (self._near, self._far, *self._aside):
            supervisor.end()
        alone = self._switching.acquire(timeout=_SWITCH_SECONDS)
        with ExitStack() as stack:
            if alone:
                stack.callback(self._switching.release)
            stack.callback(self._events.close)
            stack.callback(self.near_end.stop)
            for supervisor in (*self._aside, self._far, self._near):
                stack.callback(supervisor.stop)

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
        if isinstance(sound, Path | str) or rate not in (None, self.output.rate):
            samples = await run_detached(partial(self._prepared, sound, rate))
        else:
            samples = self._prepared(sound, rate)  # at once, whatever else the loop has to do
        heard = asyncio.Event()
        mailbox = mailbox_of(asyncio.get_running_loop())
        self._wake()
        playing = Sound(samples, lambda: mailbox.post(lambda *_: heard.set(), None), yields=yields)
        if not self.output.play(playing):
            raise RuntimeError(f"{MOST_SOUNDS} sounds are already waiting to be played")
        try:
            await heard.wait()
        except asyncio.CancelledError:
            playing.is_stopping = True
            raise

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
        with self._switching, ExitStack() as failing:
            far = near = None
            if speaker is not None and speaker is not self._speaker:
                check_device(speaker, "speaker")
                far = self._far_supervisor(speaker)
            if microphone is not None and microphone is not self._microphone:
                check_device(microphone, "microphone")
                near = self._near_supervisor(microphone)
            # The microphone last: nothing it hears meanwhile is sent.
            self._aside = [each for each in (far, near) if each is not None]
            failing.callback(self._aside.clear)
            for supervisor in self._aside:
                if self._is_closed:
                    raise DeviceError("the devices are closed: they cannot be switched")
                supervisor.start_aside()
                failing.callback(supervisor.stop)
            failing.pop_all()
            replaced = []
            if far is not None and speaker is not None:
                far.take_over(self._far)
                replaced.append(self._far)
                self._far, self._speaker = far, speaker
                self._post(DeviceChanged(side="far_end", state="changed", name=speaker.name))
            if near is not None and microphone is not None:
                near.take_over(self._near)
                replaced.append(self._near)
                self._near, self._microphone = near, microphone
                self._looks.microphone_changed()
                self._post(DeviceChanged(side="near_end", state="changed", name=microphone.name))
            self._aside.clear()
            if replaced:
                self.echo.changed(self._microphone, self._speaker)
            for supervisor in replaced:
                self._retired_starts += supervisor.starts
                supervisor.retire()

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
        self._wake()
        if self._ticking is not None:
            WATCH.hasten(self._ticking)
        self.echo.rest(False)
        self.output.connect(lease.far_end)
        self.near_end.connect(lease.frames)

    def take_back(self, lease: Lease) -> None:
        """Take them back from a finished call; safe to call twice."""
        if self._lease is lease:
            self.near_end.connect(None)
            self.output.connect(None)
            self.echo.rest(True)
            self._lease = None

    # Supervision

    def _near_supervisor(self, microphone: Microphone) -> Supervisor:
        rate = self.near_end.rate
        return Supervisor(
            "near_end",
            as_microphone(microphone, rate, can_block=self._can_block, lost=self._near_lost),
            NullMicrophone(rate),
            new_gate=lambda tell: CaptureGate(self.near_end, tell),
            post=self._post,
            device_timeout=self._device_timeout,
        )

    def _far_supervisor(self, speaker: Speaker) -> Supervisor:
        return Supervisor(
            "far_end",
            as_speaker(speaker, self.output.rate),
            NullSpeaker(self.output.rate),
            new_gate=lambda tell: PlayoutGate(self.output, tell),
            post=self._post,
            device_timeout=self._device_timeout,
        )

    def _near_lost(self, samples: int) -> None:
        """Runs on: a relay's thread."""
        self.near_end.lost += samples

    def _look(self) -> int:
        """Runs on: watch thread. Notice what no device reports; return how many of the next looks
        are needless."""
        lease, flows = self._lease, (self._near.flows(), self._far.flows())
        now = time.monotonic()
        self._looks.look(now, self._near, self._far, None if lease is None else lease.far_end)
        self._rest_or_wake(now)
        return LEFT_OUT if lease is None and all(flows) else 0

    def _zeros(self) -> None:
        self._post(MicrophoneSilent(name=self._microphone.name))

    def _wake(self) -> None:
        """Have both devices be quick from here on. Runs on: any thread."""
        self._used_at = time.monotonic()
        rested = self._near.wake(), self._far.wake()
        if any(rested) or self.echo.is_paused:
            self.echo.woken()

    def _rest_or_wake(self, now: float) -> None:
        """Runs on: watch thread."""
        used_at = self._used_at
        if self._lease is not None or not self.output.is_silent:
            self._wake()
            return
        may_rest = self._may_rest and now - used_at >= _REST_SECONDS
        rested = False
        sides = (self._near, self.near_end.is_patient), (self._far, self.output.is_patient)
        for side, is_patient in sides:
            if not is_patient:
                rested = side.wake() or rested
            elif may_rest:
                side.rest()
        if rested:
            self.echo.woken()
        elif may_rest and all(is_patient for _, is_patient in sides):
            self.echo.pause()
        if self._used_at != used_at:  # a call or a sound, since this has looked for one
            self._wake()

    def _watch_failed(self, error: Exception) -> None:
        self.output.fault = error

    def _post(self, notice: Notice) -> None:
        """Pass on a device's notice. Runs on: any thread."""
        lease = self._lease
        if lease is not None:
            lease.post(notice)
        if isinstance(notice, Event):
            self._events.post(notice)
        if isinstance(notice, DeviceChanged) and notice.state == "back":
            self.echo.changed(self._microphone, self._speaker)

    def _prepared(self, sound: Samples | Path | str, rate: int | None) -> Samples:
        """Return a sound at the speaker's rate."""
        if isinstance(sound, Path | str):
            sound, rate = read_wav(sound)
        elif not is_samples(sound):
            raise TypeError(f"a sound must be {SAMPLES}, or a WAV file; it is {described(sound)}")
        return resample_whole(sound, rate or self.output.rate, self.output.rate)
