"""A lost device, its stand-in and its return, with hardware that a test plays."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from support.bridge import WAIT
from support.supervised import BACK, LOST, TIMING, Rig, Speaker

from retell_voice.devices.files import NullSpeaker
from retell_voice.devices.ports import DeviceTraits
from retell_voice.errors import DeviceError, DeviceLost


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
