"""Whatever happens to devices, in whatever order: one gate is open, and in the end nothing is left.

Real threads, and hardware that starts, refuses, hangs, says nothing, is lost at once or dies.
"""

import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.bridge import WAIT, Bridge

from retell_voice.devices.ports import DeviceTraits
from retell_voice.devices.upkeep.gates import Gate, PlayoutGate
from retell_voice.devices.upkeep.states import State
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.tasks import Timing
from retell_voice.errors import DeviceError, DeviceLost
from retell_voice.events import DeviceChanged

TIMING = Timing(retry=0.002, stop=0.05, leave=0.02, least_drain=0.001, drain=0.002, poll=0.001)
NAME = "chaotic device"
HOWS = ["works", "refuses", "hangs", "is silent", "is lost", "dies", "finishes"] * 3 + ["is gone"]
MOST = 6
hows_of_starts = st.lists(st.sampled_from(HOWS), max_size=3)


class Chaotic:
    """Goes through a list of ways to start; at the end of it, it works."""

    name, rate, latency = "board", 8000, 0.001

    def __init__(self, hows: list[str], *, opens_twice: bool = False) -> None:
        self.traits = DeviceTraits(block_timeout=0.1, start_timeout=0.1, opens_twice=opens_twice)
        self.hows = hows
        self.go_on = threading.Event()
        self.starting = threading.Lock()
        self.runs: dict[Gate, threading.Event] = {}
        self.faults: list[str] = []

    def will(self, hows: list[str]) -> None:
        """Go through these from the next start on."""
        self.hows[:] = hows
        self.go_on.clear()

    def suggest_latency(self, latency) -> None:
        pass

    def start(self, gate) -> None:
        if not self.starting.acquire(blocking=False):
            self.faults.append("started by two threads at once")
            return
        if self.runs and not self.traits.opens_twice:
            self.faults.append("started while it runs")
        try:
            self._start(gate, self.hows.pop(0) if self.hows else "works")
        finally:
            self.starting.release()

    def _start(self, gate, how: str) -> None:
        if how == "refuses":
            raise OSError("busy")
        if how == "hangs":
            self.go_on.wait(WAIT)
        if how in ("is lost", "is gone"):
            gate.lost(how, how == "is gone")
        if how == "is silent":
            return
        stopping = self.runs[gate] = threading.Event()
        threading.Thread(target=self._run, args=(gate, stopping, how), name=NAME).start()

    def _run(self, gate, stopping: threading.Event, how: str) -> None:
        block = np.zeros(8, np.int16)
        blocks = 3 if how in ("dies", "finishes") else None
        while not stopping.wait(0.001) and blocks != 0:
            gate.fill_rt(block)
            blocks = blocks and blocks - 1
        if how == "finishes":
            gate.has_finished = True
        elif not stopping.is_set():
            gate.lost("it died")

    def stop(self) -> None:
        for gate in list(self.runs):
            self.stop_stream(gate)

    def stop_stream(self, gate) -> None:
        if stopping := self.runs.pop(gate, None):
            stopping.set()


