"""Devices as a call that is under way needs them: at its rate, and on the thread it relies on.

A call resamples between its server and its devices, and what comes before and after that keeps
its rate for the whole call. A device that takes another's place at another rate is wrapped.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import Resampler
from retell_voice.devices.ports import (
    AdjustableLatency,
    DeviceTraits,
    Microphone,
    Sink,
    Source,
    Speaker,
    traits_of,
)
from retell_voice.devices.streams.ring import Ring
from retell_voice.devices.upkeep.gates import fits_rt, takes_rt

_RING_SECONDS = 1.0
_LOOK_SECONDS = 0.1


def as_microphone(microphone: Microphone, rate: int, *, can_block: bool) -> Microphone:
    """Return a microphone that delivers at this rate; ``can_block``: on a thread that has time."""
    if microphone.rate == rate and (not can_block or traits_of(microphone).can_block):
        return microphone
    return _Microphone(microphone, rate)


def as_speaker(speaker: Speaker, rate: int) -> Speaker:
    """Return a speaker that plays at this rate."""
    return speaker if speaker.rate == rate else _Speaker(speaker, rate)


class _Wrapped:
    """Passes on what a call looks for in a device."""

    def __init__(self, device: Any, rate: int) -> None:
        self._device = device
        self.rate = rate
        if isinstance(device, AdjustableLatency):
            self.suggest_latency = device.suggest_latency

    @property
    def traits(self) -> DeviceTraits:
        return traits_of(self._device)

    @property
    def name(self) -> str:
        name: str = self._device.name
        return name

    @property
    def latency(self) -> float | None:
        latency: float | None = self._device.latency
        return latency


class _Microphone(_Wrapped):
    """Resamples on a thread of its own, which may take its time."""

    def __init__(self, microphone: Microphone, rate: int) -> None:
        super().__init__(microphone, rate)
        self._run: _MicrophoneRun | None = None

    @property
    def traits(self) -> DeviceTraits:
        return replace(super().traits, can_block=True)

    def start(self, sink: Sink) -> None:
        self.stop()
        run = self._run = _MicrophoneRun(sink, self._device.rate, self.rate)
        try:
            self._device.start(run)
        except BaseException:
            run.stop()
            raise

    def stop(self) -> None:
        run, self._run = self._run, None
        self._device.stop()
        if run is not None:
            run.stop()


class _MicrophoneRun:
    """One start of a wrapped microphone: its sink, with a ring and a thread behind it."""

    def __init__(self, sink: Sink, rate: int, wanted: int) -> None:
        self._sink = sink
        self._ring = Ring(round(_RING_SECONDS * rate))
        self._resampler = Resampler(rate, wanted)
        self._xruns = 0
        self._has_finished = self._stopping = False
        self._wake = threading.Lock()  # locked: nothing came since the thread last looked
        self._wake.acquire()
        self._thread = threading.Thread(target=self._pass_on, name="retell-voice rate", daemon=True)
        self._thread.start()

    def write_rt(
        self,
        samples: Samples,
        delay: float = 0.0,  # noqa: ARG002 - unknown behind the ring
        xrun: bool = False,
    ) -> None:
        """Runs on: audio callback thread. Keep samples for the thread."""
        if not fits_rt(samples, self):
            return
        self._ring.write_rt(samples)
        self._xruns += xrun
        # No other thread releases this lock now, so one that is locked here stays locked.
        if self._wake.locked():
            self._wake.release()

    def finished(self) -> None:
        """Say so; the thread sees it within a tenth of a second."""
        self._has_finished = True

    def lost(self, why: str, final: bool = False) -> None:
        self._sink.lost(why, final)

    def stop(self) -> None:
        """Let the thread end; it sees that within a tenth of a second."""
        self._stopping = True

    def _pass_on(self) -> None:
        read = xruns = 0
        while not self._stopping:
            self._wake.acquire(timeout=_LOOK_SECONDS)
            has_finished = self._has_finished  # before the ring: its last audio goes first
            samples, read = self._ring.read(read)
            if len(samples) and not self._stopping:
                seen, xruns = xruns, self._xruns
                self._sink.write_rt(self._resampler.process(samples), xrun=xruns > seen)
            if has_finished:
                self._sink.finished()
                return


class _Speaker(_Wrapped):
    """Resamples in the callback, which is dearer than what is meant to be there.

    It is the price of a rate that the call did not begin with.
    """

    def start(self, source: Source) -> None:
        self._device.start(_SpeakerRun(source, self.rate, self._device.rate))

    def stop(self) -> None:
        self._device.stop()


class _SpeakerRun:
    """One start of a wrapped speaker: its source."""

    def __init__(self, source: Source, rate: int, wanted: int) -> None:
        self._source = source
        self._resampler = Resampler(rate, wanted)
        self._rate = wanted
        self._ready: Samples = np.zeros(0, np.int16)

    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Fill ``out`` from a source of another rate."""
        if not takes_rt(out, self):
            return
        while (lacking := len(out) - len(self._ready)) > 0:
            block = np.zeros(self._resampler.needed(lacking), np.int16)
            self._source.fill_rt(block, delay + len(self._ready) / self._rate, xrun)
            self._ready = np.concatenate((self._ready, self._resampler.process(block)))
            xrun = False
        out[:] = self._ready[: len(out)]
        self._ready = self._ready[len(out) :]

    def lost(self, why: str, final: bool = False) -> None:
        self._source.lost(why, final)
