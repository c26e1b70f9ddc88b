"""A lost device, its stand-in and its return, with hardware that a test plays."""

import queue
import threading
from dataclasses import replace

import numpy as np
import pytest
from support.bridge import WAIT, Bridge

from retell_voice.devices.clock import Clock
from retell_voice.devices.files import NullSpeaker
from retell_voice.devices.ports import DeviceTraits
from retell_voice.devices.upkeep.gates import PlayoutGate
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.tasks import Timing
from retell_voice.errors import DeviceError, DeviceLost
from retell_voice.events import DeviceChanged, LatencyChanged


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


TIMING = Timing(retry=0.01)


class Rig:
    def __init__(
        self,
        device: Speaker,
        device_timeout: float = 60.0,
        bridge: Bridge | None = None,
        timing: Timing = TIMING,
    ) -> None:
        self.bridge = bridge or Bridge()
        self.posts: queue.Queue[object] = queue.Queue()
        self.device = device
        stand_in = NullSpeaker(8000)
        stand_in.clock = Clock("stand-in")
        self.supervisor = Supervisor(
            "far_end",
            device,
            stand_in,
            new_gate=lambda tell: PlayoutGate(self.bridge, tell),
            post=self.posts.put,
            device_timeout=device_timeout,
            timing=timing,
        )

    def settle(self):
        """Wait until the supervisor has nothing to do."""
        self.supervisor._errands.join(WAIT)

    def post(self):
        return self.posts.get(timeout=WAIT)

    def lost(self, why="it was unplugged", **how):
        threading.Thread(target=self.device.source.lost, args=(why,), kwargs=how).start()


LOST = DeviceChanged(side="far_end", state="lost", name="device", why="it was unplugged")
BACK = DeviceChanged(side="far_end", state="back", name="device")


@pytest.fixture
def rig():
    made = []

    def make(*plan, device_timeout=60.0, timeout=0.05, timing=TIMING):
        device = Speaker(*plan)
        device.traits = DeviceTraits(block_timeout=timeout, start_timeout=timeout)
        made.append(Rig(device, device_timeout, timing=timing))
        made[-1].supervisor.start()
        return made[-1]

    def keep(each: Rig) -> Rig:
        made.append(each)
        return each

    make.keep = keep  # type: ignore[attr-defined]
    yield make
    for each in made:
        each.supervisor.stop()
        assert not each.bridge.met
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"device", "stand-in", "retell-voice supervisor"}


def test_the_stand_in_keeps_time_until_the_device_is_back(rig):
    ready = threading.Event()
    rig = rig(DeviceError("busy"), OSError("no such device"), ready)
    rig.bridge.until("device")
    rig.lost()
    assert rig.post() == LOST
    assert not rig.supervisor.at_work
    rig.bridge.until("stand-in")
    assert rig.device.hanging.wait(WAIT)
    rig.bridge.until("stand-in")  # also while a start hangs
    ready.set()
    assert rig.post() == BACK
    assert rig.supervisor.at_work
    rig.bridge.until("device")
    assert rig.device.starts == 4
    assert rig.supervisor.losses == 1


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
    assert rig.supervisor.losses == 5


def test_what_an_old_start_still_says_is_not_heard(rig):
    rig = rig()
    old = rig.device.source
    rig.lost()
    assert [rig.post(), rig.post()] == [LOST, BACK]
    out = np.ones(4, np.int16)
    old.fill_rt(out)
    old.lost("again")
    assert not out.any()
    assert rig.supervisor.at_work
    assert rig.posts.empty()


def test_a_device_that_will_not_come_back_is_not_started_again(rig):
    rig = rig()
    rig.lost(final=True)
    assert rig.post() == LOST
    ending = rig.post()
    assert isinstance(ending, DeviceLost)
    assert str(ending) == "speaker 'device' lost: it was unplugged"
    rig.bridge.until("stand-in")  # until the call has ended
    rig.settle()
    assert rig.device.starts == 1


def test_without_a_timeout_the_loss_ends_the_call(rig):
    rig = rig(device_timeout=0)
    rig.lost()
    assert rig.post() == LOST
    assert str(rig.post()) == "speaker 'device' lost: it was unplugged"
    rig.supervisor.look(0.0)
    rig.supervisor.look(1.0)
    rig.settle()
    assert (rig.device.starts, rig.posts.qsize()) == (1, 0)