class Devices(RuleBasedStateMachine):
    """A bridge, and devices that have it one after the other."""

    @initialize(hows=hows_of_starts, twice=st.booleans())
    def start(self, hows: list[str], twice: bool) -> None:
        self.bridge = Bridge()
        self.gates: list[Any] = []
        self.posts: list[Any] = []
        self.devices: list[Chaotic] = []
        self.now = 0.0
        self.begin(hows, twice)

    def begin(self, hows: list[str], twice: bool) -> None:
        """Start one; where it does not work, another that does."""
        self.supervisor = self.make(hows, twice)
        self.devices[-1].go_on.set()
        try:
            self.supervisor.start()
        except DeviceError:
            self.supervisor.stop()
            self.begin([], twice)
        self.devices[-1].go_on.clear()

    def make(self, hows: list[str], twice: bool) -> Supervisor:
        device = Chaotic(hows, opens_twice=twice)
        self.devices.append(device)

        def new_gate(tell) -> Gate:
            self.gates.append(PlayoutGate(self.bridge, tell))
            return self.gates[-1]

        return Supervisor(
            "far_end",
            device,
            Chaotic([]),
            new_gate=new_gate,
            post=self.posts.append,
            device_timeout=0.5,
            timing=TIMING,
        )

    def open_gates(self) -> int:
        return sum(gate.is_open for gate in self.gates)

    @rule()
    def settle(self) -> None:
        """Wait until one gate is open, which must be soon, also while a device hangs."""
        deadline = time.monotonic() + WAIT
        while self.open_gates() != 1 and time.monotonic() < deadline:
            time.sleep(0.0005)
        assert self.open_gates() == 1
        assert not self.bridge.met

    @rule(looks=st.integers(1, 10))
    def look(self, looks: int) -> None:
        for _ in range(looks):
            time.sleep(0.002)
            self.now += 0.02
            self.supervisor.look(self.now, pause=True)

    @rule(hows=hows_of_starts, final=st.sampled_from([False] * 9 + [True]))
    def lose(self, hows: list[str], final: bool) -> None:
        self.devices[-1].will(hows)
        for gate in list(self.devices[-1].runs):
            gate.lost("it was unplugged", final)

    @rule(hows=hows_of_starts)
    def open_again(self, hows: list[str]) -> None:
        self.devices[-1].will(hows)
        self.supervisor.open_again()

    @rule(hows=hows_of_starts, then_stop=st.booleans())
    def have_gaps(self, hows: list[str], then_stop: bool) -> None:
        self.devices[-1].will(hows)
        for _ in range(2):
            self.supervisor.look(self.now)
            for gate in list(self.devices[-1].runs):
                gate.xruns += 4
            self.now += 3.0
            time.sleep(0.003)
        self.supervisor.look(self.now)
        if then_stop:
            self.supervisor.stop()
            assert self.open_gates() == 0
            self.begin([], True)

    @precondition(lambda self: len(self.devices) < MOST)
    @rule()
    def stop_another_while_it_hangs(self) -> None:
        other = self.make(["hangs"], False)
        probing = threading.Thread(target=self.refuse, args=(other,))
        probing.start()
        time.sleep(0.001)
        other.stop()
        self.devices.pop().go_on.set()
        probing.join(WAIT)

    def refuse(self, other: Supervisor) -> None:
        with suppress(DeviceError):
            other.start_aside()

    @rule()
    def let_what_hangs_go_on(self) -> None:
        for device in self.devices:
            device.go_on.set()

    @rule(milliseconds=st.integers(1, 20))
    def wait(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    @precondition(lambda self: len(self.devices) < MOST)
    @rule(hows=hows_of_starts, twice=st.booleans())
    def use_another(self, hows: list[str], twice: bool) -> None:
        other = self.make(hows, twice)
        self.devices[-1].go_on.set()
        try:
            other.start_aside()
        except DeviceError:
            self.devices.pop().go_on.set()
        else:
            replaced, self.supervisor = self.supervisor, other
            other.take_over(replaced)
            replaced.retire()

    def teardown(self) -> None:
        self.settle()
        if len(self.posts) % 2:  # as good as by chance: stopped while something may be under way
            self.let_all_work()
        self.supervisor.stop()
        assert self.open_gates() == 0
        count = len(self.posts)
        for device in self.devices:
            device.go_on.set()
        names = {NAME, "retell-voice supervisor"}
        left = [each for each in threading.enumerate() if each.name in names]
        for thread in left:
            thread.join(WAIT)
            assert not thread.is_alive()
        assert self.open_gates() == 0
        assert not any(device.runs for device in self.devices)
        assert not [device.faults for device in self.devices if device.faults]
        assert len(self.posts) == count, "nothing is told after the end"
        self.check_posts()

    def let_all_work(self) -> None:
        """Wait until the device has its place again, if it may come back at all."""
        for device in self.devices:
            device.hows.clear()
            device.go_on.set()
        deadline = time.monotonic() + WAIT
        at_rest = {State.WORKING, State.GONE, State.FINISHED}
        while self.supervisor._state not in at_rest and time.monotonic() < deadline:
            time.sleep(0.001)
        assert self.supervisor._state in at_rest

    def check_posts(self) -> None:
        """Lost and back by turns, for each device; one ``DeviceLost`` for a loss at most."""
        state = "back"
        ended = False
        for post in self.posts:
            match post:
                case DeviceChanged(state="lost"):
                    state, ended = "lost", False
                case DeviceChanged(state="back"):
                    assert state == "lost"
                    state = "back"
                case DeviceLost():
                    assert (state, ended) == ("lost", False)
                    ended = True


Devices.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    phases=set(Phase) - {Phase.shrink},  # threads do not do the same twice
)
TestDevices = Devices.TestCase
