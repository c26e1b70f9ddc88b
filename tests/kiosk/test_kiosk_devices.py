"""A kiosk's devices: muting, volume, sounds, and devices that are away, lost, exchanged or hang."""

from __future__ import annotations

import asyncio
import threading
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.kiosk import RATE, a_kiosk, listens, settings, soon

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.errors import ConfigError, DeviceError
from retell_voice.kiosk import devices
from retell_voice.kiosk.ports import LongPressed, WantsMute, WantsVolume
from retell_voice.kiosk.states import State


async def test_muting_and_volume_reach_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        io = kiosk.devices.io
        assert io is not None
        kiosk.take(LongPressed("a test"))
        assert (io.muted, kiosk.look.muted) == (True, True)
        kiosk.take(WantsVolume("a test", 30))
        kiosk.take(WantsVolume("a test", -10, relative=True))
        assert (io.volume, kiosk.look.volume) == (0.2, 20)
        kiosk.take(WantsVolume("a test", -100, relative=True))
        assert io.volume == 0
        kiosk.press()  # whoever presses is heard
        await kiosk.until(State.IN_CALL)
        assert not io.muted
        kiosk.take(WantsMute("a test", True))
        assert io.muted
        kiosk.press()
        await kiosk.ends()
        assert not io.muted


class Unplugged(NullSpeaker):
    """A speaker that can be lost, and comes back when it is there again."""

    is_there = True
    made: list[Unplugged] = []  # noqa: RUF012 - all of them

    def __init__(self) -> None:
        super().__init__(RATE, name="a speaker")
        self.made.append(self)

    def start(self, source: Any) -> None:
        if not Unplugged.is_there:
            raise DeviceError("a speaker: it is not there")
        self.source = source
        super().start(source)

    @classmethod
    def unplug(cls) -> None:
        cls.is_there = False
        cls.made[-1].stop()
        cls.made[-1].source.lost("it was unplugged")


async def test_a_device_that_is_unplugged_is_a_fault_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Unplugged, "is_there", True)
    async with a_kiosk(monkeypatch, listens, speaker=Unplugged) as kiosk:
        await kiosk.until(State.IDLE)
        Unplugged.unplug()
        look = await kiosk.until(State.FAULTED)
        assert "unplugged" in look.why
        kiosk.press()
        assert (await kiosk.ends()).result == "refused"
        Unplugged.is_there = True
        await kiosk.until(State.IDLE)
        kiosk.press()
        await kiosk.until(State.IN_CALL)
        Unplugged.unplug()  # a call goes on for a while
        await kiosk.seen.until(lambda: "unplugged" in kiosk.look.why)
        assert kiosk.machine.state is State.IN_CALL
        Unplugged.is_there = True
        await kiosk.seen.until(lambda: not kiosk.look.why)
        kiosk.press()
        assert (await kiosk.ends(2)).device_losses == 1


async def test_devices_that_are_not_there_at_boot_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Unplugged, "is_there", False)
    async with a_kiosk(monkeypatch, listens, speaker=Unplugged) as kiosk:
        look = await kiosk.until(State.FAULTED)
        assert "not there" in look.why
        kiosk.press()
        assert (await kiosk.ends()).why == look.why, "what is wrong, and not only that it is"
        Unplugged.is_there = True
        await kiosk.until(State.IDLE)


async def test_devices_that_are_lost_as_soon_as_they_are_open_are_set_up_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = iter((True,))

    class LostAtOnce(Unplugged):
        def start(self, source: Any) -> None:
            super().start(source)
            if next(first, False):
                self.unplug()

    monkeypatch.setattr(Unplugged, "is_there", True)
    async with a_kiosk(monkeypatch, listens, speaker=LostAtOnce, sounds_percent=100) as kiosk:
        kiosk.take(WantsVolume("a test", 30))
        kiosk.take(WantsMute("a test", True))
        await kiosk.until(State.FAULTED)
        io = kiosk.devices.io
        assert io is not None
        assert (io.volume, io.muted) == (0.3, True)
        Unplugged.is_there = True
        await kiosk.until(State.IDLE)
        assert kiosk.devices.io is io
        kiosk.press()
        assert kiosk.is_sounding


class Blocks(NullMicrophone):
    """Takes blocks of another length."""

    block_ms = 10.0

    def suggest_block(self, block_ms: float) -> None:
        self.block_ms = block_ms


class SpeakerBlocks(NullSpeaker):
    """Takes blocks of another length."""

    block_ms = 10.0

    def suggest_block(self, block_ms: float) -> None:
        self.block_ms = block_ms


async def test_devices_that_are_open_all_day_have_blocks_of_a_sound_servers_cycles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    microphone, speaker = Blocks(RATE), SpeakerBlocks(RATE)
    async with a_kiosk(
        monkeypatch, listens, microphone=lambda: microphone, speaker=lambda: speaker
    ) as kiosk:
        await kiosk.until(State.IDLE)
        assert round(microphone.block_ms * 48) == 1024
        assert round(speaker.block_ms * 48) == 512, "shorter: a press is waiting for its sound"


async def test_a_call_that_begins_before_other_devices_are_opened_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        checked, before = asyncio.Event(), kiosk.devices.io
        monkeypatch.setattr(kiosk._source, "check", checked.wait)
        kiosk._checks.begin()
        await kiosk.reload(settings(api_url=kiosk.emulator.api_url, rate=16000))
        assert kiosk._reopening is not None
        kiosk.press()
        await kiosk.until(State.IN_CALL)
        checked.set()
        await kiosk._reopening
        assert (kiosk.machine.state, kiosk.devices.io) == (State.IN_CALL, before)
        kiosk.press()
        assert (await kiosk.ends()).ended_by == "you"
        await kiosk.seen.until(lambda: kiosk.look.state is State.IDLE)
        await soon(lambda: kiosk.devices.io not in (None, before))


async def test_devices_that_hang_end_the_program_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class Hangs(NullSpeaker):
        def start(self, source: Any) -> None:
            released.wait(20)

    monkeypatch.setattr(devices, "_OPENING_SECONDS", 0.05)
    monkeypatch.setattr("retell_voice.threads.detached._HANG_SECONDS", 0.01)
    async with a_kiosk(monkeypatch, listens, speaker=lambda: Hangs(RATE)) as kiosk:
        async with asyncio.timeout(10):
            assert await kiosk.exit_code == 1
        released.set()
        assert "hang" in kiosk.look.why


async def test_a_sound_is_played_by_name_or_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played: list[int] = []

    class Hears(NullSpeaker):
        def start(self, source: Any) -> None:
            block = np.zeros(self.block, np.int16)

            def tick(size: int) -> None:
                source.fill_rt(block[:size])
                played.append(int(np.abs(block[:size]).max()))

            self.run(tick, source.lost)

    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.full(8000, 1234, "<i2").tobytes())
    async with a_kiosk(
        monkeypatch, listens, speaker=lambda: Hears(RATE), sounds_percent=100
    ) as kiosk:
        await kiosk.until(State.IDLE)
        await kiosk.play(str(tmp_path / "a.wav"))
        await soon(lambda: any(1200 < each < 1300 for each in played))
        await kiosk.play("error")
        await soon(lambda: any(4000 < each < 9000 for each in played))
        with pytest.raises(ConfigError, match="No such file"):
            await kiosk.play("/nowhere.wav")
        monkeypatch.setattr("retell_voice.kiosk.audible._LONGEST_SOUND", 100)
        with pytest.raises(ConfigError, match="longer than"):
            await kiosk.play(str(tmp_path / "a.wav"))