def test_the_timeout_ends_the_call_and_says_why(rig):
    ready = threading.Event()
    rig = rig(DeviceError("speaker 'x' failed to open: busy"), ready, device_timeout=60)
    rig.lost()
    assert rig.post() == LOST
    assert rig.device.hanging.wait(WAIT)
    for now in (10.0, 69.9):
        rig.supervisor.look(now)
        assert rig.posts.empty()
    rig.supervisor.look(70.0)
    ending = rig.post()
    assert str(ending) == (
        "speaker 'device' lost: it was unplugged; it did not come back within 60 s"
    )
    assert ending.hint == "the last attempt: speaker 'x' failed to open: busy"
    rig.supervisor.look(71.0)
    assert rig.posts.empty()
    ready.set()


def test_the_timeout_restarts_with_every_loss(rig):
    rig = rig(device_timeout=1)
    rig.lost()
    rig.supervisor.look(0.0)
    assert [rig.post(), rig.post()] == [LOST, BACK]
    rig.supervisor.look(50.0)
    gate = threading.Event()
    rig.device.plan = [gate]
    rig.lost()
    assert rig.device.hanging.wait(WAIT)
    rig.supervisor.look(100.0)
    rig.supervisor.look(100.9)
    assert rig.post() == LOST
    assert rig.posts.empty()
    gate.set()


def test_a_device_that_stops_without_a_word_is_noticed(rig):
    rig = rig(timeout=0.5)
    rig.bridge.until("device")
    rig.device.clock.end(rig.device._ticking)  # its clock stands still
    for tick in range(60):
        rig.supervisor.look(tick * 0.02)
    lost = rig.post()
    assert (lost.state, lost.why) == ("lost", "no audio has passed for 0.5 s")
    assert rig.post() == BACK


def test_stopping_while_a_start_hangs(rig):
    ready = threading.Event()
    rig = rig(ready, timing=replace(TIMING, stop=0.05))
    rig.lost()
    assert rig.device.hanging.wait(WAIT)
    rig.supervisor.stop()
    assert not any(thread.name == "stand-in" for thread in threading.enumerate())
    ready.set()
    rig.settle()
    assert rig.device.stops >= 3
    assert not any(thread.name == "device" for thread in threading.enumerate())
    assert rig.post() == LOST
    assert rig.posts.empty()


def test_a_loss_while_stopping_changes_nothing(rig):
    rig = rig()
    rig.supervisor.stop()
    rig.device.source.lost("too late")
    assert rig.posts.empty()
    assert not any(thread.name == "stand-in" for thread in threading.enumerate())


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


def test_a_device_may_say_how_long_its_first_block_takes(rig):
    device = Speaker()
    device.traits = DeviceTraits(block_timeout=0.1, start_timeout=0.5)
    # And not a word comes from it.
    device.start = lambda source: None  # type: ignore[method-assign]
    made = Rig(device)
    made.supervisor.start()
    gate = made.supervisor._gate
    lost = []
    for tick in range(8):
        made.supervisor.look(tick * 0.1)
        lost.append(gate.why)
    assert lost[:6] == [None] * 6
    assert lost[7] == "it opens, but no audio passes"
    made.supervisor.stop()


def test_a_device_is_opened_again_on_request_and_nobody_needs_to_know(rig):
    made = rig()
    made.bridge.until("device")
    made.supervisor.open_again()
    made.settle()
    made.bridge.until("device")
    assert (made.device.starts, made.posts.empty()) == (2, True)


def opened_anew(rig, step):
    """Return a rig whose device goes through this step while it is being opened anew."""
    made = rig(step)
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
    other.supervisor.start_aside()
    assert "other" not in list(rig.bridge.threads.queue), "only the first is heard meanwhile"
    other.supervisor.take_over(rig.supervisor)
    rig.supervisor.stop()
    other.bridge.until("other")
    assert not rig.bridge.met
    assert rig.posts.empty()
    other.supervisor.stop()


def test_another_device_takes_over_from_one_that_is_lost(rig):
    rig = rig("silent", "silent", "silent")
    rig.lost()
    assert rig.post() == LOST
    other = aside(rig)
    other.supervisor.start_aside()
    other.supervisor.take_over(rig.supervisor)
    rig.supervisor.stop()
    while not rig.bridge.threads.empty():
        rig.bridge.threads.get()
    other.bridge.until("other")
    assert "stand-in" not in list(rig.bridge.threads.queue)
    other.supervisor.stop()
    assert not rig.bridge.met


