"""When open devices rest, and what wakes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.kiosk import soon

from retell_voice.audio.format import AudioFormat
from retell_voice.devices import echo_path
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.lease import Lease
from retell_voice.devices.upkeep import idling
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.echo.ports import EchoMeasures
from retell_voice.events import DeviceChanged

RATE = 8000


class Resting:
    """Notes what it is told to do."""

    def __init__(self) -> None:
        super().__init__(RATE)  # type: ignore[call-arg]  # that of the other base
        self.is_resting = False
        self.told: list[str] = []
        self.wanted: Callable[[], bool] = lambda: False

    def rest(self, wanted: Callable[[], bool]) -> None:
        self.told.append("rest")
        self.wanted, self.is_resting = wanted, wanted()

    def wake(self) -> None:
        self.told.append("wake")
        self.is_resting = False


class Microphone(Resting, NullMicrophone):
    pass


class Speaker(Resting, NullSpeaker):
    pass


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idling, "_REST_SECONDS", 0.3)


def devices(**options: Any) -> AudioIO:
    return AudioIO(Microphone(), Speaker(), rests=True, **options)


async def rest(*each: Any) -> None:
    await soon(lambda: all(device.is_resting for device in each))


async def look(io: AudioIO) -> None:
    """Have it look much later, and wait for what that leads to."""
    io._idling.look(io._idling.used_at + 60.0)
    for side in (io._pair.near, io._pair.far):
        done = threading.Event()
        side._errands.run(done.set)
        await soon(done.is_set)


def lease_of(io: AudioIO) -> Lease:
    audio = AudioFormat(rate=RATE)
    return Lease(
        io,
        sends=audio,
        receives=audio,
        frame_ms=20,
        limit=60.0,
        jitter=(0.04, 0.2),
        post=lambda _: None,
    )


async def test_a_sound_wakes_them_before_it_is_played() -> None:
    async with devices() as io:
        microphone: Any = io.microphone
        speaker: Any = io.speaker
        await rest(microphone, speaker)
        playing = asyncio.create_task(io.play(np.full(800, 500, np.int16)))
        await asyncio.sleep(0)
        assert not speaker.wanted(), "from here on long blocks are for nobody"
        await playing
        assert speaker.told == microphone.told == ["rest", "wake"]
        await rest(microphone, speaker)


async def test_a_call_keeps_them_awake() -> None:
    async with devices() as io:
        microphone: Any = io.microphone
        await rest(microphone, io.speaker)
        lease = lease_of(io)
        lease.begin()
        assert not microphone.wanted()
        await soon(lambda: microphone.told == ["rest", "wake"])
        await look(io)
        assert microphone.told == ["rest", "wake"]
        lease.end()
        await rest(microphone, io.speaker)


@pytest.mark.parametrize(("every", "rests"), [(0.02, False), (0.1, True)])
async def test_who_listens_closely_keeps_one_awake(every: float, rests: bool) -> None:
    async with devices() as io:
        microphone: Any = io.microphone
        with io.listen(every=every):
            await rest(io.speaker)
            if rests:
                await rest(microphone)
            assert microphone.told == (["rest"] if rests else [])
        await rest(microphone)
        with io.listen():
            await soon(lambda: not microphone.is_resting)


async def test_a_meter_keeps_them_awake_until_the_end_of_its_call() -> None:
    async with devices() as io:
        lease = lease_of(io)
        lease.begin()
        io.levels()
        lease.end()
        await rest(io.microphone, io.speaker)


async def test_they_rest_only_where_that_is_wanted() -> None:
    async with AudioIO(Microphone(), Speaker()) as io:
        await look(io)
        microphone: Any = io.microphone
        assert microphone.told == []


async def test_one_that_has_come_back_rests_again() -> None:
    async with devices() as io:
        speaker: Any = io.speaker
        await rest(speaker)
        speaker.is_resting = False
        io._pair.far._gate.lost("unplugged")
        await rest(speaker)
        assert speaker.told == ["rest", "wake", "rest"], "no earlier rest goes on unwanted"


async def test_a_sound_that_comes_while_they_are_told_to_rest_wakes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with devices() as io:
        io._looks.end()
        io._idling.look(io._idling.used_at + 1.0)
        await rest(io.microphone, io.speaker)
        io._idling.wake()
        told = Supervisor.rest

        def too_late(self: Supervisor) -> None:
            io._idling.wake()  # on the event loop, as there is something to play
            told(self)

        monkeypatch.setattr(Supervisor, "rest", too_late)
        io._idling.look(io._idling.used_at + 1.0)
        microphone: Any = io.microphone
        speaker: Any = io.speaker
        await soon(lambda: not (microphone.is_resting or speaker.is_resting))
        assert not microphone.wanted()
        assert not speaker.wanted()


async def test_echo_control_is_told_only_of_devices_that_have_rested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken: list[str] = []
    async with devices() as io:
        monkeypatch.setattr(io.echo, "woken", lambda: woken.append("woken"))
        await rest(io.microphone, io.speaker)
        io._idling.wake()
        assert woken == ["woken"]
        microphone: Any = io.microphone
        speaker: Any = io.speaker
        told: list[object] = []
        for device in (microphone, speaker):
            monkeypatch.setattr(device, "rest", told.append)  # as on a raw card
        await soon(lambda: len(told) == 2)
        io._idling.wake()
        assert woken == ["woken"]


class Passing:
    """Echo control that changes nothing, and counts what it gets."""

    name = "webrtc"

    def __init__(self) -> None:
        self.blocks = 0

    def process(self, near_end: Any, far_end: Any) -> Any:
        self.blocks += 1
        return near_end

    def reset(self) -> None:
        pytest.fail("the room is the same")

    def measures(self) -> EchoMeasures:
        return EchoMeasures()


@pytest.fixture
def canceller(monkeypatch: pytest.MonkeyPatch) -> Passing:
    passing = Passing()
    monkeypatch.setattr(echo_path, "open_control", lambda *_, **__: passing)
    return passing


async def test_echo_control_is_out_of_the_way_while_they_rest(canceller: Passing) -> None:
    async with devices(echo="half-duplex") as io:
        await rest(io.microphone, io.speaker)
        await soon(lambda: io.echo.is_paused)
        before = canceller.blocks, io.near_end.position
        await soon(lambda: io.near_end.position > before[1] + RATE // 2)
        assert canceller.blocks == before[0]
        heard = io.output.reference.ring.written
        await io.play(np.full(RATE // 4, 500, np.int16))
        assert io.output.reference.ring.written >= heard + RATE // 4
        assert canceller.blocks > before[0]
        await soon(lambda: io.echo.is_paused)


async def test_echo_control_stays_where_it_also_reduces_noise(canceller: Passing) -> None:
    async with devices(echo="half-duplex", noise_suppression=True) as io:
        await rest(io.microphone, io.speaker)
        io._idling.look(io._idling.used_at + 1.0)
        assert not io.echo.is_paused


class AdjustableSpeaker(Speaker):
    def suggest_latency(self, latency: object) -> None:
        self.told.append(f"latency {latency}")


async def test_gaps_of_a_rest_too_short_to_be_looked_at_raise_no_latency() -> None:
    async with AudioIO(Microphone(), AdjustableSpeaker(), rests=True) as io:
        io._looks.end()
        side = io._pair.far
        for now in (100.0, 110.0):
            side.look(now)
        side.rest()
        await rest(io.speaker)
        io._idling.wake()
        speaker: Any = io.speaker
        await soon(lambda: not speaker.is_resting)
        side._gate.xruns += 2
        for now in (110.2, 112.5):
            side.look(now)
        assert not side.raised
        side._gate.xruns += 2
        side.look(113.0)
        assert side.raised


async def test_hardware_that_fails_to_rest_goes_on_and_can_still_be_lost() -> None:
    async with devices() as io:
        speaker: Any = io.speaker

        def fails(wanted: Callable[[], bool]) -> None:
            speaker.told.append("rest")
            raise OSError("no such register")

        speaker.rest = fails
        await soon(lambda: speaker.told == ["rest"])
        assert not io.away
        io._pair.far._gate.lost("unplugged")
        assert io.away
        await soon(lambda: not io.away)


async def test_hardware_that_fails_to_wake_is_lost_and_comes_back() -> None:
    async with devices() as io:
        speaker: Any = io.speaker
        changes: list[DeviceChanged] = []

        def fails() -> None:
            raise OSError("no such register")

        speaker.wake = fails
        await rest(speaker)
        io._idling.wake()
        async for event in io:
            assert isinstance(event, DeviceChanged)
            changes.append(event)
            if event.state == "back":
                break
        assert [change.state for change in changes] == ["lost", "back"]
        assert changes[0].why == "it failed to wake: no such register"
