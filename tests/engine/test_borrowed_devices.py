"""Calls that borrow devices which stay open, over real sockets."""

import asyncio

import numpy as np
import pytest
from support.calls import AUDIO, Agent, until

from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator, Session
from retell_voice.engine.call import Call
from retell_voice.errors import DeviceLost
from retell_voice.events import AgentStarted, AgentStopped, DeviceChanged, Ended, Statistics
from retell_voice.transport.ports import Route
from retell_voice.transport.route import web_route

RATE = AUDIO.rate


class Hearing(NullSpeaker):
    """Keeps what it plays."""

    def __init__(self) -> None:
        super().__init__(RATE, name="speaker")
        self.starts = 0
        self.blocks: list[np.ndarray] = []

    def start(self, source) -> None:
        self.starts += 1
        self.source = source

        def tick(size: int) -> None:
            block = np.zeros(size, np.int16)
            source.fill_rt(block)
            self.blocks.append(block)

        self.run(tick, source.lost)

    @property
    def heard(self) -> np.ndarray:
        return np.concatenate(self.blocks)


class Counting(NullMicrophone):
    """Says its samples' numbers, from 1 to 30000."""

    def __init__(self) -> None:
        super().__init__(RATE, name="microphone")
        self.starts = 0
        self._said = 0

    def start(self, sink) -> None:
        self.starts += 1

        def tick(size: int) -> None:
            sink.write_rt((np.arange(self._said, self._said + size) % 30000 + 1).astype(np.int16))
            self._said += size

        self.run(tick, sink.lost)


def route_to(emulator: Emulator, call_id: str) -> Route:
    return web_route(call_id, url=emulator.url, audio=AUDIO)


def says(level: int, count: int = 1600) -> Agent:
    async def agent(session: Session) -> None:
        await session.send_audio(np.full(count, level, np.int16))
        async for _ in session:
            pass

    return agent


async def test_three_calls_in_a_row_open_no_device_again() -> None:
    microphone, speaker = Counting(), Hearing()
    sent: list[np.ndarray] = []
    async with asyncio.timeout(60), AudioIO(microphone, speaker) as io:
        for level in (1000, 2000, 3000):
            async with Emulator(agent=says(level), record=True) as emulator:
                registered = emulator.register(AUDIO)
                call = Call(route_to(emulator, registered.call_id), audio=io)
                async with call:
                    assert (call.microphone, call.speaker) == (microphone, speaker)
                    await until(call, AgentStarted)
                    await until(call, AgentStopped)
                    await until(call, Statistics)
                    statistics = call.statistics()
                sent.append(registered.received)
            assert statistics.frames_sent > 0
            await io.play(np.full(80, 50, np.int16))
        assert (microphone.starts, speaker.starts, io.openings) == (1, 1, 2)
        heard = speaker.heard
    for level in (1000, 2000, 3000):
        assert np.count_nonzero(heard == level) >= 1600
    assert np.count_nonzero(heard == 50) == 3 * 80
    for said in sent:
        steps = np.diff(said.astype(int))
        assert set(steps) <= {1, -29999}, "nothing is lost within a call"
    assert sent[0][0] > 1 or sent[1][0] != 1, "what was said between calls is sent to nobody"


async def test_an_interrupted_call_leaves_nothing_for_the_next_one() -> None:
    speaker = Hearing()
    async with asyncio.timeout(60), AudioIO(Counting(), speaker) as io:
        async with Emulator(agent=says(5000, 60 * RATE)) as emulator:
            call_id = emulator.register(AUDIO).call_id
            async with Call(route_to(emulator, call_id), audio=io) as call:
                await until(call, AgentStarted)
                await call.hang_up()
        speaker.blocks.clear()
        async with Emulator(agent=says(700)) as emulator:
            call_id = emulator.register(AUDIO).call_id
            async with Call(route_to(emulator, call_id), audio=io) as call:
                assert call.statistics().heard == 0
                await until(call, AgentStarted)
                await until(call, AgentStopped)
        assert set(np.abs(speaker.heard)) <= set(range(701))


async def test_the_figures_of_a_call_are_its_own() -> None:
    async with asyncio.timeout(60), AudioIO(Counting(), Hearing()) as io:
        io.output.xruns, io.near_end.xruns = 7, 8
        async with Emulator(agent=says(100)) as emulator:
            call_id = emulator.register(AUDIO).call_id
            async with Call(route_to(emulator, call_id), audio=io) as call:
                await until(call, AgentStarted)
                statistics = call.statistics()
        assert (statistics.playback_xruns, statistics.capture_xruns) == (0, 0)


