"""Devices that stay open: watched, recovered, listened to and played through, without a call."""

import asyncio
import threading
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.lease import Lease
from retell_voice.devices.streams.reference import ReferenceReader
from retell_voice.errors import ConfigError, DeviceError, DeviceLost
from retell_voice.events import DeviceChanged, Event, InputFinished

RATE = 8000
TIMEOUT = 20.0


class Speaker(NullSpeaker):
    """Keeps what it plays."""

    def __init__(self, rate: int = RATE, *, refuses: bool = False, name: str = "speaker") -> None:
        super().__init__(rate, name=name)
        self.refuses = refuses
        self.starts = self.stops = 0
        self.blocks: list[np.ndarray] = []

    def start(self, source) -> None:
        if self.refuses:
            raise DeviceError("speaker 'speaker' failed to open: it is busy")
        self.starts += 1
        self.source = source

        def tick(size: int) -> None:
            block = np.zeros(size, np.int16)
            source.fill_rt(block)
            self.blocks.append(block)

        self.run(tick, source.lost)

    def stop(self) -> None:
        self.stops += 1
        super().stop()

    @property
    def heard(self) -> np.ndarray:
        return np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int16)


class Microphone(NullMicrophone):
    """Says its samples' numbers."""

    def __init__(self, rate: int = RATE, *, name: str = "microphone") -> None:
        super().__init__(rate, name=name)
        self.starts = 0
        self.said = 0

    def start(self, sink) -> None:
        self.starts += 1
        self.sink = sink

        def tick(size: int) -> None:
            block = (np.arange(self.said, self.said + size) % 30000 + 1).astype(np.int16)
            self.said += size
            sink.write_rt(block)

        self.run(tick, sink.lost)


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[Any]:
    """Open devices of this file's own kinds, and look that no thread is left."""
    options = {"microphone": Microphone(), "speaker": Speaker(), **options}
    before = set(threading.enumerate())
    async with asyncio.timeout(TIMEOUT), AudioIO(**options) as io:
        yield io
    left = [each for each in set(threading.enumerate()) - before if each.is_alive()]
    assert not [each.name for each in left if "near end" in each.name]


async def until(io: AudioIO, state: str) -> DeviceChanged:
    async for event in io:
        if isinstance(event, DeviceChanged) and event.state == state:
            return event
    raise AssertionError(f"closed without {state}")


def lease_of(io: AudioIO, post=lambda _: None) -> Lease:
    audio = AudioFormat(rate=RATE)
    return Lease(
        io, sends=audio, receives=audio, frame_ms=20, limit=60.0, jitter=(0.04, 0.2), post=post
    )


async def test_a_sound_is_heard_whole_and_play_returns_when_it_was() -> None:
    async with opened() as io:
        sound = np.arange(1, 801).astype(np.int16)
        await io.play(sound)
        heard = io.speaker.heard
    begin = np.flatnonzero(heard)[0]
    assert np.array_equal(heard[begin : begin + 800], sound)


async def test_a_wav_file_and_samples_of_another_rate(tmp_path) -> None:
    path = tmp_path / "chime.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.full(3200, 4000, "<i2").tobytes())
    async with opened() as io:
        for sound, rate in ((path, None), (np.full(2400, 4000, np.int16), 12000)):
            io.speaker.blocks.clear()
            await io.play(sound, rate)
            heard = io.speaker.heard
            assert 1560 <= np.count_nonzero(np.abs(heard) > 2000) <= 1640
            assert np.median(heard[heard > 2000]) == 4000


async def test_a_sound_that_cannot_be_played(tmp_path) -> None:
    async with opened() as io:
        with pytest.raises(TypeError, match="a sound must be"):
            await io.play([1, 2, 3])
        with pytest.raises(ConfigError):
            await io.play(tmp_path / "missing.wav")
        long = np.ones(RATE * 60, np.int16)
        playing = [asyncio.create_task(io.play(long)) for _ in range(40)]
        done, waiting = await asyncio.wait(playing, return_when=asyncio.FIRST_EXCEPTION)
        assert all(isinstance(task.exception(), RuntimeError) for task in done)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
    with pytest.raises(RuntimeError, match="not open"):
        await io.play(np.ones(8, np.int16))


async def test_cancelling_a_sound_fades_it_out() -> None:
    async with opened() as io:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await io.play(np.full(RATE * 60, 8000, np.int16))
        await io.play(np.full(80, 1, np.int16))
        heard = io.speaker.heard
    begin = np.flatnonzero(heard)[0]
    steps = np.diff(heard[begin:].astype(int))
    assert steps.min() > -1000, "no click"
    assert heard[-80:].max() <= 1


