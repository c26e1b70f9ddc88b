"""A microphone and a speaker at work for one call."""

from __future__ import annotations

from contextlib import ExitStack

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.bridge import CaptureBridge, PlayoutBridge, Post
from retell_voice.devices.drift import ClockDrift
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.devices.watchdog import Watchdog


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
        post: takes frames and notices, on any thread.

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
        post: Post,
    ) -> None:
        if microphone is None or speaker is None:
            # Imported here: a call with devices of its own needs no PortAudio.
            from retell_voice.devices.portaudio import find_microphone, find_speaker  # noqa: PLC0415

            microphone = microphone or find_microphone(audio)
            speaker = speaker or find_speaker(audio)
        self.microphone = microphone
        self.speaker = speaker
        self.capture = CaptureBridge(audio, microphone.rate, frame_ms, post)
        self.playout = PlayoutBridge(audio, speaker.rate, limit, post, jitter)
        self._watchdogs: tuple[Watchdog, Watchdog] | None = None
        self.capture_drift = ClockDrift(microphone.rate)
        self.playback_drift = ClockDrift(speaker.rate)

    def start_speaker(self) -> None:
        """Open the speaker, which plays silence at first.

        Raises:
            DeviceError: it cannot be opened.
        """
        self.speaker.start(self.playout)

    def start_microphone(self) -> None:
        """Open the microphone; what it hears is posted from here on.

        Raises:
            DeviceError: it cannot be opened.
        """
        self.capture.start()
        self.microphone.start(self.capture)

    def stop(self) -> None:
        """Stop and close both devices, each whatever the other does; safe to call twice."""
        with ExitStack() as stack:
            stack.callback(self.capture.stop)
            stack.callback(self.speaker.stop)
            stack.callback(self.microphone.stop)

    @property
    def fault(self) -> Exception | None:
        """What went wrong on one of the audio threads, if anything ever did: a defect."""
        return self.capture.fault or self.playout.fault

    def look(self, now: float) -> None:
        """Report a device that stopped without saying so, and compare the clocks.

        ``now``: seconds. Cheap; called in the rhythm of a frame.
        """
        if self._watchdogs is None:
            self._watchdogs = Watchdog(self.capture, now), Watchdog(self.playout, now)
        for watchdog in self._watchdogs:
            watchdog.look(now)
        self.capture_drift.look(now, self.capture.position)
        self.playback_drift.look(now, self.playout.playout.position)
