"""The callbacks by themselves; the streams run on a sound server, in tests/sound."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sounddevice

from retell_voice.devices.portaudio import callbacks

NO_FLAGS = sounddevice.CallbackFlags()
OVERFLOW = sounddevice.CallbackFlags(2)
UNDERFLOW = sounddevice.CallbackFlags(4)


class End:
    def __init__(self, fills=None):
        self.fills, self.got, self.whys = fills, [], []

    def write_rt(self, samples, delay=0.0, xrun=False):
        self.got.append((samples.copy(), delay, xrun))

    def fill_rt(self, out, delay=0.0, xrun=False):
        if self.fills is None:
            raise RuntimeError("on purpose")
        out[:] = self.fills[: len(out)]
        self.got.append((delay, xrun))

    def lost(self, why, final=False):
        self.whys.append(why)


def capture(*blocks, channels=1, size=4, flags=NO_FLAGS, spoken=None, now=None, latency=0.03):
    """Return what a sink got of blocks of shape (frames, channels), spoken at these times."""
    end = End()
    run: callbacks.Run[Any] = callbacks.Run(end, channels, size, 100)
    run.latency = latency
    callback = callbacks.capture_callback(run)
    for number, block in enumerate(blocks):
        data = np.asarray(block, np.int16)
        at = spoken[number] if spoken else 0.0
        time = SimpleNamespace(inputBufferAdcTime=at, currentTime=at if now is None else now)
        callback(memoryview(data.tobytes()), len(data), time, flags)
    assert end.whys == []
    assert run.calls
    return end.got


def play(fills, *, channels=1, size=4, now=1.0, then=1.02, latency=0.03, flags=NO_FLAGS, frames=4):
    """Return (what the device is given, delay, xrun, what was said) of one callback."""
    end = End(None if fills is None else np.asarray(fills, np.int16))
    run = callbacks.Run(end, channels, size, 100)
    run.latency = latency
    data = bytearray(np.full(frames * channels, 77, np.int16).tobytes())
    time = SimpleNamespace(currentTime=now, outputBufferDacTime=then)
    callbacks.playout_callback(run)(data, frames, time, flags)
    given = np.frombuffer(data, np.int16).reshape(frames, channels).tolist()
    return given, *(end.got[0] if end.got else (None, None)), end.whys


def test_a_block_goes_on_as_it_is():
    ((samples, _, xrun),) = capture([[1], [-2], [32767], [-32768]])
    assert samples.tolist() == [1, -2, 32767, -32768]
    assert xrun is False


@pytest.mark.parametrize(
    ("spoken", "now", "delay"),
    [
        (1.0, 1.02, pytest.approx(0.02)),
        (1.02, 1.0, 0.03),  # from the future
        (0.0, 0.0, 0.03),  # a host API that does not say: the stream's latency
        (0.0, 5000.0, 0.03),
    ],
)
def test_how_long_ago_a_block_was_spoken(spoken, now, delay):
    assert capture([[0]], spoken=[spoken], now=now)[0][1] == delay


def test_lost_input_is_told():
    assert capture([[0]], flags=OVERFLOW)[0][2] is True


def test_input_that_was_thrown_away_is_told_though_nobody_says_so():
    block = [[0]] * 4  # 40 ms
    times = [7 + 0.04 * number for number in range(40)]
    assert not any(xrun for *_, xrun in capture(*[block] * 40, spoken=times))
    assert not any(xrun for *_, xrun in capture(*[block] * 40)), "where no times are told"
    lost = [at + 0.08 * (number >= 20) for number, at in enumerate(times)]
    assert sum(xrun for *_, xrun in capture(*[block] * 40, spoken=lost)) == 1
    late = [at + 0.08 * (number in (20, 30)) for number, at in enumerate(times)]
    assert not any(xrun for *_, xrun in capture(*[block] * 40, spoken=late)), "it came back"


def test_two_channels_are_averaged_without_overflow():
    pairs = [[32767, 32767], [-32768, -32768], [32767, -32768], [100, 300]]
    ((samples, *_),) = capture(pairs, channels=2)
    assert samples.tolist() == [32767, -32768, -1, 200]
    assert samples.dtype == np.int16


def test_of_many_channels_the_first_two_count():
    ((samples, *_),) = capture([[10, 20, 9999, 9999]], channels=4)
    assert samples.tolist() == [15]


def test_blocks_of_another_size_than_asked_for():
    short, long = capture([[2, 4]], [[n, n] for n in range(9)], channels=2, size=4)
    assert short[0].tolist() == [3]
    assert long[0].tolist() == list(range(9))
    assert play(range(9), channels=2, frames=9)[0] == [[n, n] for n in range(9)]


def test_a_speaker_of_one_two_and_more_channels():
    assert play([1, 2, 3, 4])[0] == [[1], [2], [3], [4]]
    assert play([1, 2, 3, 4], channels=2)[0] == [[1, 1], [2, 2], [3, 3], [4, 4]]
    assert play([1, 2, 3, 4], channels=3)[0] == [[1, 1, 0], [2, 2, 0], [3, 3, 0], [4, 4, 0]]


@pytest.mark.parametrize(
    ("now", "then", "delay"),
    [
        (1.0, 1.02, pytest.approx(0.02)),
        (1.0, 0.9, 0.0),  # late
        (0.0, 0.0, 0.03),  # a host API that does not say: the stream's latency
        (0.0, 5000.0, 0.03),
    ],
)
def test_delay(now, then, delay):
    assert play([0] * 4, now=now, then=then)[1] == delay


def test_an_underflow_is_told():
    assert play([0] * 4, flags=UNDERFLOW)[2] is True
    assert play([0] * 4)[2] is False


@pytest.mark.parametrize("channels", [1, 2])
def test_a_fault_of_ours_is_silence(channels):
    given, _, _, whys = play(None, channels=channels)
    assert given == [[0] * channels] * 4
    assert whys == ["a defect in this program: RuntimeError('on purpose')"]


def test_a_device_is_lost_once_and_not_after_it_was_stopped():
    end = End()
    run = callbacks.Run(end, 1, 4, 100)
    run.lost("first")
    run.lost("second")
    assert end.whys == ["first"]
    end = End()
    stopped = callbacks.Run(end, 1, 4, 100)
    stopped.stopping = True
    stopped.lost("late")
    assert end.whys == []


def test_nothing_passes_while_a_stream_is_being_stopped():
    end = End(np.full(4, 7, np.int16))
    run: callbacks.Run[Any] = callbacks.Run(end, 1, 4, 100)
    time = SimpleNamespace(currentTime=1.0, outputBufferDacTime=1.02, inputBufferAdcTime=0.98)
    data = bytearray(b"\x55" * 8)
    run.pausing = True
    callbacks.playout_callback(run)(data, 4, time, NO_FLAGS)
    callbacks.capture_callback(run)(memoryview(b"\x55" * 8), 4, time, NO_FLAGS)
    assert data == bytes(8)
    assert end.got == []
    run.renew()
    callbacks.playout_callback(run)(data, 4, time, NO_FLAGS)
    assert len(end.got) == 1
