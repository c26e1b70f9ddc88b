"""How often a call does what nothing else makes it do, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. The defaults are for use, others for tests.

    Attributes:
        send_limit: for which microphone audio may wait for the network, or for an event loop that a
            program blocks; older audio is dropped.
        look: between two looks at what nobody reports: levels, silence, clocks.
        statistics: between two ``Statistics``.
        heartbeat: between two pings.
        silence_limit: without any sign of life after which the connection counts as broken.
    """

    send_limit: float = 1.0
    look: float = 0.2
    statistics: float = 1.0
    heartbeat: float = 5.0
    silence_limit: float = 15.0


DEFAULT_TIMING = Timing()
