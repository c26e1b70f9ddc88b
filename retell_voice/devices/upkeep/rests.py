"""Has a device rest while nobody is in a hurry, and wakes it; see ``CanRest``.

::

    begin ─▶ supervisor's thread: rest(wanted) …      wanted from here on,
    end   ─▶ supervisor's thread: wake()              until here: no long block passes any more

So a device is quick again as soon as its thread comes to it, and already silent before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from retell_voice.devices.ports import CanRest
from retell_voice.devices.upkeep.gates import Gate
from retell_voice.threads.errands import Errands


class _Rest:
    """One rest; ``gate``: the one in place when the device was told to."""

    __slots__ = ("gate",)

    def __init__(self, gate: Gate) -> None:
        self.gate = gate


class Rests:
    """The rests of one device, if it can.

    Args:
        device: the device.
        errands: its supervisor's thread.
    """

    def __init__(self, device: object, errands: Errands) -> None:
        self._device: CanRest | None = device if isinstance(device, CanRest) else None
        self._errands = errands
        self._rest: _Rest | None = None  # the one that is wanted
        self.has_rested = False
        """Whether it has, since this was last set."""

    @property
    def is_resting(self) -> bool:
        """Whether it rests, or is about to."""
        return self._device is not None and self._device.is_resting

    def begin(self, gate: Gate) -> None:
        """Have it rest, unless it has been told to since it was started for this gate. Returns at
        once. Runs on: watch thread."""
        device, before = self._device, self._rest
        if device is None:
            return
        if before is not None:
            if before.gate is gate:
                return
            self.end(gate)  # of another start: no rest may go on unwanted and without its wake
        rest = self._rest = _Rest(gate)
        self._errands.run(partial(_begin, device, lambda: self._rest is rest))

    def end(self, gate: Gate) -> bool:
        """Have it rest no more, and return whether it did. Returns at once; some milliseconds later
        it is as quick as ever, or ``gate`` is told that it is lost. Runs on: any thread."""
        device = self._device
        if self._rest is None or device is None:
            return False
        rested = device.is_resting
        self.has_rested = self.has_rested or rested
        self._rest = None
        self._errands.run(partial(_end, device, gate))
        return rested

    def forget(self) -> None:
        """Want none any more: the device is about to be stopped, and need not wait for one."""
        self._rest = None


def _begin(device: CanRest, wanted: Callable[[], bool]) -> None:
    if wanted():
        with suppress(Exception):  # it is not to raise; else nothing would be done any more
            device.rest(wanted)


def _end(device: CanRest, gate: Gate) -> None:
    try:
        device.wake()
    except Exception as error:
        gate.lost(f"it failed to wake: {error or repr(error)}")
