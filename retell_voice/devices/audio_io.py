"""A microphone and a speaker at work for one call."""

from __future__ import annotations

import threading
from contextlib import ExitStack

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.ports import Microphone, Speaker, traits_of
from retell_voice.devices.streams.convert import as_microphone, as_speaker
from retell_voice.devices.streams.far_end import Audible, FarEnd, Post
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.tap import Tap
from retell_voice.devices.upkeep.drift import ClockDrift
from retell_voice.devices.upkeep.gates import CaptureGate, PlayoutGate
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.watchdog import ZerosWatch
from retell_voice.errors import DeviceError
from retell_voice.events import DeviceChanged, MicrophoneSilent

_SWITCH_SECONDS = 1.0
"""How long the end of a call waits for a device that is just taking over."""
_QUIET_SECONDS = 1.0


class AudioIO:
    """Both devices with their bridges, started, watched and stopped together.

    Making one finds the default devices where none are given, which may take a while;
    starting and stopping may, too: do all of it away from the event loop.

    Args:
        audio: encoding and rate of the call.
        microphone, speaker: the devices, None for the default ones.
        frame_ms: length of a frame of microphone audio, 20–250 ms.
        limit: seconds of agent audio that may be queued.
        jitter: lowest and highest depth of the jitter buffer, seconds.
        volume: times the agent's amplitude, 0–2.
        device_timeout: seconds that a lost device may stay away before the call is to end.
        post: takes what there is to be told; on any thread.

    Raises:
        DeviceNotFound: there is no default device.
        ValueError: the volume is out of range.
    """

    def __init__(
        self,
        audio: AudioFormat,
        microphone: Microphone | None,
        speaker: Speaker | None,
        *,
        frame_ms: int,
        limit: float,
        jitter: tuple[float, float],
        volume: float,
        device_timeout: float,
        post: Post,
    ) -> None:
        if microphone is None or speaker is None:
            from retell_voice.devices.portaudio import devices as portaudio  # noqa: PLC0415 - not for devices of one's own

            microphone = microphone or portaudio.find_microphone(audio)
            speaker = speaker or portaudio.find_speaker(audio)
        self.microphone = microphone
        self.speaker = speaker
        self._near_rate = microphone.rate
        self._can_block = traits_of(microphone).can_block
        self._post = post
        self._device_timeout = device_timeout
        self.capture = NearEnd(
            audio,
            microphone.rate,
            frame_ms,
            post,
            can_block=self._can_block,
        )
        self.playout = FarEnd(
            audio, speaker.rate, limit, jitter, volume=volume, audible=lambda: post(Audible())
        )
        self._near_end = self._near_supervisor(microphone)
        self._far_end = self._far_supervisor(speaker)
        self._aside: list[Supervisor] = []  # those of devices that are to take over
        self._switching = threading.Lock()  # held while they do
        self._stopped = False
        self._zeros, self._tried_again = ZerosWatch(), False
        self._drifting: object = None  # what is at work, as it was at the last look
        self.capture_drift = ClockDrift(self._near_rate)
        self.playback_drift = ClockDrift(self.playout.rate)

    def _near_supervisor(self, microphone: Microphone) -> Supervisor:
        return Supervisor(
            "near_end",
            as_microphone(microphone, self._near_rate, can_block=self._can_block),
            NullMicrophone(self._near_rate),
            new_gate=lambda tell: CaptureGate(self.capture, tell),
            post=self._post,
            device_timeout=self._device_timeout,
        )

    def _far_supervisor(self, speaker: Speaker) -> Supervisor:
        return Supervisor(
            "far_end",
            as_speaker(speaker, self.playout.rate),
            NullSpeaker(self.playout.rate),
            new_gate=lambda tell: PlayoutGate(self.playout, tell),
            post=self._post,
            device_timeout=self._device_timeout,
        )

    def tap(self) -> tuple[Tap, Tap]:
        """Return near and far end for somebody who listens in; before ``start``, and once."""
        near, far = Tap(self._near_rate), Tap(self.playout.rate)
        self.capture.tap, self.playout.tap = near, far
        return near, far

    def moments(self) -> tuple[float, float]:
        """Return how many seconds of the near end have been spoken and of the far end been heard
        by this moment. A block behind, as devices work in blocks. Runs on: any thread."""
        spoken = self.capture.position / self._near_rate + (self.microphone.latency or 0.0)
        return spoken, self.playout.hearing / self.playout.rate

    def start(self) -> None:
        """Open both devices; what the microphone hears is posted from here on.

        Raises:
            DeviceError: one of them cannot be opened.
        """
        self._far_end.start()
        self.capture.start()
        self._near_end.start()

    def use(self, microphone: Microphone | None, speaker: Speaker | None) -> None:
        """Put other devices in the place of those in use, None for no change; then stop these.

        Blocks for as long as the devices take to open and to close.

        Raises:
            DeviceError: one cannot be opened, lets no audio pass or comes after the end; nothing
                has changed then.
        """
        with self._switching, ExitStack() as failing:
            far = near = None
            if speaker is not None and speaker is not self.speaker:
                far = self._far_supervisor(speaker)
            if microphone is not None and microphone is not self.microphone:
                near = self._near_supervisor(microphone)
            # The microphone last: what it hears meanwhile is not sent.
            self._aside = [supervisor for supervisor in (far, near) if supervisor is not None]
            failing.callback(self._aside.clear)
            for supervisor in self._aside:
                if self._stopped:
                    raise DeviceError("the call is over: no other device can be used")
                supervisor.start_aside()
                failing.callback(supervisor.stop)
            failing.pop_all()
            replaced = []
            if far is not None and speaker is not None:
                far.take_over(self._far_end)
                replaced.append(self._far_end)
                self._far_end, self.speaker = far, speaker
                self._post(DeviceChanged(side="far_end", state="changed", name=speaker.name))
            if near is not None and microphone is not None:
                near.take_over(self._near_end)
                replaced.append(self._near_end)
                self._near_end, self.microphone = near, microphone
                self._zeros, self._tried_again = ZerosWatch(), False
                self._post(DeviceChanged(side="near_end", state="changed", name=microphone.name))
            self._aside.clear()
            for supervisor in replaced:
                supervisor.retire()

    def stop(self) -> None:
        """Stop and close both devices, each whatever the other does; safe to call twice."""
        self._stopped = True
        for supervisor in (self._near_end, self._far_end, *self._aside):
            supervisor.end()
        alone = self._switching.acquire(timeout=_SWITCH_SECONDS)
        with ExitStack() as stack:
            if alone:
                stack.callback(self._switching.release)
            stack.callback(self.capture.stop)
            for supervisor in (*self._aside, self._far_end, self._near_end):
                stack.callback(supervisor.stop)

    @property
    def fault(self) -> Exception | None:
        """What went wrong on one of the audio threads, if anything ever did: a defect."""
        return self.capture.fault or self.playout.fault

    def look(self, now: float) -> None:
        """Notice a device that stopped or went mute without saying so, and compare the clocks.

        ``now``: seconds. Cheap; called in the rhythm of a frame.
        """
        silent = self.playout.silent
        # While the agent speaks, its user mostly listens.
        listens = self.capture.muted or not silent or self.capture.quiet >= _QUIET_SECONDS
        self._near_end.look(now, pause=listens)
        self.capture.attentive = self._near_end.raised
        self._far_end.look(now, pause=silent)
        listening = (
            traits_of(self.microphone).never_silent
            and self._near_end.at_work
            and not self.capture.muted
        )
        if self._zeros.look(now, self.capture.sounds, listening=listening):
            self._post(MicrophoneSilent(name=self.microphone.name))
            if not self._tried_again:
                self._tried_again = True
                self._near_end.open_again()  # some are mute only until then
        near, far = self._near_end, self._far_end
        drifting = near, near.breaks, self.capture.xruns, far, far.breaks, self.playout.xruns
        if drifting != self._drifting or not (near.at_work and far.at_work):
            self._drifting = drifting  # stand-ins run on this machine's clock, gaps on none
            self.capture_drift = ClockDrift(self._near_rate)
            self.playback_drift = ClockDrift(self.playout.rate)
        self.capture_drift.look(now, self.capture.position)
        self.playback_drift.look(now, self.playout.playout.position)
