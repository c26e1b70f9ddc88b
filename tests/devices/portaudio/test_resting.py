"""A device that rests: a stream of long blocks beside the quick one, which is stopped."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sounddevice

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.portaudio import choosing, library, resting, spinning
from retell_voice.devices.portaudio import devices as portaudio
from retell_voice.devices.portaudio.lookup import Found
from retell_voice.devices.portaudio.spinning import Guard, guard
from retell_voice.devices.ports import CanRest

BEGUN = SimpleNamespace(outputBufferDacTime=1.0, currentTime=0.9)
FINE = SimpleNamespace(output_underflow=False)


class Stream:
    """PortAudio's; what it is told to do is kept. It calls back once as it starts."""

    latency = 0.02

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.block: int = settings["blocksize"]
        self.done: list[str] = []
        self.fails = ""
        self.calls_back = True
        made.append(self)

    def start(self) -> None:
        self._do("start")
        if self.calls_back:
            self.call()

    def abort(self, ignore_errors: bool = True) -> None:
        self._do("abort")
        self.settings["finished_callback"]()  # as PortAudio does

    def close(self, ignore_errors: bool = True) -> None:
        self._do("close")

    def call(self) -> list[int]:
        data = bytearray(b"\x55" * 2 * self.block)
        self.settings["callback"](data, self.block, BEGUN, FINE)
        return sorted(set(np.frombuffer(data, np.int16).tolist()))

    def _do(self, what: str) -> None:
        if self.fails == what:
            raise sounddevice.PortAudioError("the server has gone")
        self.done.append(what)


made: list[Stream] = []


class Source:
    """Fills blocks with sevens."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.losses: list[str] = []

    def fill_rt(self, out: Any, delay: float = 0.0, xrun: bool = False) -> None:
        out[:] = 7
        self.lengths.append(len(out))

    def lost(self, why: str, final: bool = False) -> None:
        self.losses.append(why)


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> Any:
    made.clear()
    monkeypatch.setattr(choosing, "resolve", lambda *_: Found(0, "pulse", "ALSA", 2, 48000))
    monkeypatch.setattr(choosing, "best_settings", lambda *_: (24000, 1))
    monkeypatch.setattr(sounddevice, "RawOutputStream", Stream)
    monkeypatch.setattr(resting, "_FIRST_SECONDS", 0.05)
    users = library._users
    speaker = portaudio.find_speaker(AudioFormat(rate=24000), "pulse")
    yield speaker
    speaker.stop()
    assert library._users == users, "a stream is still open"


def test_the_quick_stream_is_stopped_once_the_other_one_runs(speaker: Any) -> None:
    source = Source()
    can_rest: object = speaker
    assert isinstance(can_rest, CanRest)
    speaker.start(source)
    speaker.rest(lambda: True)
    quick, long = made
    assert speaker.is_resting
    assert (quick.done, long.done) == (["start", "abort"], ["start"])
    assert (quick.block, long.block) == (240, 2048)
    assert source.lengths == [240], "the first long block has not been its turn"
    assert long.call() == [7]
    assert source.lengths == [240, 2048]
    assert source.losses == [], "that it was stopped is no loss"


def test_it_wakes_on_the_stream_that_was_stopped(speaker: Any) -> None:
    source = Source()
    speaker.start(source)
    speaker.rest(lambda: True)
    quick, long = made
    speaker.wake()
    assert not speaker.is_resting
    assert (quick.done, long.done) == (["start", "abort", "start"], ["start", "abort", "close"])
    assert source.lengths == [240, 240]
    speaker.wake()
    speaker.rest(lambda: True)
    assert [each.block for each in made] == [240, 2048, 2048]
    assert source.losses == []
    quick.settings["finished_callback"]()
    assert source.losses == [], "it is the other one that runs"
    made[2].settings["finished_callback"]()
    assert len(source.losses) == 1


def test_no_long_block_takes_what_is_meant_for_short_ones(speaker: Any) -> None:
    source = Source()
    still_wanted = [True]
    speaker.start(source)
    speaker.rest(lambda: bool(still_wanted))
    still_wanted.clear()
    assert made[1].call() == [0]
    assert source.lengths == [240]


def test_it_goes_on_if_resting_is_wanted_no_more_before_it_begins(speaker: Any) -> None:
    speaker.start(Source())
    speaker.rest(lambda: False)
    quick, long = made
    assert not speaker.is_resting
    assert (quick.done, long.done) == (["start"], ["start", "abort", "close"])


@pytest.mark.parametrize("trouble", ["open", "start", "silence"])
def test_it_goes_on_where_no_second_stream_runs(
    speaker: Any, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    source = Source()
    speaker.start(source)

    class Refused(Stream):
        def __init__(self, **settings: Any) -> None:
            if trouble == "open":
                raise sounddevice.PortAudioError("no more streams")
            super().__init__(**settings)
            self.fails = trouble
            self.calls_back = trouble != "silence"

    monkeypatch.setattr(sounddevice, "RawOutputStream", Refused)
    speaker.rest(lambda: True)
    assert not speaker.is_resting
    assert made[0].done == ["start"]
    assert made[0].call() == [7]
    assert source.losses == []


def test_a_device_that_does_not_rest_is_not_passed_over_for_another_one(
    speaker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = portaudio.find_speaker(AudioFormat(rate=24000))
    default.start(Source())

    class Silent(Stream):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.calls_back = False

    monkeypatch.setattr(sounddevice, "RawOutputStream", Silent)
    monkeypatch.setattr(default._chosen, "start_timeout", 0.0)
    default.rest(lambda: True)
    assert made[1].done[-1] == "close"
    assert default._chosen._mute == []
    default.stop()


def test_one_that_does_not_wake_is_lost(speaker: Any) -> None:
    source = Source()
    speaker.start(source)
    speaker.rest(lambda: True)
    made[0].fails = "start"
    speaker.wake()
    (why,) = source.losses
    assert "the server has gone" in why


def test_one_that_was_lost_while_it_rested_is_not_started_again(speaker: Any) -> None:
    source = Source()
    speaker.start(source)
    speaker.rest(lambda: True)
    quick, long = made
    long.settings["finished_callback"]()
    assert len(source.losses) == 1
    speaker.wake()
    assert "start" not in quick.done[1:]
    assert "close" in long.done
    assert len(source.losses) == 1


def test_one_that_does_not_stop_is_lost_and_its_thread_is_looked_at_until_it_is_closed(
    speaker: Any,
) -> None:
    source = Source()
    speaker.start(source)
    quick = made[0]
    quick.fails = "abort"
    speaker.rest(lambda: True)
    assert not speaker.is_resting
    assert source.losses == ["it does not stop: the server has gone"]
    assert made[1].call() == [0], "never both"
    run = speaker._streams[0].run
    assert id(run) in guard()._streams, "it may be spinning"
    speaker.stop()
    assert id(run) not in guard()._streams


def test_what_is_played_while_the_quick_stream_is_being_stopped_waits(
    speaker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What that stream took now would be thrown away with what it has not played."""
    source = Source()
    wanted = [True]
    speaker.start(source)
    quick = made[0]
    heard: list[list[int]] = []

    def abort(ignore_errors: bool = True) -> None:
        wanted.clear()  # a sound comes
        heard.append(quick.call())

    monkeypatch.setattr(quick, "abort", abort)
    speaker.rest(lambda: bool(wanted))
    assert heard == [[0]]
    assert source.lengths == [240]
    speaker.wake()
    assert quick.call() == [7]


