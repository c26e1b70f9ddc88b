"""Another device takes over from one that is open, or from its stand-in."""

import pytest
from support.supervised import LOST, Rig, Speaker

from retell_voice.devices.clock import Clock
from retell_voice.devices.ports import DeviceTraits
from retell_voice.errors import DeviceError


def aside(rig, *plan, name="other") -> Rig:
    """Return a rig with another device for the same bridge, not yet started."""
    device = Speaker(*plan)
    device.clock = Clock(name)
    device.traits = DeviceTraits(block_timeout=0.5, start_timeout=0.5)
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
