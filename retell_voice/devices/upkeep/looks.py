"""What no device reports by itself: looked for several times a second, while devices are open.

::

    Supervisor, one a side ─┐     ┌─▶ a device that has stopped, has gaps, or may be lowered
    NearEnd, Output        ─┼─▶ look ─▶ a microphone that delivers digital silence
    the call that is up    ─┘     ├─▶ how fast the devices' clocks run
                                  └─▶ devices that may rest, see ``idling``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from retell_voice.devices.clock import LEFT_OUT, WATCH, WATCH_SECONDS, Ticking
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.output import Output
from retell_voice.devices.upkeep.drift import ClockDrift
from retell_voice.devices.upkeep.idling import Idling
from retell_voice.devices.upkeep.pair import Pair
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.watchdog import ZerosWatch

_QUIET_SECONDS = 1.0


class _FarEnd(Protocol):
    @property
    def silent(self) -> bool: ...


class Looks:
    """Looks at a pair of open devices, from ``begin`` to ``end``.

    Args:
        pair: the devices.
        near_end, output: their streams.
        idling: looks whether they may rest.
        zeros: told that the microphone delivers only digital zeros; runs on: watch thread.
    """

    def __init__(
        self,
        pair: Pair,
        near_end: NearEnd,
        output: Output,
        idling: Idling,
        zeros: Callable[[], None],
    ) -> None:
        self._pair = pair
        self._near_end = near_end
        self._output = output
        self._idling = idling
        self._tell_zeros = zeros
        self._ticking: Ticking | None = None
        self._call: _FarEnd | None = None
        self.capture_drift = ClockDrift(near_end.rate)
        self.playback_drift = ClockDrift(output.rate)
        self._running: object = None  # what was at the last look
        self._near: Supervisor | None = None  # that of the last look
        self._zeros, self._tried_again = ZerosWatch(), False

    def begin(self) -> None:
        """Begin to look."""
        self._ticking = WATCH.begin(WATCH_SECONDS, self._tick, self._failed)

    def end(self) -> None:
        """Look no more; safe to call twice, and before they begin."""
        if self._ticking is not None:
            WATCH.end(self._ticking)

    def lent(self, far_end: _FarEnd | None) -> None:
        """Look for a call, too, and soon, from here on; ``far_end``: its; None: no longer."""
        self._call = far_end
        if far_end is not None and self._ticking is not None:
            WATCH.hasten(self._ticking)

    def _tick(self) -> int:
        """Runs on: watch thread. Return how many of the next looks are needless."""
        near, far, call = self._pair.near, self._pair.far, self._call
        flows = near.flows(), far.flows()
        now = time.monotonic()
        self._look(now, near, far, call)
        self._idling.look(now)
        return LEFT_OUT if call is None and all(flows) else 0

    def _failed(self, error: Exception) -> None:
        """Runs on: watch thread."""
        self._output.fault = error

    def _look(self, now: float, near: Supervisor, far: Supervisor, call: _FarEnd | None) -> None:
        """Runs on: watch thread."""
        near_end, output = self._near_end, self._output
        if near is not self._near:  # another microphone
            self._near = near
            self._zeros, self._tried_again = ZerosWatch(), False
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
