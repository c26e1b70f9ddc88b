"""A lost device, its stand-in and its return, with hardware that a test plays."""

import queue
import threading
from typing import Any

import numpy as np
import pytest

from retell_voice.devices.clock import Clock
from retell_voice.devices.files import NullSpeaker
from retell_voice.devices.ports import DeviceTraits
from retell_voice.devices.upkeep import supervisor as keeper_module
from retell_voice.devices.upkeep.gates import CaptureGate, PlayoutGate
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.errors import DeviceError, DeviceLost
from retell_voice.events import DeviceChanged, LatencyChanged

WAIT = 5.0


class Bridge:
    """Notices who is in it and whether it was ever entered by two at once."""

    def __init__(self) -> None:
        self.threads: queue.Queue[str] = queue.Queue()
        self.inside = 0
        self.met = False
        self.hold: threading.Event | None = None
        self.entered = threading.Event()

    def fill_rt(self, out, delay=0.0, xrun=False):
        self.inside += 1
        self.met = self.met or self.inside > 1
        self.entered.set()
        if self.hold is not None:
            self.hold.wait(WAIT)
        out[:] = 7
        self.threads.put(threading.current_thread().name)
        self.inside -= 1

    def write_rt(self, samples, delay=0.0, xrun=False):
        self.threads.put(threading.current_thread().name)

    def finished(self):
        self.threads.put("finished")

    def until(self, name: str) -> None:
        """Wait for a block by this thread."""
        while self.threads.get(timeout=WAIT) != name:
            pass


class Speaker(NullSpeaker):
    """A real clock, and what a test wants to go wrong.

    ``plan``: for each start after the first "ok", an exception, "silent", or an event to wait
    for.
    """

    def __init__(self, *plan) -> None:
        super().__init__(8000, name="device")
        self.clock = Clock("device")  # a thread of its own, as hardware has
        self.plan = list(plan)
        self.starts = self.stops = 0
        self.hanging = threading.Event()

    def start(self, source):
        self.starts += 1
        self.source = source
        step = self.plan.pop(0) if self.starts > 1 and self.plan else "ok"
        if isinstance(step, Exception):
            raise step
        if isinstance(step, threading.Event):
            self.hanging.set()
            step.wait(WAIT)
        if step != "silent":
            super().start(source)

    def stop(self):
        self.stops += 1
        super().stop()


class Rig:
    def __init__(
        self, device: Speaker, device_timeout: float = 60.0, bridge: Bridge | None = None
    ) -> None:
        self.bridge = bridge or Bridge()
        self.posts: queue.Queue[object] = queue.Queue()
        self.device = device
        stand_in = NullSpeaker(8000)
        stand_in.clock = Clock("stand-in")
        self.keeper = Supervisor(
            "far_end",
            device,
            stand_in,
            new_gate=lambda tell: PlayoutGate(self.bridge, tell),
            post=self.posts.put,
            device_timeout=device_timeout,
        )

    def post(self):
        return self.posts.get(timeout=WAIT)

    def lost(self, why="it was unplugged", **how):
        threading.Thread(target=self.device.source.lost, args=(why,), kwargs=how).start()


LOST = DeviceChanged(side="far_end", state="lost", name="device", why="it was unplugged")
BACK = DeviceChanged(side="far_end", state="back", name="device")


@pytest.fixture
def rig(monkeypatch):
    monkeypatch.setattr(keeper_module, "RETRY_SECONDS", 0.01)
    made = []

    def make(*plan, device_timeout=60.0, timeout=0.05):
        device = Speaker(*plan)
        device.traits = DeviceTraits(block_timeout=timeout, start_timeout=timeout)
        made.append(Rig(device, device_timeout))
        made[-1].keeper.start()
        return made[-1]

    yield make
    for each in made:
        each.keeper.stop()
        assert not each.bridge.met
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"device", "stand-in", "retell-voice keeper"}