async def test_a_listener_hears_the_microphone_and_the_speaker() -> None:
    async with opened() as io:
        near, far = [], []
        with io.listen() as microphone, io.listen("far_end") as speaker:
            assert (microphone.rate, speaker.rate) == (RATE, RATE)
            playing = asyncio.create_task(io.play(np.full(400, 77, np.int16)))
            async for samples in microphone:
                near.append(samples)
                far.append(speaker.read())
                if sum(map(len, near)) >= 4000:
                    break
            await playing
            far.append(speaker.read())
    heard = np.concatenate(near)
    assert np.array_equal(heard, np.arange(heard[0], heard[0] + len(heard)))
    assert np.count_nonzero(np.concatenate(far) == 77) == 400
    with pytest.raises(RuntimeError, match="inside its context"):
        microphone.read()
    assert [samples async for samples in microphone] == []


async def test_mute_and_volume_hold_for_listeners_and_sounds() -> None:
    async with opened(volume=0.5) as io:
        io.muted = True
        await asyncio.to_thread(_passed, io, 2)
        with io.listen() as microphone:
            async for samples in microphone:
                assert not samples.any()
                break
        await io.play(np.full(800, 8000, np.int16))
        assert io.speaker.heard.max() == 4000
        io.volume = 2.0
        await io.play(np.full(800, 100, np.int16))
        assert io.speaker.heard[-400:].max() == 200
        with pytest.raises(ValueError, match="outside 0–2"):
            io.volume = 3.0


def _passed(io: Any, blocks: int) -> None:
    """Wait until so many blocks more have come from the microphone."""
    wanted = io.near_end.position + blocks * io.microphone.block
    done = threading.Event()
    while io.near_end.position < wanted:
        done.wait(0.002)


async def test_levels() -> None:
    async with opened() as io:
        io.levels()
        await io.play(np.full(800, 16384, np.int16))
        near, far = io.levels()
    assert near > -40
    assert far == pytest.approx(-6.02, abs=0.01)


async def test_a_device_that_is_lost_comes_back_by_itself_and_it_is_told() -> None:
    async with opened() as io:
        first = io.speaker.source
        first.lost("unplugged")
        lost = await until(io, "lost")
        assert (lost.side, lost.why) == ("far_end", "unplugged")
        assert "unplugged" in io.away
        back = await until(io, "back")
        assert back.at > lost.at >= 0
        assert io.away == ""
        assert io.speaker.starts == 2
        assert io.openings == 3
        await io.play(np.full(80, 1000, np.int16))
        assert io.speaker.heard.max() == 1000


async def test_without_a_call_a_device_may_stay_away_for_as_long_as_it_likes() -> None:
    async with opened(device_timeout=0.3) as io:
        io.speaker.refuses = True
        io.speaker.source.lost("unplugged")
        await until(io, "lost")
        await asyncio.to_thread(_passed, io, 40)  # 0.8 s
        with pytest.raises(DeviceLost, match="unplugged"):
            lease_of(io).begin()
        io.speaker.refuses = False
        await until(io, "back")
        lease = lease_of(io)
        lease.begin()
        lease.end()


async def test_another_device_takes_over_and_is_told() -> None:
    async with opened() as io:
        first, second = io.speaker, Speaker(2 * RATE, name="second")
        await io.use(speaker=second)
        assert io.speaker is second
        changed = await until(io, "changed")
        assert (changed.side, changed.name) == ("far_end", "second")
        played = len(first.blocks)
        await io.play(np.full(800, 1000, np.int16))
        assert len(first.blocks) == played
        assert second.heard.max() >= 1000
        with pytest.raises(DeviceError, match="busy"):
            await io.use(speaker=Speaker(refuses=True))
        assert io.speaker is second
        assert io.openings == 3


async def test_one_call_at_a_time_borrows_it() -> None:
    async with opened() as io:
        one, other = lease_of(io), lease_of(io)
        one.begin()
        with pytest.raises(RuntimeError, match="in use by another call"):
            other.begin()
        one.end()
        one.end()
        other.begin()
        other.end()
    with pytest.raises(RuntimeError, match="not open"):
        lease_of(io).begin()


async def test_a_call_gets_frames_only_from_begin_to_end() -> None:
    frames: list[bytes] = []
    enough = threading.Event()

    def post(notice) -> None:
        if isinstance(notice, bytes):
            frames.append(notice)
            if len(frames) == 5:
                enough.set()

    async with opened() as io:
        await asyncio.to_thread(_passed, io, 3)
        lease = lease_of(io, post)
        assert not frames
        lease.begin()
        assert await asyncio.to_thread(enough.wait, TIMEOUT)
        lease.end()
        count = len(frames)
        await asyncio.to_thread(_passed, io, 3)
        assert len(frames) == count
        said = np.frombuffer(b"".join(frames), "<i2")
    assert np.array_equal(said, np.arange(said[0], said[0] + len(said)))
    assert said[0] > 1


