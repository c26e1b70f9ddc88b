"""A kiosk in this process: presses, calls and other settings, against the emulator."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.kiosk import LONG, RATE, a_kiosk, listens, settings, soon

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import ParrotSettings, Session, parrot_agent
from retell_voice.errors import ConfigError
from retell_voice.events import Utterance
from retell_voice.kiosk.kiosk import Kiosk
from retell_voice.kiosk.ports import WantsCall, WantsHangUp
from retell_voice.kiosk.states import LIMITS, State


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

    async with a_kiosk(monkeypatch, leaves) as kiosk:
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


async def test_a_press_while_dialling_leaves_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        kiosk.press()
        account = await kiosk.ends()
        await kiosk.until(State.IDLE)
        assert (account.result, account.dialled) == ("over", None)
        assert not kiosk.emulator.sessions


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
