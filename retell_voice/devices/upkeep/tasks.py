"""Tasks on a device that may take a while, or hang: starting, waiting, stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from retell_voice.devices.ports import AdjustableLatency, Latency, OpensTwice, traits_of
from retell_voice.devices.upkeep.gates import Gate
from retell_voice.devices.upkeep.states import Event, Task

MUTE = "it opens, but no audio passes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds that something may take.

    Attributes:
        retry: between attempts to restart a lost device.
        stop: for a device that hangs at the end.
        leave: until the last block of a device being replaced.
        least_drain, drain: for a device to play what it has queued.
        poll: between checks for a first block.
    """

    retry: float = 1.0
    stop: float = 1.5
    leave: float = 0.1
    least_drain: float = 0.05
    drain: float = 0.3
    poll: float = 0.01


DEFAULT_TIMING = Timing()


class Device(Protocol):
    """A microphone or a speaker, whose ends are gates."""

    @property
    def name(self) -> str: ...
    @property
    def latency(self) -> float | None: ...
    def start(self, gate: Any, /) -> None: ...
    def stop(self) -> None: ...


class Tasks:
    """Carries out the tasks of the table, one at a time.

    Args:
        device: the device.
        new_gate: makes a gate for another start of it.
        suggested: returns the latency to start it with, except the first time.
        timing: all times.

    Raises:
        DeviceError: the device's traits have the wrong type.
    """

    def __init__(
        self,
        device: Device,
        *,
        new_gate: Callable[[], Gate],
        suggested: Callable[[], Latency],
        timing: Timing,
    ) -> None:
        self.traits = traits_of(device)
        """As the device stated them at its last start."""
        self.starts = 0
        """Times the device was started, whether or not it worked."""
        self.stopping = threading.Event()
        """Set at the end: then nothing is waited for."""
        self.gate = new_gate()
        """Of the stream started last, or next to be started."""
        self.refusal = ""
        """Why the last attempt failed."""
        self._device = device
        self._new_gate = new_gate
        self._suggested = suggested
        self._timing = timing
        self._started = float("-inf")
        self._drain = 0.0

    @property
    def start_timeout(self) -> float:
        """Seconds that the first block after a start may take."""
        return max(self.traits.block_timeout, self.traits.start_timeout)

    @property
    def drain(self) -> float:
        """Seconds the device takes to play what it has queued."""
        return min(self._device.latency or 0.0, self._timing.drain)

    def carry_out(self, task: Task, gate: Gate) -> Event | None:
        """Do it and return the result. ``gate``: the one in place when the task was created."""
        match task:
            case Task.DRAIN:
                gate.leave(self._timing.leave)
                self.stopping.wait(self.drain)
                result = Event.DRAINED
            case Task.REOPEN:
                result = self._reopen()
            case Task.DOUBLE:
                self._drain = self.drain
                result = self._start_and_wait()
            case Task.LEAVE:
                gate.leave(self._timing.leave)
                result = Event.LEFT
            case Task.CLEAR:
                self.stopping.wait(self._drain)
                if isinstance(self._device, OpensTwice):
                    self._try(self._device.stop_stream, gate)
                result = Event.CLEARED
            case Task.RETRY:
                result = self._retry()
            case Task.STOP:
                self._try(self._device.stop)
                return None
        return result

    def renew(self) -> Gate:
        """Return a gate for the next start."""
        self.gate = self._new_gate()
        return self.gate

    def start(self, gate: Gate) -> None:
        """Start the device; it may raise anything."""
        if self.starts and isinstance(self._device, AdjustableLatency):
            self._device.suggest_latency(self._suggested())
        self.starts += 1
        self._started = time.monotonic()
        self._device.start(gate)
        self.traits = traits_of(self._device)

    def delivers(self, gate: Gate) -> bool:
        """Wait for the device's first block: some open, but never deliver one."""
        deadline = time.monotonic() + self.start_timeout
        while not gate.blocks and gate.why is None and time.monotonic() < deadline:
            if self.stopping.wait(self._timing.poll):
                return False
        return gate.blocks > 0 and gate.why is None and not self.stopping.is_set()

    def _reopen(self) -> Event:
        gate = self.gate
        self._try(self._device.stop)
        if self.stopping.is_set():
            return Event.REFUSED
        if self._try(self.start, gate):
            return Event.OPENED
        gate.lost(self.refusal)
        return Event.REFUSED

    def _retry(self) -> Event:
        self._try(self._device.stop)
        if self.stopping.wait(max(0.0, self._started + self._timing.retry - time.monotonic())):
            return Event.REFUSED
        return self._start_and_wait()

    def _start_and_wait(self) -> Event:
        gate = self.renew()
        if not self._try(self.start, gate):
            return Event.REFUSED
        if self.delivers(gate):
            return Event.DELIVERED
        self.refusal = gate.why or MUTE
        return Event.REFUSED_FOR_GOOD if gate.final else Event.REFUSED

    def _try(self, act: Callable[..., None], *gates: Gate) -> bool:
        """Try something on the device: it may raise anything now, and work a second later."""
        try:
            act(*gates)
        except Exception as error:
            self.refusal = str(error) or repr(error)
            return False
        return True
