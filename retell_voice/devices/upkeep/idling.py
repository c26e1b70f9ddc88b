"""When a pair of open devices may rest, and what wakes them.

::

    a call, from hold to release ─┐
    a sound that is to be played ─┼─▶ awake at once, both
    whoever listens closely      ─┘   awake at the next look, that side
    none of these for 3 s        ───▶ at rest, and no echo control in the near end's path

How a device rests is its own matter: see ``CanRest``, and ``Rests`` for the thread it does it on.
"""

from __future__ import annotations

import time

from retell_voice.devices.echo_path import EchoPath
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.output import Output
from retell_voice.devices.upkeep.pair import Pair

_REST_SECONDS = 3.0
"""Without a call or a sound, until devices rest: longer than a kiosk's dialling sound pauses."""


class Idling:
    """Has open devices rest while nobody is in a hurry.

    Args:
        pair: the devices.
        near_end, output: their streams.
        echo: the near end's echo control.
        may_rest: whether they are to rest at all; they are woken in any case.
    """

    def __init__(
        self, pair: Pair, near_end: NearEnd, output: Output, echo: EchoPath, *, may_rest: bool
    ) -> None:
        self._pair = pair
        self._near_end = near_end
        self._output = output
        self._echo = echo
        self._may_rest = may_rest
        self._is_held = False
        self.used_at = 0.0
        """When they were last needed, by a call or a sound; seconds of the machine's clock."""

    def hold(self) -> None:
        """Have both devices be quick from here on, until ``release``. Runs on: any thread."""
        self._is_held = True
        self.wake()

    def release(self) -> None:
        """Let them rest again, in a while. Runs on: any thread."""
        self._is_held = False

    def wake(self) -> None:
        """Have both devices be quick from here on, for a while. Runs on: any thread."""
        self.used_at = time.monotonic()
        rested = self._pair.near.wake(), self._pair.far.wake()
        if any(rested) or self._echo.is_paused:
            self._echo.woken()

    def look(self, now: float) -> None:
        """Have them rest, or wake them, as is due. Runs on: watch thread.

        ``now``: the time, seconds.
        """
        used_at = self.used_at
        if self._is_held or not self._output.is_silent:
            self.wake()
            return
        may_rest = self._may_rest and now - used_at >= _REST_SECONDS
        rested = False
        sides = (
            (self._pair.near, self._near_end.is_patient),
            (self._pair.far, self._output.is_patient),
        )
        for side, is_patient in sides:
            if not is_patient:
                rested = side.wake() or rested
            elif may_rest:
                side.rest()
        if rested:
            self._echo.woken()
        elif may_rest and all(is_patient for _, is_patient in sides):
            self._echo.pause()
        if self.used_at != used_at:  # a call or a sound, since this has looked for one
            self.wake()
