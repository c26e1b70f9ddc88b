"""Callers of web calls: what they say is encoded once for all, what they hear is Opus packets."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import cast

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.audio.opus import OpusDecoder, OpusEncoder
from retell_voice.audio.resample import resample_whole
from retell_voice.events import Event
from retell_voice.protocol.messages import AgentPacket
from retell_voice.swarm.caller import Caller, Manners
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.pace import Pace
from retell_voice.swarm.swarm import Moment, Plan, Swarm
from retell_voice.swarm.voice import Voice, voice_of
from retell_voice.transport.ports import Connection, Route
from retell_voice.transport.webrtc.connection import WebRtcConnection
from retell_voice.transport.webrtc.route import FRAME_MS, RATE, find_libraries

HEARING_RATE = 16_000
"""Samples a second of what is decoded, which is only looked at for its level."""
_FADE = 0.2
"""Seconds of silence behind the voice."""


class WebCaller(Caller):
    """One web call; its voice is that of ``web_voice``."""

    def __init__(
        self, route: Route, voice: Voice, manners: Manners, figures: Figures, pace: Pace
    ) -> None:
        super().__init__(route, voice, manners, figures, pace)
        self._decoder = OpusDecoder(HEARING_RATE)

    @property
    def hearing_rate(self) -> int:
        """Samples a second of what is heard."""
        return HEARING_RATE

    def send(self, connection: Connection, frame: bytes) -> bool:
        """Send a packet of the voice; one that the library does not take is too late, and lost."""
        cast(WebRtcConnection, connection).send_packet(frame, self.voice.frame)
        return True

    def take(self, event: Event, now: float) -> None:
        """Hear a packet; one that cannot be decoded is a gap."""
        if isinstance(event, AgentPacket):
            with contextlib.suppress(ValueError):
                self.hear(self._decoder.decode(event.payload), now)


def web_voice(samples: Samples) -> Voice:
    """Return a recording as the voice of callers: Opus packets.

    Args:
        samples: shape (n,), mono int16, at ``RATE``.

    Raises:
        ConfigError: nobody speaks in it, or there is no libopus.
    """
    # A packet continues the one before: only after some silence is one of it silent by itself.
    samples = np.pad(samples, (0, round(_FADE * RATE)))
    return voice_of(samples, AudioFormat(rate=RATE), FRAME_MS, OpusEncoder(RATE).encode)


def web_swarm(
    plan: Plan,
    samples: Samples,
    rate: int,
    dial: Callable[[], Awaitable[Route]],
    tell: Callable[[Moment], None] = lambda _: None,
) -> Swarm:
    """Return a swarm of web calls, to be run.

    Args:
        plan: how many calls, and when.
        samples, rate: what callers say: shape (n,), mono int16, samples a second.
        dial: creates a call and returns its route.
        tell: is told how it goes.

    Raises:
        ConfigError: as ``web_voice``, or what web calls need is not installed.
    """
    find_libraries()
    voice = web_voice(resample_whole(samples, rate, RATE))
    return Swarm(plan, dial, voice, tell, caller=WebCaller, registers=True)
