"""Letting one device at a time at a bridge.

A gate lets one start of one device at the bridge. Its callback thread says that it is busy,
then looks whether the gate is open; whoever closes the gate does so, then waits until it is not
busy. CPython orders these four steps, so that no two threads are ever within the bridge, and the
callback waits for nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from retell_voice.audio.format import Samples

_BUSY_SECONDS = 1.0


class _CaptureEnd(Protocol):
    def write_rt(self, samples: Samples, xrun: bool = False) -> None: ...
    def finished(self) -> None: ...


class _PlayoutEnd(Protocol):
    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None: ...


class Gate:
    """What one start of a device is given to push into or pull from.

    Args:
        tell: called once, on whatever thread, when the device says that it is lost.
    """

    def __init__(self, tell: Callable[[Gate], None]) -> None:
        self.blocks = 0
        """Blocks that came, whether the gate was open or not."""
        self.xruns = 0
        """Of these, how many came after a gap."""
        self.why: str | None = None
        """Why the device was lost, None while it is not."""
        self.final = False
        """It will not come back."""
        self.has_finished = False
        """The device has said that nothing more will come."""
        self.is_open = False
        self._busy = False
        self._tell = tell
        self._handling = threading.Lock()

    def lost(self, why: str, final: bool = False) -> None:
        """Say that the device is gone; see ``Sink`` and ``Source``."""
        self.final = self.final or final
        self.why = self.why or why
        self._tell(self)

    def claim(self) -> bool:
        """Return True to one caller only, whose it is to handle the loss."""
        return self._handling.acquire(blocking=False)

    def close(self) -> None:
        """Let nothing through any more. Blocks for as long as a block is being handled."""
        self.is_open = False
        deadline = time.monotonic() + _BUSY_SECONDS
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.0005)


class CaptureGate(Gate):
    """Lets a microphone at the capture bridge."""

    def __init__(self, bridge: _CaptureEnd, tell: Callable[[Gate], None]) -> None:
        super().__init__(tell)
        self._bridge = bridge

    def write_rt(self, samples: Samples, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Pass samples on."""
        self._busy = True
        try:
            if self.is_open:
                self._bridge.write_rt(samples, xrun)
        finally:
            self._busy = False
        self.blocks += 1
        if xrun:
            self.xruns += 1

    def finished(self) -> None:
        """Pass on that nothing more will come."""
        self.has_finished = True
        if self.is_open:
            self._bridge.finished()


class PlayoutGate(Gate):
    """Lets a speaker at the playout bridge."""

    def __init__(self, bridge: _PlayoutEnd, tell: Callable[[Gate], None]) -> None:
        super().__init__(tell)
        self._bridge = bridge

    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Fill ``out``, with silence while closed."""
        self._busy = True
        try:
            if self.is_open:
                self._bridge.fill_rt(out, delay, xrun)
            else:
                out[:] = 0
        finally:
            self._busy = False
        self.blocks += 1
        if xrun:
            self.xruns += 1