def test_a_closed_gate_passes_nothing_and_counts():
    bridge, out = Bridge(), np.ones(4, np.int16)
    gate = PlayoutGate(bridge, lambda gate: None)
    gate.fill_rt(out)
    assert out.tolist() == [0, 0, 0, 0]
    gate.is_open = True
    gate.fill_rt(out)
    assert out.tolist() == [7, 7, 7, 7]
    assert gate.blocks == 2
    capture = CaptureGate(bridge, lambda gate: None)
    capture.write_rt(out)
    assert bridge.threads.qsize() == 1
    capture.is_open = True
    capture.write_rt(out)
    capture.finished()
    capture.finished()
    assert bridge.threads.qsize() == 3, "the end is told once"


class Level:
    """A bridge whose sound is a constant."""

    def __init__(self):
        self.heard = []

    def fill_rt(self, out, delay=0.0, xrun=False):
        out[:] = 1000

    def write_rt(self, samples, delay=0.0, xrun=False):
        self.heard.append(samples.copy())
        self.told = delay, xrun


@pytest.mark.parametrize("size", [1, 80, 240, 1000])
def test_whoever_enters_fades_in_and_whoever_leaves_fades_out(size, monkeypatch):
    monkeypatch.setattr("retell_voice.devices.upkeep.gates._LEAVE_SECONDS", WAIT)
    gate, out = PlayoutGate(Level(), lambda gate: None), np.ones(size, np.int16)
    gate.enter()
    gate.fill_rt(out)
    assert out[0] == 0
    assert (np.diff(out) <= 1000 / (min(size, 240) - 1 or 1) + 1).all()
    gate.fill_rt(out)
    assert (out == 1000).all()
    leaving = threading.Thread(target=gate.leave)
    leaving.start()
    while gate.is_open:
        gate.fill_rt(out)
    leaving.join(WAIT)
    assert not leaving.is_alive()
    assert out[-1] <= 1000 // size
    assert (np.diff(out) <= 0).all()
    gate.fill_rt(out)
    assert not out.any()


def test_a_microphone_that_enters_fades_in_and_keeps_its_own_samples():
    own = np.full(80, 1000, np.int16)
    level: Any = Level()
    gate = CaptureGate(level, lambda gate: None)
    gate.enter()
    gate.write_rt(own)
    gate.write_rt(own, 0.02, True)
    assert level.told == (0.02, True)
    assert (own == 1000).all(), "they belong to the device"
    assert level.heard[0][0] == 0
    assert (np.diff(level.heard[0]) > 0).all()
    assert (level.heard[1] == 1000).all()


def test_leaving_does_not_wait_for_a_device_that_says_nothing():
    gate = PlayoutGate(Level(), lambda gate: None)
    gate.is_open = True
    gate.leave()
    assert not gate.is_open


