"""A microphone and a speaker at work for one call."""

from __future__ import annotations

from contextlib import ExitStack

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.bridge import Audible, PlayoutBridge, Post
from retell_voice.devices.capture import CaptureBridge
from retell_voice.devices.drift import ClockDrift
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.gates import CaptureGate, PlayoutGate
from retell_voice.devices.keeper import Keeper
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.devices.tap import Tap
from retell_voice.devices.watchdog import ZerosWatch
from retell_voice.events import MicrophoneSilent


class Duplex:
    """Both devices with their bridges, started, watched and stopped together.

    Making one finds the default devices where none are given, which may take a while;
    starting and stopping may, too: do all of it away from the event loop.

    Args:
        audio: encoding and rate of the call.
        microphone, speaker: the devices, None for the default ones.
        frame_ms: length of a frame of microphone audio, 20–250 ms.
        limit: seconds of agent audio that may be queued.
        jitter: lowest and highest depth of the jitter buffer, seconds.
        patience: seconds that a lost device may stay away before the call is to end.
        post: takes what there is to be told; on any thread.

    Raises:
        DeviceNotFound: there is no default device.
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
        patience: float,
        post: Post,
    ) -> None:
        if microphone is None or speaker is None:
            # Imported here: a call with devices of its own needs no PortAudio.
            from retell_voice.devices.portaudio import find_microphone, find_speaker  # noqa: PLC0415

            microphone = microphone or find_microphone(audio)
            speaker = speaker or find_speaker(audio)
        self.microphone = microphone
        self.speaker = speaker
        self._near_rate = microphone.rate
        self.capture = CaptureBridge(
            audio,
            microphone.rate,
            frame_ms,
            post,
            patient=getattr(microphone, "patient", False),
        )
        self.playout = PlayoutBridge(
            audio, speaker.rate, limit, jitter, audible=lambda: post(Audible())
        )
        self._near_end = Keeper(
            "near_end",
            microphone,
            NullMicrophone(microphone.rate),
            new_gate=lambda tell: CaptureGate(self.capture, tell),
            post=post,
            patience=patience,
        )
        self._far_end = Keeper(
            "far_end",
            speaker,
            NullSpeaker(speaker.rate),
            new_gate=lambda tell: PlayoutGate(self.playout, tell),
            post=post,
            patience=patience,
        )
        self._post = post
        self._zeros = ZerosWatch()
        self._never_silent = getattr(microphone, "never_silent", False)
        self._losses = (0, 0)
        self.capture_drift = ClockDrift(microphone.rate)
        self.playback_drift = ClockDrift(speaker.rate)

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

    def stop(self) -> None:
        """Stop and close both devices, each whatever the other does; safe to call twice."""
        self._near_end.end()
        self._far_end.end()
        with ExitStack() as stack:
            stack.callback(self.capture.stop)
            stack.callback(self._far_end.stop)
            stack.callback(self._near_end.stop)

    @property
    def fault(self) -> Exception | None:
        """What went wrong on one of the audio threads, if anything ever did: a defect."""
        return self.capture.fault or self.playout.fault

    def look(self, now: float) -> None:
        """Notice a device that stopped or went mute without saying so, and compare the clocks.

        ``now``: seconds. Cheap; called in the rhythm of a frame.
        """
        pause = self.playout.silent
        self._near_end.look(now, pause=pause)
        self._far_end.look(now, pause=pause)
        listening = self._never_silent and self._near_end.at_work and not self.capture.muted
        if self._zeros.look(now, self.capture.sounds, listening=listening):
            self._post(MicrophoneSilent(name=self.microphone.name))
        losses = self._near_end.losses, self._far_end.losses
        if losses != self._losses or not (self._near_end.at_work and self._far_end.at_work):
            self._losses = losses  # stand-ins run on this machine's clock
            self.capture_drift = ClockDrift(self.microphone.rate)
            self.playback_drift = ClockDrift(self.speaker.rate)
        self.capture_drift.look(now, self.capture.position)
        self.playback_drift.look(now, self.playout.playout.position)
