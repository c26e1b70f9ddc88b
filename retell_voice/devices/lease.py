"""One call's use of open devices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from retell_voice.audio.format import AudioFormat
from retell_voice.audio.playout import DEFAULT_TARGET
from retell_voice.devices.echo_path import EchoPath, is_file
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.devices.streams.far_end import FarEnd
from retell_voice.devices.streams.near_end import CallFrames, NearEnd
from retell_voice.devices.streams.notices import Audible, Post
from retell_voice.devices.streams.output import Output
from retell_voice.devices.streams.own_voice import OwnVoice
from retell_voice.devices.streams.tap import Tap
from retell_voice.devices.upkeep.drift import ClockDrift
from retell_voice.events import AudioDropped

if TYPE_CHECKING:  # most calls over a WebSocket start sooner without it
    from retell_voice.devices.streams.packet_far_end import PacketFarEnd

_FADE_SECONDS = 0.2
_POLL_SECONDS = 0.002


class Lender(Protocol):
    """Open devices, as a lease needs them."""

    near_end: NearEnd
    output: Output
    echo: EchoPath

    @property
    def capture_drift(self) -> ClockDrift: ...
    @property
    def playback_drift(self) -> ClockDrift: ...
    @property
    def microphone(self) -> Microphone: ...
    @property
    def speaker(self) -> Speaker: ...
    @property
    def fault(self) -> Exception | None: ...
    def lend(self, lease: Lease, /) -> None: ...
    def take_back(self, lease: Lease, /) -> None: ...


class Lease:
    """A call's use of an ``AudioIO``, from ``begin`` to ``end``.

    Args:
        io: the devices.
        sends: encoding and rate of the microphone's frames.
        receives: encoding and rate of the agent's audio.
        frame_ms: length of a frame, 20–250 ms.
        limit: seconds of agent audio that may be queued.
        jitter: lowest and highest depth of the jitter buffer, seconds; None: the default.
        packets: the agent's audio comes as RTP packets of Opus.
        post: takes frames and notices; on any thread.

    Raises:
        AudioFormatError: the frame length is out of range.
        ConfigError: packets, and there is no libopus.
    """

    def __init__(
        self,
        io: Lender,
        *,
        sends: AudioFormat,
        receives: AudioFormat,
        frame_ms: int,
        limit: float,
        jitter: tuple[float, float] | None,
        packets: bool = False,
        post: Post,
    ) -> None:
        self.io = io
        self.post = post
        self.packets: PacketFarEnd | None = None
        """The far end, if it takes packets."""
        self.far_end: FarEnd
        rate = io.output.rate
        if packets:
            from retell_voice.devices.streams.packet_far_end import (  # noqa: PLC0415 - as above
                PacketFarEnd,
            )

            self.packets = PacketFarEnd(rate, jitter, audible=lambda: post(Audible()))
            self.far_end = self.packets
        else:
            target = jitter or DEFAULT_TARGET
            self.far_end = FarEnd(receives, rate, limit, target, audible=lambda: post(Audible()))
        self.frames = CallFrames(sends, io.near_end.rate, frame_ms, post)
        self._taps: tuple[Tap, Tap] | None = None
        self._own_voice: OwnVoice | None = None
        self._xruns = 0, 0  # as they were when it began
        self._told_lost = 0

    def begin(self) -> None:
        """Take the devices: from here on, microphone frames are posted.

        Raises:
            DeviceLost: one of them is away.
            RuntimeError: another call has them, or they are not open.
        """
        self._xruns = self.io.near_end.xruns, self.io.output.xruns
        self._told_lost = self.io.near_end.lost
        self.io.lend(self)

    def end(self) -> None:
        """Give them back once cleared audio has faded out; safe to call twice. Blocks."""
        deadline = time.monotonic() + _FADE_SECONDS
        while not self.far_end.playout.silent and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if self._own_voice is not None:
            self._own_voice.stop()
        if self._taps is not None:
            near, far = self._taps
            self.io.near_end.untap(near)
            self.io.output.untap(far)
        self.io.take_back(self)

    def cleared(self) -> None:
        """Note that the server has cleared. Runs on: event loop."""
        if self._own_voice is not None:
            self._own_voice.cleared()

    def hears_itself(self) -> bool:
        """Return True once: when the agent seems to hear itself. Runs on: event loop.

        Called every fifth of a second or so. Never for files.
        """
        if self._own_voice is None:
            if is_file(self.io.microphone) or is_file(self.io.speaker):
                return False
            self._own_voice = OwnVoice(self.io.near_end, self.io.output)
        return self._own_voice.look()

    def tap(self) -> tuple[Tap, Tap]:
        """Return taps of near and far end for a listener to this call; once."""
        self._taps = self.io.near_end.tap(), self.io.output.tap()
        return self._taps

    def moments(self) -> tuple[float, float]:
        """Return how many seconds of each tap have been spoken, and heard, by now.

        Up to a block behind, as devices work in blocks. Runs on: any thread.
        """
        near, far = self._taps or (Tap(self.io.near_end.rate), Tap(self.io.output.rate))
        latency = self.io.microphone.latency or 0.0
        spoken = (self.io.near_end.position - near.start) / near.rate + latency
        return spoken, (self.io.output.hearing - far.start) / far.rate

    @property
    def fault(self) -> Exception | None:
        """The exception on one of the audio threads, if any: a defect."""
        return self.io.fault or self.far_end.fault

    @property
    def capture_xruns(self) -> int:
        """Gaps of the microphone since it began."""
        return self.io.near_end.xruns - self._xruns[0]

    @property
    def playback_xruns(self) -> int:
        """Gaps of the speaker since it began."""
        return self.io.output.xruns - self._xruns[1]

    def drops(self, now: float) -> list[AudioDropped]:
        """Return an event for near-end audio that threads lost since the last call, if any."""
        lost = self.io.near_end.lost - self._told_lost
        if not lost:
            return []
        self._told_lost += lost
        seconds = lost / self.io.near_end.rate
        return [AudioDropped(at=now, side="near_end", duration=seconds)]
