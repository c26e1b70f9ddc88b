"""What several files of tests of a device's upkeep ask for."""

import threading

import pytest
from support.bridge import WAIT
from support.supervised import TIMING, Rig, Speaker

from retell_voice.devices.ports import DeviceTraits


@pytest.fixture
def rig():
    """Return what starts a rig whose device has this plan; ``keep`` is for one that exists."""
    made = []

    def make(*plan, device_timeout=60.0, timeout=None, timing=TIMING):
        device = Speaker(*plan)
        # What works may take its time on a busy machine.
        timeout = timeout or (0.05 if "silent" in plan else WAIT)
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
