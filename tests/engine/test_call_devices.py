"""The agent's volume, and other devices, during calls over real sockets."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.calls import AUDIO, Agent, EmulatedCall, calling, listen, until
from support.supervision import time_supervisors

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.ports import DeviceTraits
from retell_voice.emulator import Session
from retell_voice.engine.call import Call
from retell_voice.errors import DeviceError, DeviceLost
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    CallState,
    DeviceChanged,
    Ended,
    Levels,
    MicrophoneSilent,
    Statistics,
)

RATE = AUDIO.rate


@pytest.fixture(autouse=True)
def unhurried(monkeypatch) -> None:
    """However busy the machine is, a device's last block is waited for, and fades."""
    time_supervisors(monkeypatch, leave=5.0)


class Hearing(NullSpeaker):
    """Keeps what it plays."""

    def __init__(self, rate: int = RATE, name: str = "first", *, fault: str = "") -> None:
        super().__init__(rate, name=name)
        if fault:
            self.traits = DeviceTraits(block_timeout=0.1, start_timeout=0.1)
        self.blocks: list[np.ndarray] = []
        self.fault = fault

    def start(self, source) -> None:
        self.source = source
        if self.fault == "refuses":
            raise DeviceError(f"speaker {self.name!r} failed to open: it is busy")
        if self.fault == "is lost":
            source.lost("it burns")
        if self.fault:
            return

        def tick(size: int) -> None:
            block = np.zeros(size, np.int16)
            source.fill_rt(block)
            self.blocks.append(block)

        self.run(tick, source.lost)

    @property
    def heard(self) -> np.ndarray:
        return np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int16)


class Counting(NullMicrophone):
    """Says its samples' numbers, from ``first`` on."""

    def __init__(self, rate: int = RATE, name: str = "first", first: int = 1) -> None:
        super().__init__(rate, name=name)
        self._next = first

    def start(self, sink) -> None:
        def tick(size: int) -> None:
            block = np.arange(self._next, self._next + size).astype(np.int16)
            self._next += size
            sink.write_rt(block)

        self.run(tick, sink.lost)


async def until_passed(call: EmulatedCall, device: Hearing | Counting) -> None:
    """Until 0.4 s have passed through it, and been sent if it hears."""

    def passed() -> int:
        if isinstance(device, Hearing):
            return int(np.count_nonzero(device.heard))
        return len(call.registered.received)

    begin = passed()
    while passed() < begin + 0.4 * RATE:
        await until(call, Levels)


def says(samples: np.ndarray) -> Agent:
    async def agent(session: Session) -> None:
        await session.send_audio(samples)
        await listen(session)

    return agent


