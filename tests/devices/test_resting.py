"""Open devices that nobody uses: blocks are counted, and whoever comes misses none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.listener import Listener
from retell_voice.devices.portaudio.callbacks import Run, capture_callback, playout_callback
from retell_voice.devices.streams.near_end import CallFrames, NearEnd
from retell_voice.devices.streams.output import Output, Sound
from retell_voice.devices.upkeep.gates import CaptureGate, PlayoutGate

RATE, BLOCK = 8000, 160
NO_FLAGS = SimpleNamespace(input_overflow=False, output_underflow=False)


class Devices:
    """Both directions, as PortAudio would call them back: a block every 20 ms."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.near_end = NearEnd(RATE, self.frames.append)
        self.near_end.start()
        self.output = Output(RATE)
        self.near_gate = CaptureGate(self.near_end, lambda _: None)
        self.far_gate = PlayoutGate(self.output, lambda _: None)
        self.near_gate.is_open = self.far_gate.is_open = True
        self.rests = {"near": False, "far": False}
        self.near_gate.rest_rt = self._noting("near", self.near_gate.rest_rt)  # type: ignore[method-assign]
        self.far_gate.rest_rt = self._noting("far", self.far_gate.rest_rt)  # type: ignore[method-assign]
        self.capturing: Run[Any] = Run(self.near_gate, 1, BLOCK, RATE)
        self.playing: Run[Any] = Run(self.far_gate, 1, BLOCK, RATE)
        self._capture = capture_callback(self.capturing)
        self._play = playout_callback(self.playing)
        self._spoken = self._played = 100.0
        for _ in range(3):
            self.speak(7)
            self.heard()

    def _noting(self, side: str, rest_rt: Any) -> Any:
        def note(*block: Any) -> bool:
            self.rests[side] = rest_rt(*block)
            return self.rests[side]

        return note

    def speak(self, level: int = 0, lost: float = 0.0) -> None:
        self._spoken += 0.02 + lost
        time = SimpleNamespace(inputBufferAdcTime=self._spoken - 0.03, currentTime=self._spoken)
        self._capture(memoryview(np.full(BLOCK, level, np.int16).tobytes()), BLOCK, time, NO_FLAGS)

    def heard(self) -> list[int]:
        self._played += 0.02
        time = SimpleNamespace(outputBufferDacTime=self._played + 0.03, currentTime=self._played)
        data = bytearray(b"\x55" * 2 * BLOCK)
        self._play(data, BLOCK, time, NO_FLAGS)
        return np.frombuffer(data, np.int16).tolist()

    @property
    def rest(self) -> tuple[bool, bool]:
        return self.rests["near"], self.rests["far"]


@pytest.fixture
def devices() -> Devices:
    return Devices()


def test_blocks_that_nobody_needs_are_counted(devices: Devices) -> None:
    assert devices.rest == (True, True)
    before = devices.near_end.sounds
    devices.speak(7)
    devices.speak(0)
    assert devices.heard() == [0] * BLOCK
    assert devices.near_end.sounds == before + 1, "one of them was no digital silence"
    assert devices.near_end.position == 5 * BLOCK
    assert devices.output.position == 4 * BLOCK
    assert (devices.near_gate.blocks, devices.far_gate.blocks) == (5, 4)
    assert (devices.capturing.calls, devices.playing.calls) == (5, 4)


def test_a_sound_begins_with_the_next_block_and_the_rest_after_it(devices: Devices) -> None:
    ended: list[bool] = []
    devices.output.play(Sound(np.full(BLOCK + 10, 500, np.int16), lambda: ended.append(True)))
    assert devices.heard() == [500] * BLOCK
    assert devices.heard() == [500] * 10 + [0] * (BLOCK - 10)
    while not ended:
        devices.heard()
    devices.heard()
    assert devices.rests["far"]


def test_a_volume_set_while_nothing_is_heard_is_there_at_once(devices: Devices) -> None:
    devices.output.gain.value = 0.5
    devices.heard()
    assert not devices.rests["far"]
    devices.heard()
    assert devices.rests["far"]
    devices.output.play(Sound(np.full(BLOCK, 500, np.int16), lambda: None))
    assert devices.heard() == [250] * BLOCK


def test_whoever_listens_hears_all_from_there_on(devices: Devices) -> None:
    near, far = devices.near_end.tap(), devices.output.tap()
    devices.speak(3)
    assert devices.heard() == [0] * BLOCK
    assert devices.rest == (False, False)
    assert near.read(0)[0].tolist() == [3] * BLOCK
    assert far.read(0)[0].tolist() == [0] * BLOCK
    devices.near_end.untap(near)
    devices.speak(3)
    assert devices.rests["near"]


def test_a_call_gets_every_block_and_no_gap_though_they_rested_for_a_minute(
    devices: Devices,
) -> None:
    for _ in range(3000):
        devices.speak(7)
    devices.near_end.connect(CallFrames(AudioFormat(rate=RATE), RATE, 20, devices.frames.append))
    devices.near_end.level()
    for _ in range(50):
        devices.speak(7)
    assert len(devices.frames) == 50
    assert not devices.rests["near"]
    assert devices.near_end.xruns == 0
    devices.near_end.connect(None)
    devices.speak(7)
    assert devices.rests["near"], "what the call metered is metered no more"


def test_gaps_are_counted_though_nobody_needs_the_sound() -> None:
    """Else a device would be lowered to a latency that it cannot hold, for the next call."""
    devices = Devices()
    for _ in range(50):
        devices.speak(7)
    devices.speak(7, lost=0.03)
    for _ in range(5):
        devices.speak(7)
    assert devices.rests["near"]
    assert devices.near_gate.xruns == devices.near_end.xruns == 1


def test_echo_control_and_a_closed_gate_keep_them_from_resting(devices: Devices) -> None:
    devices.near_end.use_echo_control(lambda samples, _: samples)
    assert devices.output.reference is not None
    devices.speak(7)
    devices.heard()
    assert devices.rest == (False, False)
    devices.near_end.use_echo_control(None)
    devices.near_end.stop()
    devices.far_gate.close()
    before = devices.output.position
    assert devices.heard() == [0] * BLOCK
    assert devices.output.position == before


def test_whoever_can_wait_wakes_the_near_ends_thread_less_often() -> None:
    near_end = NearEnd(RATE, lambda _: None)
    near_end.use_echo_control(lambda samples, _: samples)
    with Listener(near_end, every=0.1):
        assert near_end._needed() == 800
        with Listener(near_end):
            assert near_end._needed() == 160
        assert near_end._needed() == 800
