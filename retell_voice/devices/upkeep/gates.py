"""Gates that admit one device at a time to a bridge.

A gate admits one start of one device to the bridge. Its callback thread sets busy, then checks
whether the gate is open; whoever closes the gate does so, then waits until it is not busy. CPython
orders these four steps, so that no two threads are ever inside the bridge, and the callback never
waits.

This is also where blocks from custom hardware enter: one that is not ``Samples`` is not passed on,
and the device is lost for good, as the next block would be no better.

When one device takes over from another that still works, the last block of the old one fades out
and the first of the new one fades in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import Protocol

import numpy as np

from retell_voice.audio.format import SAMPLES, Samples, described, is_samples

_BUSY_SECONDS = 1.0
_UNKNOWN = threading.Thread()
_FADE = 240  # samples: 5 ms at 48 kHz, 30 ms at 8 kHz


class _CaptureEnd(Protocol):
    def write_rt(self, samples: Samples, delay: float = 0.0, xrun: bool = False) -> None: ...
    def finished(self) -> None: ...
    def rest_rt(self, count: int, heard: bool, xrun: bool) -> bool: ...


class _End(Protocol):
    def lost(self, why: str, final: bool) -> None: ...


class _PlayoutEnd(Protocol):
    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None: ...
    def rest_rt(self, count: int, xrun: bool) -> bool: ...


class Gate:
    """What a device, for one start, pushes into or pulls from.

    Args:
        tell: called once, on any thread, when the device reports that it is lost.
    """

    def __init__(self, tell: Callable[[Gate], None]) -> None:
        self.blocks = 0
        """Blocks that came, whether the gate was open or not."""
        self.xruns = 0
        """Of these, how many came after a gap."""
        self.why: str | None = None
        """Why the device was lost, None if it is not."""
        self.final = False
        """It will not come back."""
        self.has_finished = False
        """The device has reported that nothing more will come."""
        self.is_open = False
        self.thread = 0
        """Number of the thread that the first block came on, 0 before."""
        self._thread: threading.Thread | None = None
        self._busy = False
        self._entering = self._leaving = False
        self._tell = tell

    def lost(self, why: str, final: bool = False) -> None:
        """Report that the device is gone; see ``Sink`` and ``Source``."""
        self.final = self.final or final
        self.why = self.why or why
        self._tell(self)

    def thread_has_ended(self) -> bool:
        """Return whether the thread that its blocks came on is over; to be asked now and then, as
        it must have been seen at work. Of those of some library's nothing is known."""
        if self._thread is None and self.thread:
            threads = (each for each in threading.enumerate() if each.ident == self.thread)
            self._thread = next(threads, _UNKNOWN)
        thread = self._thread
        return thread is not None and thread is not _UNKNOWN and not thread.is_alive()

    def enter(self) -> None:
        """Open from the next block on, which fades in."""
        self._entering = True
        self.is_open = True

    def leave(self, timeout: float = 0.1) -> None:
        """Close after the next block, which fades out. Blocks until then, or for ``timeout``
        seconds."""
        self._leaving = True
        deadline = time.monotonic() + timeout
        while self.is_open and time.monotonic() < deadline:
            time.sleep(0.0005)
        self.close()

    def _soften_rt(self, samples: Samples) -> None:
        """Runs on: audio callback thread. Fade samples, shape (n,), in place, in or out."""
        if self._entering:
            self._entering = False
            first = samples[:_FADE]
            first[:] = first * np.linspace(0.0, 1.0, len(first))
        if self._leaving:
            self.is_open = False
            last = samples[-_FADE:]
            last[:] = last * np.linspace(1.0, 0.0, len(last))

    def _rested_rt(self, rest_rt: Callable[[], bool], xrun: bool) -> bool:
        """Runs on: audio callback thread. Count a block, if what is behind it needs none."""
        if not self.blocks or self._entering or self._leaving:
            return False
        self._busy = True
        try:
            rests = self.is_open and rest_rt()
        finally:
            self._busy = False
        if rests:
            self.blocks += 1
            self.xruns += xrun
        return rests

    def close(self) -> None:
        """Close. Blocks for as long as a block is being handled."""
        self.is_open = False
        deadline = time.monotonic() + _BUSY_SECONDS
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.0005)


def fits_rt(samples: Samples, end: _End) -> bool:
    """Runs on: audio callback thread. Tell whether a microphone's block can be passed on.

    If not, ``end`` is told that the device is lost.
    """
    if is_samples(samples):
        return True
    end.lost(f"it gave write_rt {described(samples)}, not {SAMPLES}", True)
    return False


def takes_rt(out: Samples, end: _End) -> bool:
    """Runs on: audio callback thread. Tell whether a speaker's block can be filled.

    If not, ``end`` is told that the device is lost, and ``out`` is silenced if possible.
    """
    if is_samples(out) and out.flags.writeable:
        return True
    end.lost(f"it gave fill_rt {described(out)}, not {SAMPLES} and writable", True)
    with suppress(Exception):
        out[:] = 0 if isinstance(out, np.ndarray) else bytes(len(out))
    return False


class CaptureGate(Gate):
    """Admits a microphone to the capture bridge."""

    def __init__(self, bridge: _CaptureEnd, tell: Callable[[Gate], None]) -> None:
        super().__init__(tell)
        self._bridge = bridge

    def write_rt(self, samples: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Pass samples on."""
        if not fits_rt(samples, self):
            return
        self._busy = True
        try:
            if self.is_open:
                if self._entering or self._leaving:
                    samples = samples.copy()
                    self._soften_rt(samples)
                self._bridge.write_rt(samples, delay, xrun)
        finally:
            self._busy = False
        if not self.blocks:
            self.thread = get_ident()
        self.blocks += 1
        if xrun:
            self.xruns += 1

    def rest_rt(self, count: int, heard: bool, xrun: bool) -> bool:
        """Runs on: audio callback thread. Count a block that nobody needs; see ``NearEnd``."""
        return self._rested_rt(lambda: self._bridge.rest_rt(count, heard, xrun), xrun)

    def finished(self) -> None:
        """Report, once, that nothing more will come."""
        if not self.has_finished and self.is_open:
            self._bridge.finished()
        self.has_finished = True


class PlayoutGate(Gate):
    """Admits a speaker to the playout bridge."""

    def __init__(self, bridge: _PlayoutEnd, tell: Callable[[Gate], None]) -> None:
        super().__init__(tell)
        self._bridge = bridge

    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Fill ``out``, with silence while closed."""
        if not takes_rt(out, self):
            return
        self._busy = True
        try:
            if self.is_open:
                self._bridge.fill_rt(out, delay, xrun)
                if self._entering or self._leaving:
                    self._soften_rt(out)
            else:
                out[:] = 0
        finally:
            self._busy = False
        if not self.blocks:
            self.thread = get_ident()
        self.blocks += 1
        if xrun:
            self.xruns += 1

    def rest_rt(self, count: int, xrun: bool) -> bool:
        """Runs on: audio callback thread. Count a block that is silent anyhow; see ``Output``."""
        return self._rested_rt(lambda: self._bridge.rest_rt(count, xrun), xrun)