async def test_mute_and_volume_last_from_one_call_to_the_next() -> None:
    speaker = Hearing()
    async with asyncio.timeout(60), AudioIO(Counting(), speaker) as io:
        for number in range(2):
            async with Emulator(agent=says(1000), record=True) as emulator:
                registered = emulator.register(AUDIO)
                async with Call(route_to(emulator, registered.call_id), audio=io) as call:
                    assert (call.muted, call.volume) == ((False, 1.0), (True, 0.5))[number]
                    call.muted, call.volume = True, 0.5
                    await until(call, AgentStopped)
        assert not registered.received.any()
        assert speaker.heard[-800:].max() <= 500


async def test_a_device_lost_in_a_call_is_told_to_it_and_to_the_owner_and_comes_back() -> None:
    speaker = Hearing()
    async with asyncio.timeout(60), AudioIO(Counting(), speaker) as io:
        async with Emulator(agent=says(100)) as emulator:
            call_id = emulator.register(AUDIO).call_id
            async with Call(route_to(emulator, call_id), audio=io) as call:
                await until(call, AgentStarted)
                speaker.source.lost("unplugged")
                assert (await until(call, DeviceChanged)).state == "lost"
                assert (await until(call, DeviceChanged)).state == "back"
        told = []
        async for event in io:
            told.append((type(event), getattr(event, "state", "")))
            if len(told) == 2:
                break
        assert told == [(DeviceChanged, "lost"), (DeviceChanged, "back")]


async def test_devices_that_stay_away_end_the_call_and_are_still_brought_back() -> None:
    async with asyncio.timeout(60), Emulator(agent=says(100)) as emulator:
        speaker = Hearing()
        async with AudioIO(Counting(), speaker, device_timeout=0.3) as io:
            call_id = emulator.register(AUDIO).call_id
            async with Call(route_to(emulator, call_id), audio=io) as call:
                await until(call, AgentStarted)
                start = speaker.start
                speaker.start = refuse  # type: ignore[method-assign]
                speaker.source.lost("unplugged")
                ended = await until(call, Ended)
            assert isinstance(ended.error, DeviceLost)
            speaker.start = start  # type: ignore[method-assign]
            async for event in io:
                if isinstance(event, DeviceChanged) and event.state == "back":
                    break
            call_id = emulator.register(AUDIO).call_id
            async with Call(route_to(emulator, call_id), audio=io) as call:
                await until(call, AgentStarted)


def refuse(source: object) -> None:
    raise OSError("busy")


async def test_closing_the_devices_ends_the_call() -> None:
    async with asyncio.timeout(60), Emulator(agent=says(100)) as emulator:
        call_id = emulator.register(AUDIO).call_id
        async with AudioIO(Counting(), Hearing()) as io:
            call = await Call(route_to(emulator, call_id), audio=io).__aenter__()
            await until(call, AgentStarted)
        ended = await until(call, Ended)
        assert isinstance(ended.error, DeviceLost)
        await call.__aexit__(None, None, None)


async def test_devices_that_are_not_open_or_in_another_call_are_refused() -> None:
    async with asyncio.timeout(60), Emulator(agent=says(100)) as emulator:
        io = AudioIO(Counting(), Hearing())
        route = route_to(emulator, emulator.register(AUDIO).call_id)
        with pytest.raises(RuntimeError, match="not open"):
            await Call(route, audio=io).__aenter__()
        async with io:
            first = route_to(emulator, emulator.register(AUDIO).call_id)
            async with Call(first, audio=io) as call:
                second = route_to(emulator, emulator.register(AUDIO).call_id)
                with pytest.raises(RuntimeError, match="in use by another call"):
                    await Call(second, audio=io).__aenter__()
                await until(call, Statistics)
                assert call.statistics().frames_sent > 0, "the first call has them still"


async def test_a_call_is_entered_once() -> None:
    async with asyncio.timeout(60), Emulator(agent=says(100)) as emulator:
        call = Call(
            emulator.register(AUDIO).call_id,
            url=emulator.url,
            audio=AUDIO,
            microphone=Counting(),
            speaker=Hearing(),
        )
        async with call:
            with pytest.raises(RuntimeError, match="entered only once"):
                await call.__aenter__()
            await until(call, AgentStarted)
        with pytest.raises(RuntimeError, match="entered only once"):
            async with call:
                pass