def sine(seconds: float, frequency: float = 200.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.rint(8000 * np.sin(2 * np.pi * frequency * t)).astype(np.int16)


async def test_the_agent_is_half_as_loud_from_here_on_without_a_click() -> None:
    said, speaker = sine(3.0), Hearing()
    async with calling(says(said), speaker=speaker, level_interval=0.05) as call:
        assert call.volume == 1.0
        await until(call, AgentStarted)
        await until_passed(call, speaker)
        call.volume = 0.5
        assert call.volume == 0.5
        await until(call, AgentStopped)
    heard = speaker.heard
    begin = np.flatnonzero(heard)[0] - 1  # a sine begins with 0
    heard = heard[begin : begin + len(said)]
    changed = np.flatnonzero(heard != said)[0]
    assert 0.2 * RATE < changed < 2.8 * RATE, "before, every sample is as it came"
    after = changed + round(0.02 * RATE)
    assert np.abs(heard[after:] - said[after:] / 2).max() <= 0.5
    steepest = np.abs(np.diff(said.astype(int))).max()
    assert np.abs(np.diff(heard.astype(int))).max() <= steepest


async def test_silent_from_the_beginning() -> None:
    speaker = Hearing()
    async with calling(says(sine(0.3)), speaker=speaker, volume=0.0) as call:
        assert call.volume == 0.0
        await until(call, AgentStopped)
    assert not speaker.heard.any()
    with pytest.raises(ValueError, match="outside 0–2"):
        async with calling(says(sine(0.1)), volume=3.0):
            pass


async def test_there_is_no_volume_above_two() -> None:
    async with calling(says(sine(0.1))) as call:
        for volume in (-0.1, 2.1):
            with pytest.raises(ValueError, match="outside 0–2"):
                call.volume = volume
        assert call.volume == 1.0


NUMBERS = np.arange(1, 24001).astype(np.int16)


async def test_another_speaker_goes_on_with_the_next_sample() -> None:
    first, second = Hearing(), Hearing(name="second")
    async with calling(says(NUMBERS), speaker=first, level_interval=0.05) as call:
        await until_passed(call, first)
        await call.use(speaker=second)
        assert call.speaker is second
        changed = await until(call, DeviceChanged)
        assert (changed.side, changed.state, changed.name) == ("far_end", "changed", "second")
        assert len(first.blocks) > 10
        stopped_at = len(first.blocks)
        await until(call, AgentStopped)
        assert len(first.blocks) == stopped_at
    size = first.block
    begin = np.flatnonzero(first.heard)[0]
    end = size * max(index for index, block in enumerate(first.blocks) if block.any()) + size
    passed = end - begin
    assert np.array_equal(first.heard[begin : end - size], NUMBERS[: passed - size])
    assert 0.2 * RATE < passed < 2.8 * RATE
    heard = second.heard[next(i for i, block in enumerate(second.blocks) if block.any()) * size :]
    rest = len(NUMBERS) - passed - size
    assert np.array_equal(heard[size : size + rest], NUMBERS[passed + size :])
    for edge, whole in (
        (first.heard[end - size : end], NUMBERS[passed - size : passed]),
        (heard[:size][::-1], NUMBERS[passed : passed + size][::-1]),
    ):
        assert np.allclose(edge, whole * np.linspace(1, 0, size), atol=1)


async def test_another_speaker_at_another_rate_and_as_loud_as_the_first() -> None:
    first, second = Hearing(), Hearing(2 * RATE, "second")
    async with calling(says(NUMBERS), speaker=first, level_interval=0.05) as call:
        call.volume = 0.5
        await until_passed(call, first)
        await call.use(speaker=second)
        assert (call.volume, call.speaker.rate) == (0.5, 2 * RATE)
        await until(call, AgentStopped)
    last = first.heard.max()
    heard = second.heard[np.flatnonzero(second.heard)[0] :]
    end = np.argmax(heard)
    assert heard[end] == pytest.approx(NUMBERS[-1] / 2, rel=0.02)
    # Half as loud, and twice as many: a quarter from one to the next.
    steps = np.diff(heard[400 : end - 100])
    assert set(steps) == {0, 1}
    assert steps.mean() == pytest.approx(0.25, abs=0.001)
    # The second goes on where the first ended; the filter is 3 ms late.
    assert heard[400] - 400 / 4 == pytest.approx(last, abs=100)


async def test_another_microphone_goes_on() -> None:
    first, second = Counting(), Counting(name="second", first=20001)
    async with calling(says(sine(0.1)), microphone=first, level_interval=0.05) as call:
        await until_passed(call, first)
        await call.use(microphone=second)
        assert call.microphone is second
        changed = await until(call, DeviceChanged)
        assert (changed.side, changed.state, changed.name) == ("near_end", "changed", "second")
        await until_passed(call, second)
    sent, size = call.registered.received, first.block
    assert sent[0] == 1
    fades = np.flatnonzero(np.diff(sent.astype(int)) != 1)
    end, begin = fades[0] + 1, fades[-1] + 1
    assert begin - end <= 2 * size, "the last block of the one and the first of the other"
    assert np.array_equal(sent[:end], np.arange(1, end + 1))
    rest = len(sent) - begin
    assert rest > 5 * size
    assert np.array_equal(sent[begin:], np.arange(sent[begin], sent[begin] + rest))
    assert sent[begin] > 20001 + size, "what it heard before is not sent"


async def test_another_microphone_at_another_rate() -> None:
    async with calling(says(sine(0.1)), level_interval=0.05) as call:
        call.muted = True
        second = Counting(2 * RATE, "second")
        await call.use(microphone=second)
        assert call.muted
        call.muted = False
        await until_passed(call, second)
    sent = call.registered.received.astype(int)
    rising = np.flatnonzero(sent)[0] + 300
    assert set(np.diff(sent[rising:])) == {2}
    assert len(sent) - rising > 0.2 * RATE


@pytest.mark.parametrize("fault", ["refuses", "is silent", "is lost"])
async def test_a_device_that_does_not_work_changes_nothing(fault: str) -> None:
    words = {"refuses": "it is busy", "is silent": "no audio passes", "is lost": "it burns"}
    first, second, microphone = Hearing(), Hearing(name="second", fault=fault), Counting()
    async with calling(says(NUMBERS), speaker=first) as call:
        before = call.microphone
        await until(call, AgentStarted)
        with pytest.raises(DeviceError, match=words[fault]):
            await call.use(speaker=second, microphone=microphone)
        assert (call.speaker, call.microphone) == (first, before)
        async for event in call:
            assert not isinstance(event, DeviceChanged)
            if isinstance(event, AgentStopped):
                break
        assert not microphone._ticking
    begin = np.flatnonzero(first.heard)[0]
    assert np.array_equal(first.heard[begin : begin + len(NUMBERS)], NUMBERS)
    assert not np.any(call.registered.received)


async def test_the_one_in_use_is_no_other() -> None:
    speaker = Hearing()
    async with calling(says(sine(0.1)), speaker=speaker) as call:
        blocks = speaker.blocks
        await call.use(speaker=speaker, microphone=call.microphone)
        await call.use()
        assert call.speaker is speaker
        await until(call, AgentStopped)
    assert blocks is speaker.blocks


async def test_both_at_once_and_one_that_is_lost_afterwards(monkeypatch) -> None:
    time_supervisors(monkeypatch, retry=0.02)
    first, second, microphone = Hearing(), Hearing(name="second"), Counting(name="other")
    second.latency = 0.033
    async with calling(says(sine(0.1)), speaker=first) as call:
        await call.use(speaker=second, microphone=microphone)
        assert call.statistics().playback_latency == 0.033
        second.source.lost("unplugged")
        changes = [await until(call, DeviceChanged) for _ in range(4)]
        first.source.lost("too late to matter")
        await call.hang_up()
        assert not [event async for event in call if isinstance(event, DeviceChanged)]
    assert [(change.state, change.name) for change in changes] == [
        ("changed", "second"),
        ("changed", "other"),
        ("lost", "second"),
        ("back", "second"),
    ]
    assert np.any(call.registered.received)


async def test_another_device_ends_the_wait_for_one_that_is_lost(monkeypatch) -> None:
    time_supervisors(monkeypatch, retry=0.02)
    first, second = Hearing(), Hearing(name="second")
    async with calling(says(NUMBERS), speaker=first, device_timeout=1.5) as call:
        await until(call, AgentStarted)
        first.fault = "refuses"
        first.source.lost("unplugged")
        assert (await until(call, DeviceChanged)).state == "lost"
        await call.use(speaker=second)
        assert (await until(call, DeviceChanged)).state == "changed"
        await until(call, AgentStopped)
        await until(call, Statistics, 2)
        assert call.state is CallState.LIVE, "nobody waits for the first any more"
        assert call.statistics().device_losses == 1
    assert second.heard.max() == NUMBERS[-1]


class Deaf(NullMicrophone):
    traits = replace(NullMicrophone.traits, never_silent=True)


async def test_a_new_microphone_of_zeros_is_told(monkeypatch) -> None:
    monkeypatch.setattr("retell_voice.devices.upkeep.watchdog.ZEROS_TIMEOUT", 0.1)
    async with calling(says(sine(0.1)), microphone=Deaf(RATE, name="one")) as call:
        assert (await until(call, MicrophoneSilent)).name == "one"
        await call.use(microphone=Deaf(RATE, name="two"))
        assert (await until(call, MicrophoneSilent)).name == "two"


class Slow(NullSpeaker):
    """Opens only when it is stopped."""

    def __init__(self) -> None:
        super().__init__(RATE, name="slow")
        self.starting, self.stopped = threading.Event(), threading.Event()

    def start(self, source) -> None:
        self.thread = threading.current_thread()
        self.starting.set()
        assert self.stopped.wait(10)

    def stop(self) -> None:
        self.stopped.set()
        super().stop()


async def test_hanging_up_while_a_device_opens() -> None:
    slow = Slow()
    async with calling(says(sine(0.1))) as call:
        using = asyncio.create_task(call.use(speaker=slow))
        assert await asyncio.to_thread(slow.starting.wait, 10)
        await call.hang_up()
        assert isinstance([event async for event in call][-1], Ended)
        with pytest.raises(DeviceError):
            await using
        with pytest.raises(DeviceError, match="the call is over"):
            await call.use(speaker=Hearing())


class Stuck(Slow):
    """Does not even open then."""

    def stop(self) -> None:
        NullSpeaker.stop(self)


async def test_a_device_that_never_opens_does_not_outlive_the_call() -> None:
    stuck = Stuck()
    async with calling(says(sine(0.1))) as call:
        using = asyncio.create_task(call.use(speaker=stuck))
        assert await asyncio.to_thread(stuck.starting.wait, 10)
        await call.hang_up()
        with pytest.raises(DeviceError, match="the call is over"):
            await using
    assert stuck.thread.daemon, "the program may end"
    stuck.stopped.set()
    await asyncio.to_thread(stuck.thread.join, 10)
    assert not stuck.thread.is_alive()


class Late(Hearing):
    """Opens long after the call is over, and is at work at once."""

    def __init__(self) -> None:
        super().__init__(name="late")
        self.starting, self.go = threading.Event(), threading.Event()

    def start(self, source) -> None:
        self.thread = threading.current_thread()
        self.starting.set()
        assert self.go.wait(10)
        super().start(source)
        while not self.blocks:
            threading.Event().wait(0.001)


async def test_a_device_that_opens_when_the_call_is_over_is_closed() -> None:
    late = Late()
    async with calling(says(sine(0.1))) as call:
        using = asyncio.create_task(call.use(speaker=late))
        assert await asyncio.to_thread(late.starting.wait, 10)
        await call.hang_up()
        with pytest.raises(DeviceError):
            await using
    late.go.set()
    await asyncio.to_thread(late.thread.join, 10)
    assert late.blocks
    assert late._ticking is None


async def test_a_call_that_is_not_open_has_no_devices() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Call("call_0123456789").use(speaker=Hearing())


class Feeding(NullMicrophone):
    """Pushes the same block, whatever that is."""

    def __init__(self, block: object, rate: int = RATE) -> None:
        super().__init__(rate, name="my board")
        self._block = block

    def start(self, sink) -> None:
        self.run(lambda size: sink.write_rt(self._block), sink.lost)


class Asking(NullSpeaker):
    """Has the same block filled, whatever that is."""

    def __init__(self, block: object, rate: int = RATE) -> None:
        super().__init__(rate, name="my board")
        self.block_ = block

    def start(self, source) -> None:
        self.run(lambda size: source.fill_rt(self.block_), source.lost)


READ_ONLY = np.frombuffer(bytes(320), np.int16)
WRONG = [
    (np.full(160, 0.5, np.float32), "float32, shape (160,)"),
    (np.ones((160, 2), np.int16), "int16, shape (160, 2)"),
    (np.ones(160, np.int32), "int32, shape (160,)"),
    (np.int16(1), "int16"),
    ([1] * 160, "list"),
    (None, "NoneType"),
]


@pytest.mark.parametrize(("block", "what"), [*WRONG, (bytes(320), "bytes")])
async def test_a_microphone_that_gives_no_samples_ends_the_call_and_says_what_it_gave(
    block: Any, what: str
) -> None:
    with pytest.raises(DeviceLost) as caught:
        async with calling(says(sine(0.1)), microphone=Feeding(block)) as call:
            raise (await until(call, Ended)).error or AssertionError("no error")
    assert str(caught.value) == (
        f"microphone 'my board' lost: it gave write_rt {what}, not mono int16, shape (n,)"
    )
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("block", "what"),
    [*WRONG, (bytearray(b"x" * 320), "bytearray"), (READ_ONLY, "int16, shape (160,)")],
)
async def test_a_speaker_that_gives_no_room_for_samples_ends_the_call(
    block: Any, what: str
) -> None:
    with pytest.raises(DeviceLost) as caught:
        async with calling(says(sine(0.1)), speaker=Asking(block)) as call:
            raise (await until(call, Ended)).error or AssertionError("no error")
    assert str(caught.value) == (
        f"speaker 'my board' lost: it gave fill_rt {what}, not mono int16, shape (n,) and writable"
    )
    if not (block is None or block is READ_ONLY or np.isscalar(block)):
        assert not np.frombuffer(bytes(block), np.uint8).any(), "it is silent where it can be"


@pytest.mark.parametrize("rate", [RATE, 2 * RATE])
async def test_a_device_that_gives_no_samples_does_not_take_over(rate: int) -> None:
    floats = np.zeros(160, np.float32)
    async with calling(says(sine(0.1))) as call:
        first = call.microphone, call.speaker
        with pytest.raises(DeviceError, match=r"'my board': it gave write_rt float32"):
            await call.use(microphone=Feeding(floats, rate))
        with pytest.raises(DeviceError, match=r"'my board': it gave fill_rt float32"):
            await call.use(speaker=Asking(floats, rate))
        assert (call.microphone, call.speaker) == first
