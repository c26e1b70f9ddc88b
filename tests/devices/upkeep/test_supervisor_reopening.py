"""A device that is opened anew, for its latency or on request: with a pause, or a second stream."""

import threading
from dataclasses import replace

import pytest
from support.bridge import WAIT
from support.supervised import BACK, LOST, Rig, Speaker

from retell_voice.devices.clock import Clock
from retell_voice.devices.files import NullSpeaker
from retell_voice.devices.ports import DeviceTraits
from retell_voice.errors import DeviceError
from retell_voice.events import LatencyChanged


class Tunable(Speaker):
    latency = 0.01
    suggested = None

    def suggest_latency(self, latency) -> None:
        self.suggested = latency

    def start(self, source) -> None:
        super().start(source)
        if self.starts > 1:
            self.latency = 0.01 if self.suggested == "low" else self.suggested  # type: ignore[assignment]


def tuned(rig, *plan):
    """Return a rig whose device had gaps and is being opened anew."""
    made = rig()
    made.supervisor.stop()
    device = Tunable(*plan)
    made = Rig(device)
    made.supervisor.start()
    made.bridge.until("device")
    for tick in range(200):
        device.source.xruns = tick // 20
        made.supervisor.look(tick * 0.02)
        made.settle()
        if device.suggested:
            break
    return made


def test_a_device_with_gaps_is_opened_anew_with_more_latency(rig):
    made = tuned(rig)
    made.bridge.until("device")
    assert (made.device.suggested, made.device.starts) == (0.03, 2)
    assert made.post() == LatencyChanged(side="far_end", why="gaps", old=0.01, new=0.03)
    made.supervisor.look(10)
    made.device.source.blocks += 1
    made.supervisor.look(80, pause=True)
    assert made.post() == LatencyChanged(side="far_end", why="calm", old=0.03, new=0.01)
    assert (made.device.suggested, made.device.starts) == ("low", 3)
    assert made.posts.empty()
    made.supervisor.stop()
    assert not made.bridge.met


def test_a_device_is_opened_again_on_request_and_nobody_needs_to_know(rig):
    made = rig()
    made.bridge.until("device")
    made.supervisor.open_again()
    made.settle()
    made.bridge.until("device")
    assert (made.device.starts, made.posts.empty()) == (2, True)


def opened_anew(rig, step):
    """Return a rig whose device goes through this step while it is being opened anew."""
    made = rig(step, timeout=0.5)
    made.bridge.until("device")
    made.supervisor.look(0.0)
    made.supervisor.open_again()
    return made


def test_a_device_that_opens_anew_too_slowly_is_stood_in_for_and_never_started_twice(rig):
    ready = threading.Event()
    made = opened_anew(rig, ready)
    assert made.device.hanging.wait(WAIT)
    for tick in range(1, 10):
        made.supervisor.look(tick * 0.1)
    lost = made.post()
    assert (lost.state, lost.why) == ("lost", "it failed to reopen")
    made.bridge.until("stand-in")
    assert made.device.starts == 2
    ready.set()
    assert made.post() == BACK
    made.settle()
    made.bridge.until("device")
    assert made.device.starts == 3
    assert made.supervisor.at_work


def test_a_device_that_is_lost_while_it_opens_anew_comes_back(rig):
    ready = threading.Event()
    made = opened_anew(rig, ready)
    assert made.device.hanging.wait(WAIT)
    made.lost()
    assert made.post() == LOST
    ready.set()
    assert made.post() == BACK
    made.settle()
    made.bridge.until("device")


def test_the_end_while_a_device_is_opened_anew(rig):
    ready = threading.Event()
    made = opened_anew(rig, ready)
    assert made.device.hanging.wait(WAIT)
    made.supervisor.end()
    ready.set()
    made.settle()
    made.supervisor.stop()
    assert made.posts.empty()