def test_closing_waits_for_the_block_under_way():
    bridge = Bridge()
    bridge.hold = threading.Event()
    gate = PlayoutGate(bridge, lambda gate: None)
    gate.is_open = True
    callback = threading.Thread(target=gate.fill_rt, args=(np.zeros(4, np.int16),))
    callback.start()
    assert bridge.entered.wait(WAIT)
    closing = threading.Thread(target=gate.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    bridge.hold.set()
    closing.join(WAIT)
    assert not closing.is_alive()
    assert bridge.inside == 0
    callback.join()


def test_a_gate_is_handed_over_without_two_ever_being_inside():
    bridge, over = Bridge(), threading.Event()
    gates = [PlayoutGate(bridge, lambda gate: None) for _ in range(2)]

    def hammer(gate: PlayoutGate) -> None:
        block = np.zeros(8, np.int16)
        while not over.is_set():
            gate.fill_rt(block)

    threads = [threading.Thread(target=hammer, args=(gate,)) for gate in gates]
    for thread in threads:
        thread.start()
    for turn in range(100):
        gates[turn % 2].close()
        gates[1 - turn % 2].is_open = True
    over.set()
    for thread in threads:
        thread.join()
    assert not bridge.met


def test_the_stand_in_keeps_time_until_the_device_is_back(rig):
    ready = threading.Event()
    rig = rig(DeviceError("busy"), OSError("no such device"), ready)
    rig.bridge.until("device")
    rig.lost()
    assert rig.post() == LOST
    assert not rig.keeper.at_work
    rig.bridge.until("stand-in")
    assert rig.device.hanging.wait(WAIT)
    rig.bridge.until("stand-in")  # also while a start hangs
    ready.set()
    assert rig.post() == BACK
    assert rig.keeper.at_work
    rig.bridge.until("device")
    assert rig.device.starts == 4
    assert rig.keeper.losses == 1


def test_a_device_told_lost_twice_is_replaced_once(rig):
    rig = rig()
    source = rig.device.source  # this one start's: it may be back before it was told five times
    for _ in range(5):
        threading.Thread(target=source.lost, args=("it was unplugged",)).start()
    assert [rig.post(), rig.post()] == [LOST, BACK]
    rig.bridge.until("device")
    assert rig.device.starts == 2


def test_a_device_that_opens_and_says_nothing_is_not_back(rig):
    rig = rig("silent", "silent")
    rig.lost()
    assert [rig.post(), rig.post()] == [LOST, BACK]
    assert rig.device.starts == 4
    assert rig.device.stops >= 3


def test_a_device_that_is_lost_again_and_again(rig):
    rig = rig()
    for _ in range(5):
        rig.lost()
        assert [rig.post(), rig.post()] == [LOST, BACK]
    assert rig.keeper.losses == 5


def test_what_an_old_start_still_says_is_not_heard(rig):
    rig = rig()
    old = rig.device.source
    rig.lost()
    assert [rig.post(), rig.post()] == [LOST, BACK]
    out = np.ones(4, np.int16)
    old.fill_rt(out)
    old.lost("again")
    assert not out.any()
    assert rig.keeper.at_work
    assert rig.posts.empty()


def test_a_device_that_will_not_come_back_is_not_started_again(rig):
    rig = rig()
    rig.lost(final=True)
    assert rig.post() == LOST
    ending = rig.post()
    assert isinstance(ending, DeviceLost)
    assert str(ending) == "speaker 'device' lost: it was unplugged"
    rig.bridge.until("stand-in")  # until the call has ended
    rig.keeper._thread.join(WAIT)
    assert rig.device.starts == 1


def test_without_patience_the_loss_ends_the_call(rig):
    rig = rig(device_timeout=0)
    rig.lost()
    assert rig.post() == LOST
    assert str(rig.post()) == "speaker 'device' lost: it was unplugged"
    rig.keeper.look(0.0)
    rig.keeper.look(1.0)
    rig.keeper._thread.join(WAIT)
    assert (rig.device.starts, rig.posts.qsize()) == (1, 0)


def test_patience_ends_and_says_why(rig):
    ready = threading.Event()
    rig = rig(DeviceError("speaker 'x' does not open: busy"), ready, device_timeout=60)
    rig.lost()
    assert rig.post() == LOST
    assert rig.device.hanging.wait(WAIT)
    for now in (10.0, 69.9):
        rig.keeper.look(now)
        assert rig.posts.empty()
    rig.keeper.look(70.0)
    ending = rig.post()
    assert str(ending) == (
        "speaker 'device' lost: it was unplugged; it did not come back within 60 s"
    )
    assert ending.hint == "the last attempt: speaker 'x' does not open: busy"
    rig.keeper.look(71.0)
    assert rig.posts.empty()
    ready.set()


def test_patience_begins_anew_with_every_loss(rig):
    rig = rig(device_timeout=1)
    rig.lost()
    rig.keeper.look(0.0)
    assert [rig.post(), rig.post()] == [LOST, BACK]
    rig.keeper.look(50.0)
    gate = threading.Event()
    rig.device.plan = [gate]
    rig.lost()
    assert rig.device.hanging.wait(WAIT)
    rig.keeper.look(100.0)
    rig.keeper.look(100.9)
    assert rig.post() == LOST
    assert rig.posts.empty()
    gate.set()


def test_a_device_that_stops_without_a_word_is_noticed(rig):
    rig = rig(timeout=0.5)
    rig.bridge.until("device")
    rig.device.clock.end(rig.device._ticking)  # its clock stands still
    for tick in range(60):
        rig.keeper.look(tick * 0.02)
    lost = rig.post()
    assert (lost.state, lost.why) == ("lost", "no audio has passed for 0.5 s")
    assert rig.post() == BACK


def test_stopping_while_a_start_hangs(rig, monkeypatch):
    monkeypatch.setattr(keeper_module, "_STOP_SECONDS", 0.05)
    ready = threading.Event()
    rig = rig(ready)
    rig.lost()
    assert rig.device.hanging.wait(WAIT)
    rig.keeper.stop()
    assert not any(thread.name == "stand-in" for thread in threading.enumerate())
    ready.set()
    rig.keeper._thread.join(WAIT)
    assert rig.device.stops >= 3
    assert not any(thread.name == "device" for thread in threading.enumerate())
    assert rig.post() == LOST
    assert rig.posts.empty()


def test_a_loss_while_stopping_changes_nothing(rig):
    rig = rig()
    rig.keeper.stop()
    rig.device.source.lost("too late")
    assert rig.posts.empty()
    assert not any(thread.name == "stand-in" for thread in threading.enumerate())


class Tunable(Speaker):
    latency = 0.01

    def suggest_latency(self, latency) -> None:
        self.suggested = latency

    def start(self, source) -> None:
        super().start(source)
        if self.starts > 1:
            self.latency = 0.01 if self.suggested == "low" else self.suggested


def tuned(rig, *plan):
    """Return a rig whose device had gaps and is being opened anew."""
    made = rig()
    made.keeper.stop()
    device = Tunable(*plan)
    made = Rig(device)
    made.keeper.start()
    made.bridge.until("device")
    for tick in range(200):
        device.source.xruns = tick // 20
        made.keeper.look(tick * 0.02)
        if made.keeper._thread is not None:
            made.keeper._thread.join(WAIT)
            break
    return made


def test_a_device_with_gaps_is_opened_anew_with_more_latency(rig):
    made = tuned(rig)
    made.bridge.until("device")
    assert (made.device.suggested, made.device.starts) == (0.03, 2)
    assert made.post() == LatencyChanged(side="far_end", why="gaps", old=0.01, new=0.03)
    made.keeper.look(10)
    made.device.source.blocks += 1
    made.keeper.look(80, pause=True)
    assert made.post() == LatencyChanged(side="far_end", why="calm", old=0.03, new=0.01)
    assert (made.device.suggested, made.device.starts) == ("low", 3)
    assert made.posts.empty()
    made.keeper.stop()
    assert not made.bridge.met


def test_a_device_may_say_how_long_its_first_block_takes(rig):
    device = Speaker()
    device.traits = DeviceTraits(block_timeout=0.1, start_timeout=0.5)
    made = Rig(device)
    gate = made.keeper._gate  # as if it had been started, and then not a word
    lost = []
    for tick in range(8):
        made.keeper.look(tick * 0.1)
        lost.append(gate.why)
    assert lost[:6] == [None] * 6
    assert lost[7] == "it opens, but no audio passes"
    made.keeper.stop()


def test_a_device_is_opened_again_on_request_and_nobody_needs_to_know(rig):
    made = rig()
    made.bridge.until("device")
    made.keeper.open_again()
    made.keeper._thread.join(WAIT)
    made.bridge.until("device")
    assert (made.device.starts, made.posts.empty()) == (2, True)


def opened_anew(rig, step):
    """Return a rig whose device goes through this step while it is being opened anew."""
    made = rig(step)
    made.bridge.until("device")
    made.keeper.look(0.0)
    made.keeper.open_again()
    return made, made.keeper._thread


def test_a_device_that_opens_anew_too_slowly_is_stood_in_for_and_never_started_twice(rig):
    ready = threading.Event()
    made, opening = opened_anew(rig, ready)
    assert made.device.hanging.wait(WAIT)
    for tick in range(1, 10):
        made.keeper.look(tick * 0.1)
    lost = made.post()
    assert (lost.state, lost.why) == ("lost", "it does not open anew")
    made.bridge.until("stand-in")
    assert made.device.starts == 2
    ready.set()
    assert made.post() == BACK
    opening.join(WAIT)
    made.bridge.until("device")
    assert made.device.starts == 3
    assert made.keeper.at_work


def test_a_device_that_is_lost_while_it_opens_anew_comes_back(rig):
    ready = threading.Event()
    made, opening = opened_anew(rig, ready)
    assert made.device.hanging.wait(WAIT)
    made.lost()
    assert made.post() == LOST
    ready.set()
    assert made.post() == BACK
    opening.join(WAIT)
    made.bridge.until("device")


def test_the_end_while_a_device_is_opened_anew(rig):
    ready = threading.Event()
    made, opening = opened_anew(rig, ready)
    assert made.device.hanging.wait(WAIT)
    made.keeper.end()
    ready.set()
    opening.join(WAIT)
    made.keeper.stop()
    assert made.posts.empty()


def test_a_device_that_is_away_is_not_opened_twice(rig):
    ready = threading.Event()
    made = rig(ready)
    made.lost()
    assert made.post() == LOST
    assert made.device.hanging.wait(WAIT)
    made.keeper.open_again()
    ready.set()
    assert made.post() == BACK
    assert made.device.starts == 2


def test_a_device_that_does_not_open_with_it_is_lost_and_tried_again(rig):
    made = tuned(rig, DeviceError("busy"))
    lost, back = made.post(), made.post()
    assert (lost.state, lost.why, back.state) == ("lost", "busy", "back")
    made.bridge.until("device")
    made.keeper.stop()
    assert not made.bridge.met


def aside(rig, *plan, name="other") -> Rig:
    """Return a rig with another device for the same bridge, not yet started."""
    device = Speaker(*plan)
    device.clock = Clock(name)
    device.traits = DeviceTraits(block_timeout=0.05, start_timeout=0.05)
    return Rig(device, bridge=rig.bridge)


def test_another_device_takes_over_and_never_meets_the_first(rig):
    rig = rig()
    rig.bridge.until("device")
    other = aside(rig)
    other.keeper.start_aside()
    assert "other" not in list(rig.bridge.threads.queue), "only the first is heard meanwhile"
    other.keeper.take_over(rig.keeper)
    rig.keeper.stop()
    other.bridge.until("other")
    assert not rig.bridge.met
    assert rig.posts.empty()
    other.keeper.stop()


def test_another_device_takes_over_from_one_that_is_lost(rig):
    rig = rig("silent", "silent", "silent")
    rig.lost()
    assert rig.post() == LOST
    other = aside(rig)
    other.keeper.start_aside()
    other.keeper.take_over(rig.keeper)
    rig.keeper.stop()
    while not rig.bridge.threads.empty():
        rig.bridge.threads.get()
    other.bridge.until("other")
    assert "stand-in" not in list(rig.bridge.threads.queue)
    other.keeper.stop()
    assert not rig.bridge.met


@pytest.mark.parametrize("fault", ["refuses", "is silent", "is lost"])
def test_a_device_that_cannot_take_over_leaves_the_first_alone(rig, fault):
    rig = rig()
    other = aside(rig)
    device: Any = other.device
    if fault == "refuses":
        device.start = lambda source: (_ for _ in ()).throw(DeviceError("busy"))
    elif fault == "is silent":
        device.start = lambda source: None
    else:
        device.start = lambda source: source.lost("it burns")
    words = {"refuses": "busy", "is silent": "no audio passes", "is lost": "it burns"}[fault]
    with pytest.raises(DeviceError, match=words):
        other.keeper.start_aside()
    assert device.stops
    rig.bridge.until("device")
    assert rig.posts.empty()
    assert other.posts.empty()


def test_a_device_that_is_lost_just_before_it_takes_over_is_lost_then(rig):
    rig = rig()
    other: Any = aside(rig, "silent")
    other.device.start = lambda source: None
    gate = other.keeper._gate
    gate.blocks = 1
    other.keeper.start_aside()
    gate.lost("it burns")
    assert other.posts.empty()
    other.keeper.take_over(rig.keeper)
    rig.keeper.stop()
    assert other.post().why == "it burns"
    other.bridge.until("stand-in")
    other.keeper.stop()
