"""Adapts devices to the rate and the kind of thread that an open ``AudioIO`` relies on.

Near end and output keep their rates for as long as they are open. A replacement device with another
rate is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
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
from retell_voice.devices.upkeep.gates import fits_rt, takes_rt
from retell_voice.threads.relay import Block, Relay

Lost = Callable[[int], None]
"""Called with the number of samples, at the rate relied on, that a relay lost."""


def as_microphone(
    microphone: Microphone, rate: int, *, can_block: bool, lost: Lost = lambda _: None
) -> Microphone:
    """Return a microphone that delivers at this rate; ``can_block``: on a thread that has time."""
    if microphone.rate == rate and (not can_block or traits_of(microphone).can_block):
        return microphone
    return _Microphone(microphone, rate, lost)


def as_speaker(speaker: Speaker, rate: int) -> Speaker:
    """Return a speaker that plays at this rate."""
    return speaker if speaker.rate == rate else _Speaker(speaker, rate)


class _Wrapped:
    """Forwards a device's properties."""

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
    """Resamples on its own thread, which may take its time."""

    def __init__(self, microphone: Microphone, rate: int, lost: Lost) -> None:
        super().__init__(microphone, rate)
        self._lost = lost
        self._run: _MicrophoneRun | None = None

    @property
    def traits(self) -> DeviceTraits:
        return replace(super().traits, can_block=True)

    def start(self, sink: Sink) -> None:
        self.stop()
        run = self._run = _MicrophoneRun(sink, self._device.rate, self.rate, self._lost)
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
    """One start of a wrapped microphone: its sink, with a relay behind it."""

    def __init__(self, sink: Sink, rate: int, wanted: int, lost: Lost) -> None:
        self._sink = sink
        self._resampler = Resampler(rate, wanted)
        self._step = wanted / rate
        self._lost = lost
        self._stopped = False
        self._relay = Relay(
            "retell-voice resampler", rate, self._resample, finished=self._sink.finished
        )
        self._relay.start()

    def write_rt(self, samples: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Keep samples for the relay's thread."""
        if fits_rt(samples, self):
            self._relay.write_rt(samples, delay, xrun)

    def finished(self) -> None:
        self._relay.finish()

    def lost(self, why: str, final: bool = False) -> None:
        self._sink.lost(why, final)

    def stop(self) -> None:
        """Let the relay's thread end; returns at once, and nothing more comes from it."""
        self._stopped = True
        self._relay.stop(wait=False)

    def _resample(self, block: Block) -> None:
        """Runs on: relay thread."""
        if self._stopped:
            return
        if block.lost:
            self._lost(round(block.lost * self._step))
        samples = self._resampler.process(block.samples)
        self._sink.write_rt(samples, monotonic() - block.spoken_at, block.xrun or block.lost > 0)


class _Speaker(_Wrapped):
    """Resamples in the callback, where it costs more than anything else.

    It is the price of a rate that the devices were not opened with.
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
