"""What no device reports by itself: looked for several times a second, while devices are open.

::

    Supervisor, one a side ─┐     ┌─▶ a device that has stopped, has gaps, or may be lowered
    NearEnd, Output        ─┼─▶ look ─▶ a microphone that delivers digital silence
    the call that is up    ─┘     └─▶ how fast the devices' clocks run
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.output import Output
from retell_voice.devices.upkeep.drift import ClockDrift
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.watchdog import ZerosWatch

_QUIET_SECONDS = 1.0


class _FarEnd(Protocol):
    @property
    def silent(self) -> bool: ...


class Looks:
    """Looks at a pair of open devices. Runs on: watch thread.

    Args:
        near_end, output: their streams.
        zeros: told that the microphone delivers only digital zeros.
    """

    def __init__(self, near_end: NearEnd, output: Output, zeros: Callable[[], None]) -> None:
        self._near_end = near_end
        self._output = output
        self._tell_zeros = zeros
        self.capture_drift = ClockDrift(near_end.rate)
        self.playback_drift = ClockDrift(output.rate)
        self._running: object = None  # what was at the last look
        self.microphone_changed()

    def microphone_changed(self) -> None:
        """Note that another microphone is in use."""
        self._zeros, self._tried_again = ZerosWatch(), False

    def look(self, now: float, near: Supervisor, far: Supervisor, call: _FarEnd | None) -> None:
        """Look once.

        Args:
            now: the time, seconds.
            near, far: the devices that are in use.
            call: the far end of the call that is up.
        """
        near_end, output = self._near_end, self._output
        silent = output.is_silent and (call is None or call.silent)
        # While the agent speaks, its user mostly listens.
        listens = near_end.muted or not silent or near_end.quiet >= _QUIET_SECONDS
        near.look(now, pause=call is None or listens)
        near_end.attentive = near.raised
        far.look(now, pause=silent)
        listening = near.traits.never_silent and near.at_work and not near_end.muted
        if self._zeros.look(now, near_end.sounds, listening=listening):
            self._tell_zeros()
            if not self._tried_again:
                self._tried_again = True
                near.open_again()  # some are no longer mute after that
        running = (
            *(near, near.breaks, near_end.xruns, near.is_resting),
            *(far, far.breaks, output.xruns, far.is_resting),
        )
        if running != self._running or not (near.at_work and far.at_work):
            self._running = running  # stand-ins use this machine's clock, gaps none
            self.capture_drift = ClockDrift(near_end.rate)
            self.playback_drift = ClockDrift(output.rate)
        self.capture_drift.look(now, near_end.position)
        self.playback_drift.look(now, output.position)
