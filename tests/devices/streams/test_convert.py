"""Devices of another rate than the call began with."""

import threading
from typing import Any

import numpy as np
import pytest

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.ports import DeviceTraits, Microphone, Speaker
from retell_voice.devices.streams.convert import as_microphone, as_speaker
from retell_voice.errors import DeviceError

WAIT = 5.0


class Hardware:
    """A device that a test plays."""

    name, latency = "headset", 0.012
    traits = DeviceTraits(block_timeout=0.5, never_silent=True)

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.end: Any = None
        self.stops = 0

    def start(self, end) -> None:
        if self.rate == 1:
            raise DeviceError("no")
        self.end = end

    def stop(self) -> None:
        self.stops += 1

    def suggest_latency(self, latency) -> None:
        self.suggested = latency


class Sink:
    def __init__(self) -> None:
        self.samples = np.zeros(0, np.int16)
        self.xruns = 0
        self.delays: list[float] = []
        self.why: tuple[Any, Any] | None = None
        self.over = threading.Event()

    def write_rt(self, samples, delay=0.0, xrun=False):
        self.delays.append(delay)
        self.samples = np.concatenate((self.samples, samples))
        self.xruns += xrun

    def finished(self):
        self.over.set()

    def lost(self, why, final=False):
        self.why = (why, final)


def sine(rate: int, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.rint(10000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the best correlation within the delay of a filter."""
    size = min(len(one), len(other)) - 400
    other = other[200 : 200 + size].astype(float)
    return max(
        np.corrcoef(one[start : start + size].astype(float), other)[0, 1] for start in range(400)
    )


def test_a_device_that_fits_is_left_alone() -> None:
    microphone, speaker = NullMicrophone(8000), NullSpeaker(8000)
    assert as_microphone(microphone, 8000, can_block=True) is microphone
    assert as_speaker(speaker, 8000) is speaker
    hardware = Hardware(8000)
    assert as_microphone(hardware, 8000, can_block=False) is hardware
    assert as_microphone(hardware, 8000, can_block=True) is not hardware


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 24000), (48000, 16000), (16000, 16000)])
def test_a_microphone_at_another_rate(rate: int, wanted: int) -> None:
    hardware, sink = Hardware(rate), Sink()
    converted = as_microphone(hardware, wanted, can_block=True)
    assert isinstance(converted, Microphone)
    microphone: Any = converted
    assert (microphone.rate, microphone.name, microphone.latency) == (wanted, "headset", 0.012)
    assert microphone.traits == DeviceTraits(block_timeout=0.5, never_silent=True, can_block=True)
    microphone.suggest_latency(0.03)
    assert hardware.suggested == 0.03
    microphone.start(sink)
    said = sine(rate, 0.9)
    for start in range(0, len(said), 80):
        hardware.end.write_rt(said[start : start + 80], 0.25, start == 160)
    hardware.end.finished()
    assert sink.over.wait(WAIT)
    microphone.stop()
    assert hardware.stops
    assert abs(len(sink.samples) - 0.9 * wanted) < wanted // 100
    assert sink.xruns == 1
    assert all(0.2 < delay < 5 for delay in sink.delays)
    assert likeness(sink.samples, sine(wanted, 0.9)) > 0.999


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 24000), (48000, 16000), (44100, 8000)])
def test_a_speaker_at_another_rate(rate: int, wanted: int) -> None:
    hardware = Hardware(rate)
    speaker = as_speaker(hardware, wanted)
    assert isinstance(speaker, Speaker)
    said, delays = sine(wanted, 2.0), []

    class Source:
        position = 0

        def fill_rt(self, out, delay=0.0, xrun=False):
            out[:] = said[self.position : self.position + len(out)]
            self.position += len(out)
            delays.append((delay, xrun))

        def lost(self, why, final=False):
            self.why = why

    source = Source()
    speaker.start(source)
    played = np.zeros(rate, np.int16)
    for start in range(0, rate, 100):
        hardware.end.fill_rt(played[start : start + 100], 0.25, start == 0)
    hardware.end.lost("gone")
    speaker.stop()
    assert source.why == "gone"
    assert delays[0] == (0.25, True)
    assert sum(xrun for _, xrun in delays) == 1
    assert all(0.25 <= delay < 0.27 for delay, _ in delays)
    assert abs(source.position - wanted) < wanted // 20, "no more is pulled than is played"
    assert likeness(played, sine(rate)) > 0.999


def test_one_that_does_not_open_leaves_nothing_running() -> None:
    microphone = as_microphone(Hardware(1), 8000, can_block=True)
    with pytest.raises(DeviceError):
        microphone.start(Sink())
    for thread in threading.enumerate():
        if thread.name == "retell-voice resampler":
            thread.join(WAIT)
            assert not thread.is_alive()


def test_a_microphone_that_is_lost_says_so() -> None:
    hardware, sink = Hardware(16000), Sink()
    microphone = as_microphone(hardware, 8000, can_block=False)
    microphone.start(sink)
    hardware.end.lost("unplugged", final=True)
    microphone.stop()
    assert sink.why == ("unplugged", True)


def test_what_its_thread_cannot_take_is_counted_and_told() -> None:
    lost: list[int] = []
    hardware, sink = Hardware(16000), Sink()
    inside, go_on = threading.Event(), threading.Event()
    write = sink.write_rt

    def held_up(samples, delay=0.0, xrun=False):
        write(samples, delay, xrun)
        inside.set()
        go_on.wait(WAIT)

    sink.write_rt = held_up  # type: ignore[method-assign]
    microphone = as_microphone(hardware, 8000, can_block=False, lost=lost.append)
    microphone.start(sink)
    second = sine(16000)
    hardware.end.write_rt(second[:1600])
    assert inside.wait(WAIT)
    for _ in range(5):
        hardware.end.write_rt(second)
    hardware.end.finished()
    go_on.set()
    assert sink.over.wait(WAIT)
    microphone.stop()
    assert sink.xruns == 1
    assert lost == [4 * 8000]
    assert abs(len(sink.samples) - 8800) < 80
