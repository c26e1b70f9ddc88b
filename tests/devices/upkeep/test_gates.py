"""One device at a time at a bridge, on real threads."""

import threading
from typing import Any

import numpy as np
import pytest
from support.bridge import WAIT, Bridge

from retell_voice.devices.upkeep.gates import CaptureGate, PlayoutGate


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

    def rest_rt(self, *block):
        return False

    def fill_rt(self, out, delay=0.0, xrun=False):
        out[:] = 1000

    def write_rt(self, samples, delay=0.0, xrun=False):
        self.heard.append(samples.copy())
        self.told = delay, xrun


@pytest.mark.parametrize("size", [1, 80, 240, 1000])
def test_whoever_enters_fades_in_and_whoever_leaves_fades_out(size):
    gate, out = PlayoutGate(Level(), lambda gate: None), np.ones(size, np.int16)
    gate.enter()
    gate.fill_rt(out)
    assert out[0] == 0
    assert (np.diff(out) <= 1000 / (min(size, 240) - 1 or 1) + 1).all()
    gate.fill_rt(out)
    assert (out == 1000).all()
    leaving = threading.Thread(target=gate.leave, args=(WAIT,))
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
