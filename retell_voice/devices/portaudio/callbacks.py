"""What runs on PortAudio's threads.

A callback gets raw bytes, timestamps that may be missing, and flags; the ends of ``ports`` get mono
samples, a delay and whether there was a gap. A callback that fails reports it and falls silent.

Where nobody listens and nothing is to be heard, a block is only counted: a program may wait all day
for its next call.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import get_native_id
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.devices.ports import Sink, Source
from retell_voice.devices.upkeep.latency import GapMeter

_BELIEVABLE_DELAY = 5.0
"""Some host APIs leave a callback's timestamps at zero; seconds beyond which that shows."""

_PLENTY = 1.0
"""Captured audio cannot be too late to be heard."""

End = TypeVar("End", Sink, Source)


@runtime_checkable
class _RestingSink(Protocol):
    """A sink that may need no samples."""

    def rest_rt(self, count: int, heard: bool, xrun: bool) -> bool: ...


@runtime_checkable
class _RestingSource(Protocol):
    """A source that may have nothing but silence."""

    def rest_rt(self, count: int, xrun: bool) -> bool: ...


class Run(Generic[End]):
    """One run from ``start`` to ``stop``: the state of its callbacks, so that none outlives it."""

    def __init__(self, end: End, channels: int, block: int, rate: int) -> None:
        self.end: End = end
        self.rate = rate
        self.channels = channels
        self.mono: Samples = np.zeros(block, np.int16)
        self.sum = np.zeros(block, np.int32)
        self.latency = 0.0
        self.calls = 0
        """Times that PortAudio has called back."""
        self.thread = 0
        """The system's number of the thread it does so on; 0 before."""
        self.longest = 0.0
        """Seconds from one call to the next that are no sign of trouble."""
        self.gaps = GapMeter()
        self.stopping = False
        self.pausing = False
        """It is being stopped, to be started again: nothing passes any more."""
        self.told = False

    def lost(self, why: str, final: bool = False) -> None:
        """Report once that the device is gone, unless it was stopped."""
        if not (self.stopping or self.pausing or self.told):
            self.told = True
            self.end.lost(why, final)

    def renew(self) -> None:
        """Begin anew, on another thread and with times that have nothing to do with the last."""
        self.calls = self.thread = 0
        self.gaps = GapMeter()
        self.pausing = False

    def called_rt(self) -> None:
        """Runs on: audio callback thread. Note that PortAudio has called back."""
        if not self.calls:
            self.thread = get_native_id()
        self.calls += 1

    def failed(self, error: Exception) -> None:
        """Report that a callback failed, as it would again. Runs on: audio callback thread."""
        self.lost(f"a defect in this program: {error!r}", final=True)


def capture_callback(run: Run[Sink]) -> Callable[..., None]:
    """Return the callback for an input."""
    write_rt, pair, seconds = run.end.write_rt, run.channels > 1, 1 / run.rate
    rest_rt = run.end.rest_rt if isinstance(run.end, _RestingSink) else None

    def _callback_rt(data: Any, frames: int, time: Any, status: Any) -> None:
        """Runs on: audio callback thread."""
        try:
            run.called_rt()
            if run.pausing:
                return
            spoken, xrun = time.inputBufferAdcTime, bool(status.input_overflow)
            delay = time.currentTime - spoken
            if not 0.0 < delay <= _BELIEVABLE_DELAY:
                delay = run.latency
            if spoken and run.gaps.note_rt(spoken, _PLENTY, frames * seconds, 0.0):
                xrun = True
            # Without numpy, whose code is not at hand where nobody else uses it.
            if rest_rt is not None and rest_rt(frames, data[:] != bytes(len(data)), xrun):
                return
            samples = np.frombuffer(data, np.int16)
            if pair:
                samples = _left_and_right_rt(run, samples, frames)
            write_rt(samples, delay, xrun)
        except Exception as error:
            run.failed(error)

    return _callback_rt


def playout_callback(run: Run[Source]) -> Callable[..., None]:
    """Return the callback for an output."""
    fill_rt, channels, seconds = run.end.fill_rt, run.channels, 1 / run.rate
    rest_rt = run.end.rest_rt if isinstance(run.end, _RestingSource) else None

    def _callback_rt(data: Any, frames: int, time: Any, status: Any) -> None:
        """Runs on: audio callback thread."""
        run.called_rt()
        try:
            if run.pausing:
                data[:] = bytes(len(data))
                return
            heard = time.outputBufferDacTime
            delay, xrun = heard - time.currentTime, bool(status.output_underflow)
            if delay == 0.0 or delay > _BELIEVABLE_DELAY:
                delay = run.latency
            else:
                delay = max(delay, 0.0)  # less: the callback is late
                late = run.gaps.note_rt(heard, delay, frames * seconds, run.latency)
                xrun = xrun or late
            if rest_rt is not None and rest_rt(frames, xrun):
                data[:] = bytes(len(data))
                return
            out = np.frombuffer(data, np.int16)
            if channels == 1:
                fill_rt(out, delay, xrun)
                return
            mono = run.mono[:frames] if frames <= len(run.mono) else np.zeros(frames, np.int16)
            fill_rt(mono, delay, xrun)
            out.fill(0)
            out.reshape(-1, channels)[:, :2] = mono[:, None]
        except Exception as error:
            data[:] = bytes(len(data))
            run.failed(error)

    return _callback_rt


def _left_and_right_rt(run: Run[Sink], samples: Samples, frames: int) -> Samples:
    """Return the mean of the first two channels. Runs on: audio callback thread."""
    both = samples.reshape(-1, run.channels)
    if frames > len(run.mono):
        run.mono, run.sum = np.zeros(frames, np.int16), np.zeros(frames, np.int32)
    total, mono = run.sum[:frames], run.mono[:frames]
    np.add(both[:, 0], both[:, 1], out=total, dtype=np.int32)
    np.right_shift(total, 1, out=total)
    mono[:] = total
    return mono
