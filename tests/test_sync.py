"""A call without asyncio: the emulator runs on a thread of its own, and so does the call."""

from __future__ import annotations

import asyncio
import inspect
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import retell_voice
from retell_voice import (
    AgentStopped,
    AudioFormat,
    CallState,
    ConfigError,
    ConnectError,
    DeviceChanged,
    DeviceError,
    Ended,
    Event,
    NullMicrophone,
    NullSpeaker,
    StateChanged,
)
from retell_voice.emulator import Session, silent_agent
from retell_voice.emulator.fixtures import Emulators, RunningEmulator
from retell_voice.sync import Call

RATE = 8000
AUDIO = AudioFormat(rate=RATE)


async def greeter(session: Session) -> None:
    """Say a tenth of a second, and stay."""
    await session.send_audio(np.full(RATE // 10, 2000, np.int16))
    await silent_agent(session)


def call_to(emulator: RunningEmulator, call_id: str = "", **options: Any) -> Call:
    devices = {"microphone": NullMicrophone(RATE), "speaker": NullSpeaker(RATE)}
    call_id = call_id or emulator.register(AUDIO).call_id
    return Call(call_id, url=emulator.url, audio=AUDIO, **{**devices, **options})


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not [each for each in threading.enumerate() if each.name == "retell-voice call"]


@pytest.fixture
def emulator(retell_emulator: Emulators) -> RunningEmulator:
    return retell_emulator(agent=greeter)


def test_it_has_all_that_a_call_has() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(retell_voice.Call) <= public(Call)
    assert inspect.signature(Call) == inspect.signature(retell_voice.Call)


def test_a_conversation(emulator: RunningEmulator) -> None:
    kinds = []
    with call_to(emulator) as call:
        assert call.state is CallState.LIVE
        call.muted, call.volume = True, 0.5
        assert (call.muted, call.volume) == (True, 0.5)
        assert call.press("1") is False  # a web call has no keypad
        assert (call.audio, call.microphone.rate) == (AUDIO, RATE)
        for event in call:
            kinds.append(type(event))
            if isinstance(event, AgentStopped):
                assert call.statistics().heard > 0.09
                call.use(speaker=NullSpeaker(16000, name="another"))
                call.hang_up()
    assert kinds[0] is StateChanged
    assert DeviceChanged in kinds
    assert kinds[-1] is Ended
    # It is over: what is known of it stays.
    assert call.statistics().heard > 0.09
    assert call.speaker.name == "another"
    assert call.next_event() is None
    assert list(call) == []
    call.hang_up()
    with pytest.raises(DeviceError, match="is over"):
        call.use(speaker=NullSpeaker(RATE))
    with pytest.raises(RuntimeError, match="is over"):
        call.run(asyncio.sleep(0))
    with pytest.raises(RuntimeError, match="only once"), call:
        pass


def test_what_was_not_read_can_be_read_after_leaving(emulator: RunningEmulator) -> None:
    with call_to(emulator) as call:
        assert call.next_event(5) is not None
    assert isinstance(list(call)[-1], Ended)


def test_waiting_has_an_end_of_its_own(emulator: RunningEmulator) -> None:
    with call_to(emulator) as call, pytest.raises(TimeoutError, match=r"no event for 0\.01 s"):
        while call.next_event(0.01) is not None:
            pass


def test_a_call_that_cannot_be_opened(emulator: RunningEmulator) -> None:
    with pytest.raises(ConnectError), call_to(emulator, "call_none"):
        pass
    with pytest.raises(ConfigError):
        Call("")
    call = call_to(emulator)
    for use in (call.next_event, call.statistics, call.hang_up, lambda: call.muted):
        with pytest.raises(RuntimeError, match="inside 'with'"):
            use()


def test_a_generator_that_is_closed_hangs_up(emulator: RunningEmulator) -> None:
    held = call_to(emulator)

    def events() -> Generator[Event, None, None]:
        with held as call:
            yield from call

    reading = events()
    next(reading)
    reading.close()
    assert held.state is CallState.ENDED


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="not on Windows")
@pytest.mark.parametrize("opens", [True, False], ids=["open", "while it is opened"])
def test_ctrl_c_hangs_up(retell_emulator: Emulators, opens: bool) -> None:
    is_there = threading.Event()

    class Late(NullMicrophone):
        def start(self, sink: Any) -> None:
            is_there.set()
            if not opens:
                threading.Event().wait(0.3)
            super().start(sink)

    def interrupt() -> None:
        is_there.wait(10)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    emulator = retell_emulator(agent=silent_agent)
    call = call_to(emulator, microphone=Late(RATE))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt), call:
            list(call)
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert call.state is CallState.ENDED


def test_many_threads_share_a_call(emulator: RunningEmulator) -> None:
    with call_to(emulator) as call, ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(list, call) for _ in range(3)]
        asked = [pool.submit(call.statistics) for _ in range(50)]
        assert all(each.result() for each in asked)
        pool.submit(setattr, call, "muted", True).result()
        for each in [pool.submit(call.hang_up) for _ in range(3)]:
            each.result()
        told = sorted((e for each in readers for e in each.result()), key=lambda e: e.at)
    assert sum(isinstance(event, Ended) for event in told) == 1
    assert len(set(map(id, told))) == len(told)


def test_what_nobody_reads_is_dropped_and_counted(emulator: RunningEmulator) -> None:
    with call_to(emulator, level_interval=0.0001) as call:
        call._call._journal.events._events = type(call._call._journal.events._events)(maxlen=4)
        while not call.statistics().events_dropped:
            call.run(asyncio.sleep(0.01))
    told = list(call)
    assert len(told) < 100
    assert isinstance(told[-1], Ended)


def test_its_own_thread_may_hang_up_but_not_wait(emulator: RunningEmulator) -> None:
    found: list[object] = []

    class Watching:
        def begin(self, _: object) -> None: ...

        def event(self, event: Event) -> None:
            if isinstance(event, AgentStopped):
                call.hang_up()
                found.append(call.statistics().heard)
                try:
                    call.run(asyncio.sleep(0))
                except RuntimeError as error:
                    found.append(str(error))

        def end(self) -> None: ...

    call = call_to(emulator, recorder=Watching())
    with call:
        assert isinstance(list(call)[-1], Ended)
    assert found == [pytest.approx(0.1, abs=0.02), "the call's own thread would wait for itself"]