@pytest.mark.parametrize("fault", ["refuses", "is silent", "is lost"])
def test_a_device_that_cannot_take_over_leaves_the_first_alone(rig, fault):
    rig = rig()
    other = aside(rig)
    device = other.device
    if fault == "refuses":
        device.start = lambda source: (_ for _ in ()).throw(DeviceError("busy"))  # type: ignore[method-assign]
    elif fault == "is silent":
        device.start = lambda source: None  # type: ignore[method-assign]
    else:
        device.start = lambda source: source.lost("it burns")  # type: ignore[method-assign]
    words = {"refuses": "busy", "is silent": "no audio passes", "is lost": "it burns"}[fault]
    with pytest.raises(DeviceError, match=words):
        other.supervisor.start_aside()
    assert device.stops
    rig.bridge.until("device")
    assert rig.posts.empty()
    assert other.posts.empty()


def test_a_device_that_is_lost_just_before_it_takes_over_is_lost_then(rig):
    rig = rig()
    other = aside(rig, "silent")
    other.device.start = lambda source: None  # type: ignore[method-assign]
    gate = other.supervisor._gate
    gate.blocks = 1
    other.supervisor.start_aside()
    gate.lost("it burns")
    assert other.posts.empty()
    other.supervisor.take_over(rig.supervisor)
    rig.supervisor.stop()
    assert other.post().why == "it burns"
    other.bridge.until("stand-in")
    other.supervisor.stop()


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
            self.traits = DeviceTraits(block_timeout=0.05, start_timeout=0.05, opens_twice=True)
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


def test_every_loss_that_lasts_is_told_once_and_the_device_may_still_come_back(rig):
    ready = threading.Event()
    rig = rig(device_timeout=1)
    for now in (0.0, 100.0):
        rig.supervisor.look(now)
        ready.clear()
        rig.device.hanging.clear()
        rig.device.plan[:] = [ready]
        rig.lost()
        assert rig.post() == LOST
        assert rig.device.hanging.wait(WAIT)
        rig.bridge.until("stand-in")
        for later in (1.0, 1.9, 2.1, 3.0, 9.0):
            rig.supervisor.look(now + later)
        assert str(rig.post()).endswith("it did not come back within 1 s")
        assert rig.posts.empty()
        assert rig.supervisor.trouble == "speaker 'device' lost: it was unplugged"
        ready.set()
        assert rig.post() == BACK
        assert rig.supervisor.trouble == ""
        rig.bridge.until("device")  # else it has been silent until the next look
    assert (rig.supervisor.losses, rig.supervisor.starts) == (2, 3)


def test_a_device_that_says_while_it_is_tried_that_it_is_gone_is_not_tried_again(rig):
    rig = rig()
    start = rig.device.start

    def burns(source):
        start(source)
        source.lost("it burns", final=True)

    rig.device.start = burns
    rig.lost()
    assert rig.post() == LOST
    ending = rig.post()
    assert str(ending) == "speaker 'device' lost: it was unplugged"
    assert ending.hint == "the last attempt: it burns"
    rig.settle()
    assert rig.device.starts == 2
    assert not any(thread.name == "device" for thread in threading.enumerate())


def test_a_device_that_cannot_be_stopped_is_tried_again_all_the_same(rig):
    rig = rig()

    def refuses():
        NullSpeaker.stop(rig.device)
        raise OSError("it is stuck")

    rig.device.stop = refuses
    rig.lost()
    assert [rig.post(), rig.post()] == [LOST, BACK]
    del rig.device.stop


def test_a_first_start_that_raises_anything_names_the_device(rig):
    device = Speaker()
    device.start = lambda source: 1 / 0  # type: ignore[method-assign]
    made = rig.keep(Rig(device))
    with pytest.raises(DeviceError, match=r"^speaker 'device' failed to start: ZeroDivisionError"):
        made.supervisor.start()


def test_a_device_that_is_lost_for_good_at_its_first_start(rig):
    device = Speaker()
    device.start = lambda source: source.lost("it burns", final=True)  # type: ignore[method-assign]
    made = rig.keep(Rig(device))
    with pytest.raises(DeviceLost, match="speaker 'device' lost: it burns"):
        made.supervisor.start()


def test_a_device_that_is_lost_at_its_first_start_comes_back(rig):
    device = Speaker()
    start = device.start

    def slow(source):
        source.lost("it burns")
        device.start = start  # type: ignore[method-assign]
        start(source)

    device.start = slow  # type: ignore[method-assign]
    made = rig.keep(Rig(device))
    made.supervisor.start()
    assert made.post().why == "it burns"
    assert made.post() == BACK
