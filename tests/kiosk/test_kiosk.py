"""A kiosk in this process: presses, calls, and what goes wrong, against the emulator."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import wave
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cable import Cable
from support.kiosk import KEY, LONG, RATE, a_kiosk, settings, soon

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator, ParrotSettings, Session, parrot_agent
from retell_voice.engine.call import Call
from retell_voice.engine.timing import Timing
from retell_voice.errors import ConfigError, DeviceError
from retell_voice.events import Utterance
from retell_voice.kiosk import devices, held, placing
from retell_voice.kiosk.kiosk import Kiosk
from retell_voice.kiosk.ports import LongPressed, WantsCall, WantsHangUp, WantsMute, WantsVolume
from retell_voice.kiosk.sounds import Sounds
from retell_voice.kiosk.states import LIMITS, Say, State

QUICK = Timing(heartbeat=0.1, silence_limit=0.4)


async def listens(session: Session) -> None:
    """An agent that says nothing and stays."""
    async for _ in session:
        pass


async def test_a_press_calls_and_another_one_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, parrot_agent(ParrotSettings())) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        assert kiosk.look.state is State.DIALLING
        await kiosk.seen.until(lambda: kiosk.look.speaking)
        kiosk.press()
        account = await kiosk.ends()
        await kiosk.until(State.IDLE)
    assert kiosk.seen.states == [
        *("idle", "dialling", "in call", "wrapping up", "cooling down", "idle")
    ]
    assert (account.result, account.ended_by, account.source) == ("over", "you", "a test")
    assert account.dialled is not None
    assert account.dialled < 5
    assert kiosk.look.calls == 1


async def test_a_call_that_nobody_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, State.DIALLING, 0.2)
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        monkeypatch.setattr(kiosk._source, "place", lambda _: asyncio.Event().wait())
        kiosk.press()
        account = await kiosk.ends()
        await kiosk.seen.until(lambda: "offline" in kiosk.seen.states)
    assert (account.result, account.dialled) == ("cut off", None)
    assert account.why == "the call did not begin within 0 s"
    assert kiosk.seen.states[1:4] == ["dialling", "wrapping up", "offline"]


async def test_the_server_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leaves(session: Session) -> None:
        return

    async with a_kiosk(
        monkeypatch,
        leaves,
    ) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.take(WantsCall("wake word", 0.9, by_voice=True))
        account = await kiosk.ends()
        await kiosk.until(State.IDLE)
    assert (account.ended_by, account.result, account.score) == ("server", "over", 0.9)
    assert account.was_false_wake
    assert kiosk.tally.false_wakes == 1


async def test_a_call_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, listens, max_minutes=0.3 / 60) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        account = await kiosk.ends()
        assert account.ended_by == "you"
        assert 0.2 < account.lasted < 5


class Noise(NullMicrophone):
    """Hears a loud room."""

    def __init__(self) -> None:
        super().__init__(RATE)

    def start(self, sink: Any) -> None:
        noise = np.random.default_rng(1).integers(-9000, 9000, self.block).astype(np.int16)
        self.run(lambda size: sink.write_rt(noise[:size]), sink.lost)


async def test_silence_is_hung_up_on_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, listens, silence_seconds=0.4) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        assert (await kiosk.ends()).ended_by == "you"


async def test_noise_that_nobody_understands_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def updates(session: Session) -> None:
        await session.update((Utterance("agent", "Hello."),))
        await listens(session)

    async with a_kiosk(monkeypatch, updates, microphone=Noise, silence_seconds=1.0) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        account = await kiosk.ends()
    assert not account.spoken


async def test_noise_counts_where_the_server_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_kiosk(monkeypatch, listens, microphone=Noise, silence_seconds=1.0) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        await kiosk.until(State.IN_CALL)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await kiosk.ends()
        kiosk.take(WantsHangUp("a test"))
        assert (await kiosk.ends()).spoken


async def test_muting_and_volume_reach_the_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(
        monkeypatch,
        listens,
    ) as kiosk:
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


async def test_a_press_while_dialling_leaves_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(
        monkeypatch,
        listens,
    ) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        kiosk.press()
        account = await kiosk.ends()
        await kiosk.until(State.IDLE)
        assert (account.result, account.dialled) == ("over", None)
        assert not kiosk.emulator.sessions


async def test_no_network_at_boot_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    async with a_kiosk(monkeypatch, api_url=f"http://127.0.0.1:{unused_tcp_port}") as kiosk:
        look = await kiosk.until(State.OFFLINE)
        assert "refused the connection" in look.why
        kiosk.press()  # is tried at once
        account = await kiosk.ends()
        assert account.result == "cut off"
        await kiosk.until(State.OFFLINE)
        async with Emulator(agent=listens, port=unused_tcp_port):
            await kiosk.until(State.IDLE)
            assert kiosk.look.why == ""
            kiosk.press()
            await kiosk.until(State.IN_CALL)
        assert (await kiosk.ends(2)).ended_by == "server"


async def test_a_revoked_key_is_a_fault_until_there_is_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("key_of_someone_else\n")
    file.chmod(0o600)
    async with a_kiosk(monkeypatch, listens, api_key_file=str(file)) as kiosk:
        look = await kiosk.until(State.FAULTED)
        assert "does not accept the API key" in look.why
        assert "someone" not in repr(kiosk.seen.all_looks)
        kiosk.press()
        assert (await kiosk.ends()).result == "refused"
        await kiosk.until(State.FAULTED)
        file.write_text(KEY)
        await kiosk.until(State.IDLE)


@pytest.mark.parametrize(
    ("status", "retry_after", "state"),
    [(503, None, State.OFFLINE), (429, 1.0, State.OFFLINE), (402, None, State.FAULTED)],
)
async def test_what_a_server_answers_leads_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, status: int, retry_after: float | None, state: State
) -> None:
    monkeypatch.setattr("retell_voice.rest.api._PAUSES", (0.001, 0.001))
    async with a_kiosk(
        monkeypatch,
        listens,
    ) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.emulator.refuse(status, 3, retry_after)
        loop = asyncio.get_running_loop()
        began = loop.time()
        kiosk.press()
        await kiosk.until(state)
        await kiosk.until(State.IDLE)
        if status == 429:
            assert loop.time() - began >= 1.0, "it asks when it may"


async def test_a_server_that_fails_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        await kiosk.until(State.IN_CALL)
        for session in kiosk.emulator.sessions:
            await session.close(1011, "gone", "error_retell")
        account = await kiosk.ends()
        assert (account.result, account.ended_by) == ("cut off", "server")
        await kiosk.until(State.IDLE)


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_call_whose_network_is_lost_and_the_next_one(
    monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """The connection is reset; or nothing comes any more, as behind a router without power."""
    monkeypatch.setattr(held, "Call", partial(Call, timing=QUICK))
    monkeypatch.setattr(placing, "_REACH_SECONDS", 0.3)
    said: list[Say] = []
    monkeypatch.setattr(Sounds, "say", lambda _, say: said.append(say))
    async with Emulator(agent=listens, api_key=KEY) as emulator, Cable(emulator.api_url) as cable:
        websocket = f"ws{cable.url.removeprefix('http')}/audio-websocket"
        async with a_kiosk(monkeypatch, None, api_url=cable.url, url=websocket) as kiosk:
            await kiosk.until(State.IDLE)
            kiosk.press()
            await kiosk.until(State.IN_CALL)
            cable.pull()
            if is_told:
                cable.reset()
            account = await kiosk.ends()
            assert (account.result, account.ended_by) == ("cut off", "network")
            assert kiosk.look.state.value == "offline"
            assert said[-1] is Say.OFFLINE
            kiosk.press()  # nobody waits for the next check
            assert kiosk.look.state.value == "dialling"
            cable.plug()
            await kiosk.until(State.IN_CALL)
            kiosk.press()
            assert (await kiosk.ends(2)).result == "over"
            await kiosk.until(State.IDLE)
            await soon(lambda: not emulator.sessions)


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
    async with a_kiosk(
        monkeypatch,
        listens,
        speaker=Unplugged,
    ) as kiosk:
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
    async with a_kiosk(
        monkeypatch,
        listens,
        speaker=Unplugged,
    ) as kiosk:
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


async def test_other_settings_are_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.emulator.refuse(429, 1, 2 * LONG)  # nobody listens to dialling for that long
        kiosk.press()
        await kiosk.until(State.OFFLINE)
        await kiosk.reload(settings(api_url=kiosk.emulator.api_url))
        await kiosk.until(State.IDLE)


async def test_other_settings_hold_from_the_next_call_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with a_kiosk(monkeypatch, listens) as kiosk:
        url = kiosk.emulator.api_url
        await kiosk.until(State.IDLE)
        kiosk.press()
        await kiosk.until(State.IN_CALL)
        with pytest.raises(ConfigError, match="give one"):
            await kiosk.reload(settings(api_url=url, call_command="true"))
        before = kiosk.devices.io
        await kiosk.reload(settings(api_url=url, volume=50, max_minutes=0.2 / 60, echo="off"))
        assert kiosk.look.volume == 50
        assert kiosk.machine.state is State.IN_CALL, "the call goes on"
        kiosk.press()
        await kiosk.ends()
        await kiosk.until(State.IDLE)
        assert kiosk.devices.io is before
        kiosk.press()
        assert (await kiosk.ends(2)).lasted < 5

        await kiosk.until(State.IDLE)
        await kiosk.reload(settings(api_url=url, rate=16000))
        await kiosk.seen.until(lambda: kiosk.look.state is State.FAULTED)
        await kiosk.until(State.IDLE)
        assert kiosk.devices.io is not before


async def test_whoever_presses_like_mad_leaves_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = random.Random(3)
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        for _ in range(300):
            kiosk.press()
            if pauses.random() < 0.7:
                await asyncio.sleep(pauses.random() * 0.02)
        kiosk.take(WantsHangUp("a test"))
        await kiosk.until(State.IDLE)
        await kiosk.seen.until(lambda: len(kiosk.seen.accounts) == kiosk.look.calls)
        assert kiosk.look.calls > 20
        assert not kiosk.emulator.sessions
        assert {each.result for each in kiosk.seen.accounts} == {"over"}


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


def test_it_must_be_said_whom_to_call() -> None:
    async def made(**values: Any) -> None:
        Kiosk(settings(**values), None)  # type: ignore[arg-type]  # it is not reached

    with pytest.raises(ConfigError, match="nothing says"):
        asyncio.run(made(agent=None))
    with pytest.raises(ConfigError, match="give one"):
        asyncio.run(made(call_url="https://a.test"))


def _open_files() -> int:
    return len(os.listdir("/dev/fd"))


async def test_fifty_presses_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, parrot_agent(ParrotSettings())) as kiosk:
        await kiosk.until(State.IDLE)

        async def call() -> None:
            kiosk.press()
            await kiosk.until(State.IN_CALL)
            kiosk.press()
            await kiosk.ends(kiosk.look.calls)
            await kiosk.until(State.IDLE)

        def counted() -> tuple[int, int, int]:
            gc.collect()
            return threading.active_count(), _open_files(), len(asyncio.all_tasks())

        for _ in range(5):
            await call()
        await asyncio.sleep(0.2)
        before = counted()
        for _ in range(50):
            await call()
        for _ in range(100):  # what both sides are still closing
            if counted() <= before:
                break
            await asyncio.sleep(0.05)
        assert counted() <= before
        assert {each.result for each in kiosk.seen.accounts} == {"over"}
        assert len(kiosk.seen.accounts) == 55
        assert kiosk.devices.io is not None
        assert kiosk.devices.io.openings == 2, "nothing was opened for a call"


async def test_a_web_call_and_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiortc")
    rate = 48000
    async with a_kiosk(
        monkeypatch,
        parrot_agent(ParrotSettings()),
        microphone=lambda: NullMicrophone(rate),
        speaker=lambda: NullSpeaker(rate),
        transport="webrtc",
    ) as kiosk:
        await kiosk.until(State.IDLE)
        for number in (1, 2):
            kiosk.press()
            await kiosk.seen.until(
                lambda: kiosk.look.speaking or len(kiosk.seen.accounts) == kiosk.look.calls
            )
            assert kiosk.look.speaking, kiosk.seen.accounts
            kiosk.press()
            account = await kiosk.ends(number)
            await kiosk.until(State.IDLE)
            assert (account.result, account.ended_by) == ("over", "you"), account
        kiosk.press()
        kiosk.press()  # while it is dialled
        assert (await kiosk.ends(3)).dialled is None
        await kiosk.until(State.IDLE)
        await soon(lambda: not kiosk.emulator.sessions)
