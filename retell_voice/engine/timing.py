"""Intervals and timeouts of a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. The defaults are for production, others for tests.

    Attributes:
        send_limit: how long microphone audio may wait for the network or a blocked event loop;
            older audio is dropped.
        look: between polls of what does not report itself: levels, silence, clocks.
        statistics: between ``Statistics`` events.
        heartbeat: between pings.
        silence_limit: without any sign of life, after which the connection counts as broken; what
            a blocked event loop missed does not count.
    """

    send_limit: float = 1.0
    look: float = 0.2
    statistics: float = 1.0
    heartbeat: float = 5.0
    silence_limit: float = 15.0


DEFAULT_TIMING = Timing()
