"""Base classes for hardware without a clock of its own: they keep time for it.

::

    class Board(PacedMicrophone):
        name, rate = "my board", 16000

        def hear(self, count):
            return np.frombuffer(self.line.read(2 * count), "<i2")
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.devices.ports import Sink, Source

_End = TypeVar("_End", Sink, Source)
_LATE = 0.2
"""Seconds by which a block may be late and still be caught up."""
_STOP_SECONDS = 1.0


class _Paced(ABC, Generic[_End]):
    """A thread that handles one block after the other, at the right rate."""

    name = ""
    rate = 16000
    latency: float | None = None
    block_ms = 20

    def __init__(self) -> None:
        self._run: _Run | None = None

    def open(self) -> None:
        """Prepare the hardware; any exception means that it cannot be used."""

    def close(self) -> None:
        """Release the hardware; also called after ``open`` has failed."""

    def start(self, end: _End) -> None:
        """Open, and begin."""
        self.stop()
        self.open()
        self._run = _Run(self, end)

    def stop(self) -> None:
        """Stop and close; safe to call twice, and while ``start`` hangs."""
        run, self._run = self._run, None
        if run is not None:
            run.stop()
        self.close()

    @abstractmethod
    def _tick(self, end: _End, count: int, xrun: bool) -> None:
        """Hear or play ``count`` samples."""


class _Run:
    """One start of a device."""

    def __init__(self, device: _Paced[_End], end: _End) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(device, end), name=f"retell-voice {device.name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_SECONDS)

    def _work(self, device: _Paced[_End], end: _End) -> None:
        period = device.block_ms / 1000
        done, due, xrun = 0.0, time.monotonic(), False
        try:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                # A rate that is not a multiple of the block rate has blocks of two lengths.
                before, done = done, done + device.rate * period
                device._tick(end, int(done) - int(before), xrun)
                due += period
                late = time.monotonic() - due
                if xrun := late > _LATE:
                    due += late
        except Exception as error:
            if not self._over.is_set():
                end.lost(str(error) if isinstance(error, OSError) else repr(error))


class PacedMicrophone(_Paced[Sink]):
    """A microphone that is asked for samples every 20 ms, on its own thread.

    Attributes, of the class or of the instance:
        name: shown to people.
        rate: samples a second.
        latency: seconds from sound to ``hear``, None when unknown.
        block_ms: length of a block, ms.
    """

    @abstractmethod
    def hear(self, count: int) -> Samples | None:
        """Return the next samples, shape (n,), mono int16; some ``count`` of them.

        None: there is no more (a file that ended), and the call goes on in silence. Any exception
        counts as the loss of the device, which is started again every second.
        """

    def _tick(self, end: Sink, count: int, xrun: bool) -> None:
        samples = self.hear(count)
        if samples is None:
            end.finished()
            samples = np.zeros(count, np.int16)
        end.write_rt(samples, xrun=xrun)


class PacedSpeaker(_Paced[Source]):
    """A speaker that is given samples to play every 20 ms, on its own thread.

    Attributes: as for ``PacedMicrophone``; ``latency``: seconds from ``play`` to sound.
    """

    @abstractmethod
    def play(self, samples: Samples) -> None:
        """Play these samples, shape (n,), mono int16; they are yours to keep.

        Any exception counts as the loss of the device, which is started again every second.
        """

    def _tick(self, end: Source, count: int, xrun: bool) -> None:
        out = np.zeros(count, np.int16)
        end.fill_rt(out, self.latency or 0.0, xrun)
        self.play(out)