def test_a_device_that_is_away_is_not_opened_twice(rig):
    ready = threading.Event()
    made = rig(ready)
    made.lost()
    assert made.post() == LOST
    assert made.device.hanging.wait(WAIT)
    made.supervisor.open_again()
    ready.set()
    assert made.post() == BACK
    assert made.device.starts == 2


def test_a_device_that_does_not_open_with_it_is_lost_and_tried_again(rig):
    made = tuned(rig, DeviceError("busy"))
    lost, back = made.post(), made.post()
    assert (lost.state, lost.why, back.state) == ("lost", "busy", "back")
    made.bridge.until("device")
    made.supervisor.stop()
    assert not made.bridge.met


class Twice(Tunable):
    """Can have two streams, each with a clock of its own."""

    def __init__(self, *plan) -> None:
        super().__init__(*plan)
        self.traits = replace(self.traits, opens_twice=True)
        self.streams: dict[object, NullSpeaker] = {}
        self.stopped: list[int] = []  # how many ran when one was stopped

    def start(self, source) -> None:
        stream = NullSpeaker(8000)
        stream.clock = Clock(f"device {self.starts + 1}")
        self.run = stream.run  # type: ignore[method-assign]
        self.streams[source] = stream
        if self.starts:
            self.traits = DeviceTraits(block_timeout=0.5, start_timeout=0.5, opens_twice=True)
        super().start(source)

    def stop_stream(self, source) -> None:
        self.stopped.append(len(self.streams))
        self.streams.pop(source).stop()

    def stop(self) -> None:
        super().stop()
        for stream in self.streams.values():
            stream.stop()
        self.streams.clear()


def doubled(rig, *plan, device_timeout=60.0):
    """Return a rig whose device, which can have two streams, had gaps; and what they are."""
    device = Twice(*plan)
    made = rig.keep(Rig(device, device_timeout))
    made.supervisor.start()
    made.bridge.until("device 1")
    for tick in range(200):
        made.supervisor.look(tick * 0.02)
        device.source.xruns = tick // 20
        if device.starts > 1:
            break
    return made


def test_a_device_that_opens_twice_changes_its_latency_without_a_pause(rig):
    made = doubled(rig)
    assert made.post() == LatencyChanged(side="far_end", why="gaps", old=0.01, new=0.03)
    made.bridge.until("device 2")
    assert (made.device.suggested, made.device.starts) == (0.03, 2)
    assert made.device.stopped == [2], "the first runs until the second has its place"
    assert made.device.stops == 0
    assert made.supervisor.breaks == 1
    made.settle()
    assert made.posts.empty()
    assert made.supervisor.at_work


def test_the_first_stream_plays_until_the_second_works(rig):
    ready = threading.Event()
    made = doubled(rig, ready)
    assert made.device.hanging.wait(WAIT)
    while not made.bridge.threads.empty():
        made.bridge.threads.get()
    made.bridge.until("device 1")
    made.supervisor.open_again()  # one thing at a time
    ready.set()
    made.bridge.until("device 2")
    made.settle()
    assert made.device.starts == 2


@pytest.mark.parametrize("step", [DeviceError("busy"), "silent"])
def test_a_second_stream_that_does_not_work_leads_to_a_pause(rig, step):
    made = doubled(rig, step)
    assert made.post() == LatencyChanged(side="far_end", why="gaps", old=0.01, new=0.03)
    made.bridge.until("device 3")
    assert (made.device.starts, made.device.stopped) == (3, [])
    assert made.device.stops == 1
    assert made.supervisor.losses == 0


def test_a_device_that_is_lost_while_its_second_stream_starts_comes_back(rig):
    ready = threading.Event()
    made = doubled(rig, ready)
    assert made.device.hanging.wait(WAIT)
    first = next(iter(made.device.streams))
    threading.Thread(target=first.lost, args=("it was unplugged",)).start()
    assert made.post() == LOST
    made.bridge.until("stand-in")
    assert made.device.starts == 2
    ready.set()
    assert made.post() == BACK
    assert made.post() == LatencyChanged(side="far_end", why="gaps", old=0.01, new=0.03)
    made.bridge.until("device 3")
