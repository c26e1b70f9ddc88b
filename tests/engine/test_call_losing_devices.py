"""Devices that are lost, come back, fall silent or fail while a call goes on."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.calls import (
    Flaky,
    calling,
    collect,
    ended,
    heard_whole,
    listen,
    opened_io,
    tone,
    until,
)
from support.supervision import time_supervisors

from retell_voice.devices.files import NullMicrophone, WavSpeaker, WavWriter, read_wav
from retell_voice.devices.ports import DeviceTraits
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.watchdog import ZerosWatch
from retell_voice.emulator import Session
from retell_voice.errors import DeviceError, DeviceLost
from retell_voice.events import (
    AgentStopped,
    DeviceChanged,
    Ended,
    InputFinished,
    Levels,
    MicrophoneSilent,
    Statistics,
)


async def test_without_a_device_timeout_a_lost_device_ends_the_call_with_its_error() -> None:
    speaker = Flaky("lost")
    async with calling(listen, speaker=speaker, device_timeout=0) as call:
        await until(call, Statistics)
        threading.Thread(target=speaker.source.lost, args=("it was unplugged",)).start()
        end = ended(await collect(call))
    assert (end.by, end.reason) == ("device", "speaker 'nothing' lost: it was unplugged")
    assert isinstance(end.error, DeviceLost)
    assert end.statistics.device_losses == 1


async def test_a_device_that_stops_without_a_word_is_lost() -> None:
    speaker = Flaky("silent")
    speaker.traits = DeviceTraits(block_timeout=0.1, start_timeout=0.1)
    async with calling(listen, speaker=speaker, device_timeout=0) as call:
        end = ended(await collect(call))
    assert end.by == "device"
    assert "it opens, but no audio passes" in end.reason


async def test_a_device_that_stays_away_ends_the_call(monkeypatch) -> None:
    time_supervisors(monkeypatch, retry=0.02)
    speaker = Flaky("lost")
    async with calling(listen, speaker=speaker, device_timeout=0.2) as call:
        await until(call, Statistics)
        speaker.how = "busy"
        speaker.source.lost("it was unplugged")
        events = await collect(call)
    end = ended(events)
    assert end.by == "device"
    why = "it was unplugged; it did not come back within 0.2 s"
    assert end.reason == f"speaker 'nothing' lost: {why}"
    assert end.error
    assert end.error.hint == "the last attempt: speaker: it is busy"
    (change,) = (event for event in events if isinstance(event, DeviceChanged))
    assert change.state == "lost"
    assert change.at <= end.at - 0.2


class Unplugged(Flaky):
    """Is lost while the first words play and comes back when it may; keeps what it played."""

    def __init__(self) -> None:
        super().__init__("")
        self.heard: list[np.ndarray] = []
        self.plugged = True

    def start(self, source) -> None:
        if not self.plugged:
            raise DeviceError("speaker: it is not there")
        block = np.zeros(self.block, np.int16)
        self.source = source

        def tick(size: int) -> None:
            source.fill_rt(block)
            self.heard.append(block.copy())
            if self.plugged and block[0] == 1000 and len(self.heard) > 50:
                self.plugged = False
                source.lost("it was unplugged")

        self.run(tick, source.lost)


async def test_a_speaker_that_comes_back_is_heard_again_and_time_went_on(monkeypatch) -> None:
    time_supervisors(monkeypatch, retry=0.02)
    played = asyncio.Event()

    async def agent(session: Session) -> None:
        await session.send_audio(tone(1.5, 1000))
        await played.wait()
        await session.send_audio(tone(0.2, 2000))
        await session.close(1000)

    speaker = Unplugged()
    states = []
    async with calling(agent, speaker=speaker) as call:
        async for event in call:
            end = event
            match event:
                case DeviceChanged():
                    states.append((event.side, event.state, event.name))
                case AgentStopped() if not played.is_set():
                    # The words that nobody heard took the time they take.
                    assert event.silent_since > 1.5
                    speaker.plugged = True
                    while len(states) < 2 and (back := await until(call, DeviceChanged)):
                        states.append((back.side, back.state, back.name))
                    played.set()
    assert states == [("far_end", "lost", "nothing"), ("far_end", "back", "nothing")]
    heard = np.concatenate(speaker.heard)
    assert 0 < np.count_nonzero(heard == 1000) < 1.4 * 8000
    assert heard_whole(heard, 2000, 1600)
    assert isinstance(end, Ended)
    assert (end.by, end.error) == ("server", None)
    assert end.statistics.heard == pytest.approx(1.7)
    assert end.statistics.device_losses == 1


class Deaf(NullMicrophone):
    """A microphone that nobody lets hear."""

    traits = replace(NullMicrophone.traits, never_silent=True)


async def test_a_microphone_of_zeros_is_told_once(monkeypatch) -> None:
    monkeypatch.setattr("retell_voice.devices.upkeep.watchdog.ZEROS_TIMEOUT", 0.1)
    async with calling(listen, microphone=Deaf(8000)) as call:
        silent = await until(call, MicrophoneSilent)
        await until(call, Statistics)
        await call.hang_up()
        events = await collect(call)
    assert (silent.name, silent.at > 0.1) == ("silence", True)
    assert not any(isinstance(event, MicrophoneSilent) for event in events)


async def test_a_microphone_of_zeros_is_opened_anew_once(monkeypatch) -> None:
    starts = []

    class Mends(Deaf):
        def start(self, sink) -> None:
            starts.append(sink)
            super().start(sink)

    async with calling(listen, microphone=Mends(8000)) as call:
        await until(call, Statistics)
        drift = opened_io(call).capture_drift
        monkeypatch.setattr(ZerosWatch, "look", lambda *_, **__: True)  # silent again and again
        for _ in range(3):
            await until(call, MicrophoneSilent)
        await until(call, Statistics)
        assert len(starts) == 2
        assert opened_io(call).capture_drift is not drift, "a pause is no drift"
        await call.hang_up()


class Humming(NullMicrophone):
    """Is never quiet."""

    def start(self, sink) -> None:
        self.run(lambda size: sink.write_rt(np.full(size, 201, np.int16)), sink.lost)


async def test_who_may_not_be_interrupted_when(monkeypatch) -> None:
    """A device that is opened anew costs a gap: the speaker's in silence, the microphone's
    while its user listens, or is quiet."""
    sides: dict[str, bool] = {}
    pauses: list[tuple[bool, bool]] = []  # near end, far end, which is looked at last

    def look(self: Supervisor, now: float, *, pause: bool) -> None:
        sides[self._side] = pause
        if self._side == "far_end":
            pauses.append((sides["near_end"], pause))

    async def looked(expected: tuple[bool, bool]) -> None:
        before = len(pauses)
        while expected not in pauses[before:]:
            await until(call, Levels)

    monkeypatch.setattr(Supervisor, "look", look)
    monkeypatch.setattr(Supervisor, "raised", True)
    spoken = asyncio.Event()

    async def agent(session: Session) -> None:
        await session.send_audio(tone(60))
        await spoken.wait()
        await session.clear()
        await listen(session)

    async with calling(agent, level_interval=0.02, microphone=Humming(8000)) as call:
        async with asyncio.timeout(20):
            await looked((True, False))
            spoken.set()
            await looked((False, True))
            call.muted = True
            await looked((True, True))
        await call.hang_up()
    assert (False, False) not in pauses, "one of them may always be interrupted"


async def test_a_full_disk_ends_the_call_and_the_file_is_not_begun_again(
    tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "agent.wav"
    write, room = WavWriter.write, iter(range(10))

    def fill(writer: WavWriter, samples: np.ndarray) -> None:
        if next(room, None) is None:
            raise OSError(28, "No space left on device")
        write(writer, samples)

    monkeypatch.setattr(WavWriter, "write", fill)
    async with calling(listen, speaker=WavSpeaker(path, 8000)) as call:
        end = ended(await collect(call))
    assert end.by == "device"
    why = f"speaker 'agent.wav' lost: {path}: No space left on device"
    assert end.reason == f"{why}; the first 0.2 s were saved"
    assert len(read_wav(path)[0]) == 10 * 160


async def test_a_microphone_that_has_finished_is_followed_by_silence() -> None:
    class Brief(NullMicrophone):
        traits = DeviceTraits(block_timeout=0.1)

        def start(self, sink) -> None:
            sink.write_rt(tone(0.1))
            sink.finished()

    async def agent(session: Session) -> None:
        heard = 0
        async for samples in session:
            heard += len(samples)
            if heard > 4000:
                return

    async with calling(agent, microphone=Brief(8000)) as call:
        events = await collect(call)
    assert any(isinstance(event, InputFinished) for event in events)
    assert (ended(events).by, ended(events).error) == ("server", None)
    assert ended(events).statistics.device_losses == 0