@pytest.mark.parametrize("step", ["open", "start", "abort", "start again"])
def test_a_sound_server_that_hangs_meanwhile_does_not_hold_up_the_exit(
    speaker: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    left: list[str] = []
    go_on = threading.Event()
    monkeypatch.setattr(library, "leave_open_at_exit", lambda: left.append(step))
    source = Source()
    speaker.start(source)
    quick = made[0]

    def hang(*_: object, **__: object) -> None:
        go_on.wait(10)

    class Hanging(Stream):
        def __init__(self, **settings: Any) -> None:
            if step == "open":
                hang()
            super().__init__(**settings)

        def start(self) -> None:
            if step == "start":
                hang()
            super().start()

    monkeypatch.setattr(sounddevice, "RawOutputStream", Hanging)
    if step == "abort":
        monkeypatch.setattr(quick, "abort", hang)
    if step != "start again":
        monkeypatch.setattr(library, "OPEN_SECONDS", 0.05)
    speaker.rest(lambda: True)
    if step == "start again":
        monkeypatch.setattr(resting, "_WAKE_SECONDS", 0.05)
        monkeypatch.setattr(quick, "start", hang)
        speaker.wake()
    assert step in left
    assert len(source.losses) == (step in ("abort", "start again"))
    go_on.set()
    for thread in threading.enumerate():
        if thread.name in ("retell-voice open", "retell-voice close"):
            thread.join(10)


def test_stopping_it_closes_both_and_waking_it_then_does_nothing(speaker: Any) -> None:
    speaker.start(Source())
    speaker.rest(lambda: True)
    speaker.stop()
    assert all(each.done[-1] == "close" for each in made)
    speaker.wake()
    speaker.rest(lambda: True)
    assert not speaker.is_resting
    assert len(made) == 2


def test_a_raw_card_never_rests(speaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "is_shared", lambda _: False)
    speaker.start(Source())
    speaker.rest(lambda: True)
    assert len(made) == 1


def test_long_blocks_are_no_sign_of_a_thread_that_spins(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(spinning, "running_time", asked.append)
    monkeypatch.setattr(spinning._CLOCK, "begin", lambda *_: None)
    guard = Guard(SimpleNamespace(spring=lambda _: None))  # type: ignore[arg-type]
    stream = SimpleNamespace(calls=1, thread=5, longest=0.17)
    guard.watch(stream)
    for _ in range(6):  # 33 ms each
        guard.look()
    assert not asked
    guard.look()
    assert asked == [5]
    stream.calls += 1
    guard.look()
    assert asked == [5]