async def test_closing_it_ends_the_call_that_is_up() -> None:
    notices: list[object] = []
    async with opened() as io:
        lease_of(io, notices.append).begin()
    assert any(isinstance(each, DeviceLost) for each in notices)


async def test_a_device_that_cannot_be_opened_leaves_nothing_open() -> None:
    microphone, speaker = Microphone(), Speaker()
    microphone.start = lambda sink: (_ for _ in ()).throw(DeviceError("busy"))  # type: ignore[method-assign]
    with pytest.raises(DeviceError, match="busy"):
        async with AudioIO(microphone, speaker):
            pass
    assert speaker.stops
    assert not speaker._ticking


async def test_it_is_opened_once() -> None:
    async with opened() as io:
        with pytest.raises(RuntimeError, match="opened only once"):
            io.open()
    with pytest.raises(RuntimeError, match="opened only once"):
        io.open()


async def test_its_events_end_when_it_is_closed_and_need_it_open() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        async for _ in AudioIO(Microphone(), Speaker()):
            pass
    async with opened() as io:
        io.microphone.sink.finished()
        found: list[Event] = []

        async def read() -> None:
            found.extend([event async for event in io])

        reading = asyncio.create_task(read())
        await asyncio.to_thread(_passed, io, 2)
    await reading
    assert [type(event) for event in found] == [InputFinished]


async def test_the_watch_ends_with_the_last_one() -> None:
    async with opened():
        assert "retell-voice watch" in {thread.name for thread in threading.enumerate()}
    for thread in threading.enumerate():
        if thread.name == "retell-voice watch":
            thread.join(TIMEOUT)
            assert not thread.is_alive()


def test_what_is_closed_while_a_device_hangs_leaves_nothing_once_that_is_over() -> None:
    hangs, released = threading.Event(), threading.Event()

    class Hangs(Speaker):
        def start(self, source: Any) -> None:
            hangs.set()
            released.wait(TIMEOUT)

    before = set(threading.enumerate())
    io = AudioIO(Microphone(), Hangs())
    io.near_end.use_echo_control(lambda samples, _: samples)  # on a thread of its own
    opening = threading.Thread(target=io.open)
    opening.start()
    assert hangs.wait(TIMEOUT)
    io.close()
    released.set()
    opening.join(TIMEOUT)
    for thread in set(threading.enumerate()) - before:
        thread.join(TIMEOUT)
        assert not thread.is_alive(), thread.name


async def test_echo_control_has_what_it_needs(monkeypatch) -> None:
    """A perfect canceller: what comes back of what was played is taken away, by its time, which
    passes as blocks are played: a busy machine plays some of them late, and then too fast."""

    class Room(Microphone):
        """Hears what its speaker played half a second ago, half as loud."""

        def __init__(self, speaker: Speaker) -> None:
            super().__init__()
            self.speaker = speaker
            self.heard = 0

        def start(self, sink) -> None:
            def tick(size: int) -> None:
                played = self.speaker.heard
                start = len(played) - size - RATE // 2
                block = played[max(start, 0) : max(start + size, 0)] // 2
                sink.write_rt(np.pad(block, (size - len(block), 0)), size / RATE)

            self.run(tick, sink.lost)

    speaker = Speaker()

    def now() -> float:
        return len(speaker.blocks) * speaker.block / RATE

    for place in ("devices.streams.output", "threads.relay"):
        monkeypatch.setattr(f"retell_voice.{place}.monotonic", now)
    async with opened(microphone=Room(speaker), speaker=speaker) as io:
        reader = ReferenceReader(io.output.reference, io.near_end.rate)
        pairs: list[tuple[np.ndarray, np.ndarray]] = []

        def pair(samples: np.ndarray, at: float) -> np.ndarray:
            pairs.append((samples, reader.read(len(samples), at - 0.5)))
            return samples

        io.near_end.use_echo_control(pair)
        rising = np.repeat(np.arange(0, 8000, 100), 100).astype(np.int16)
        await io.play(rising)
        await asyncio.to_thread(_passed, io, 40)
        io.near_end.use_echo_control(None)
    near = np.concatenate([each for each, _ in pairs]).astype(int)
    far = np.concatenate([each for _, each in pairs]).astype(int) // 2
    assert near.max() > 3900
    lags = range(-400, 401)
    best = max(lags, key=lambda lag: np.dot(near[500:-500], np.roll(far, lag)[500:-500]))
    assert abs(best) <= 0.025 * RATE, "in step to within a block and the jitter of two clocks"
