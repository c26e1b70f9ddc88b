"""A supervisor under test, and a device that a test plays."""

import queue
import threading

from support.bridge import WAIT, Bridge

from retell_voice.devices.clock import Clock
from retell_voice.devices.files import NullSpeaker
from retell_voice.devices.upkeep.gates import PlayoutGate
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.tasks import Timing
from retell_voice.events import DeviceChanged


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
    """A supervisor with its device and a stand-in, and what it posts."""

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
