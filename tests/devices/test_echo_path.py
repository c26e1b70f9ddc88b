"""Which echo control stands in the near end's path, and when it begins again."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import Samples
from retell_voice.devices import echo_path
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.echo_path import Echo, EchoPath
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.portaudio import sound_server
from retell_voice.devices.portaudio.sound_server import SoundServer
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.output import Output
from retell_voice.echo.choice import Choice, Method
from retell_voice.echo.ports import EchoMeasures, EchoState
from retell_voice.echo.system import SoundDevice
from retell_voice.errors import ConfigError, DeviceError
from retell_voice.events import DeviceChanged

RATE = 16000
HEADSET = SoundDevice("bluez_output", "WH-1000XM4", "headset")
OPEN = SoundDevice("alsa_output", "Built-in", "internal")
MICROPHONE = SoundDevice("alsa_input", "Built-in")
CANCELLED = SoundDevice("echo-cancel-source"), SoundDevice("echo-cancel-sink")


class Device:
    """A device of this computer, as far as its name matters."""

    rate, latency = RATE, 0.02

    def __init__(self, name: str = "pulse", host_api: str = "ALSA") -> None:
        self.name, self.host_api = name, host_api

    def start(self, end: Any) -> None:
        raise AssertionError("only its name matters")

    def stop(self) -> None:
        raise AssertionError("only its name matters")


class Board:
    """Hardware of one's own."""

    name, rate, latency = "a board", RATE, 0.02

    def start(self, end: Any) -> None:
        raise AssertionError("it is only looked at")

    def stop(self) -> None:
        raise AssertionError("it is only looked at")


class Control:
    """An echo control that counts."""

    name, delay, gain = "a board's own", 0.0, 0.0

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.resets = 0
        self._blocks = threading.Semaphore(0)

    def process(self, near: Samples, far: Samples) -> Samples:
        self._blocks.release()
        return near

    def passes(self, blocks: int) -> None:
        while self._blocks.acquire(blocking=False):
            pass
        for _ in range(blocks):
            self._blocks.acquire(timeout=10)

    def reset(self) -> None:
        self.resets += 1

    def measures(self) -> EchoMeasures:
        return EchoMeasures(state=EchoState.CONVERGED, erle=30.0)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what sets the devices of the sound server."""

    def has(speaker: SoundDevice, *more: SoundDevice) -> None:
        known = SoundServer((MICROPHONE, *more[:1]), (speaker, *more[1:]), MICROPHONE, speaker)
        monkeypatch.setattr(sound_server, "ask", lambda: known)

    monkeypatch.setattr(sound_server, "ask", lambda: None)
    return has


def path(echo: Echo | None, **options: Any) -> tuple[EchoPath, NearEnd]:
    near_end = NearEnd(RATE, lambda _: None)
    return EchoPath(echo, near_end, Output(RATE), **options), near_end


def settled(echo: EchoPath, microphone: Any = None, speaker: Any = None) -> EchoPath:
    """Return it when it has chosen for these devices, by default those of the sound server."""
    devices = microphone or Device(), speaker or Device()
    echo.prepare(*devices)
    echo.settle(*devices)
    return echo


def test_auto_is_off_for_a_headset_of_the_sound_server(server: Callable[..., None]) -> None:
    server(HEADSET)
    echo, _ = path("auto")
    settled(echo)
    assert echo.choice == Choice(Method.OFF, "WH-1000XM4 is a headset")
    assert echo.name == "off"
    assert echo.measures() == EchoMeasures()


def test_auto_cancels_where_the_speaker_is_open(server: Callable[..., None]) -> None:
    server(OPEN)
    echo, near_end = path("auto")
    settled(echo)
    assert echo.name == "webrtc"
    assert echo.measures().state is EchoState.CONVERGING
    near_end.write_rt(np.ones(RATE // 100, np.int16))


def test_auto_knows_names_where_there_is_no_sound_server(server: Callable[..., None]) -> None:
    echo, _ = path("auto")
    settled(echo, Device("Mic (Realtek)", "MME"), Device("Headphones (Realtek)", "MME"))
    assert echo.choice == Choice(Method.OFF, "Headphones (Realtek) is a headset")


def test_auto_is_off_for_files(server: Callable[..., None]) -> None:
    server(OPEN)
    for devices in ((NullMicrophone(RATE), Device()), (Device(), NullSpeaker(RATE))):
        echo, _ = path("auto")
        settled(echo, *devices)
        assert echo.choice == Choice(Method.OFF, "no microphone hears a speaker")


def test_auto_looks_again_when_a_device_is_another(server: Callable[..., None]) -> None:
    server(HEADSET)
    echo, _ = path("auto")
    settled(echo)
    server(OPEN)
    echo.changed(Device(), Device())
    assert echo.name == "webrtc"
    server(HEADSET)
    echo.changed(Device(), Device())
    assert echo.name == "off"
    assert echo.measures() == EchoMeasures()


def test_auto_does_without_a_canceller_that_does_not_load(
    server: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server(OPEN)
    monkeypatch.setattr(echo_path, "installed", lambda: ("pywebrtc-audio",))
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    monkeypatch.setitem(sys.modules, "livekit", None)
    monkeypatch.setattr("retell_voice.echo.webrtc.installed", lambda: ("pywebrtc-audio",))
    echo, _ = path("auto")
    settled(echo)
    assert echo.choice is not None
    assert echo.choice.method is Method.OFF
    assert "fails to load" in echo.choice.why
    assert "pip install" in echo.choice.hint
    with pytest.raises(ConfigError, match="fails to load"):
        path("webrtc")[0].prepare(Device(), Device())


def test_a_rate_that_no_canceller_has_is_no_reason_to_fail_unless_one_was_asked_for(
    server: Callable[..., None],
) -> None:
    server(OPEN)
    near_end, output = NearEnd(96000, lambda _: None), Output(RATE)
    echo = EchoPath("auto", near_end, output)
    settled(echo)
    assert echo.choice is not None
    assert echo.choice.why == "a rate of 96000 Hz is outside 8000–48000 Hz"
    with pytest.raises(ConfigError, match="96000 Hz"):
        EchoPath("webrtc", near_end, output).prepare(Device(), Device())


def test_nothing_waits_for_the_sound_server_until_the_choice_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = threading.Event()

    def ask() -> SoundServer:
        answers.wait(10)
        return SoundServer((MICROPHONE,), (HEADSET,), MICROPHONE, HEADSET)

    monkeypatch.setattr(sound_server, "ask", ask)
    echo, near_end = path("auto")
    echo.prepare(Device(), Device())
    assert echo.name == "auto"
    assert near_end._echo is None
    answers.set()
    echo.settle(Device(), Device())
    assert echo.choice == Choice(Method.OFF, "WH-1000XM4 is a headset")


def test_a_sound_server_that_hangs_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answers = threading.Event(), threading.Event()

    def ask() -> SoundServer:
        asked.set()
        answers.wait(10)
        return SoundServer((MICROPHONE,), (HEADSET,), MICROPHONE, HEADSET)

    monkeypatch.setattr(sound_server, "ask", ask)
    monkeypatch.setattr(echo_path, "_ANSWER_SECONDS", 0.01)
    echo, _ = path("auto")
    settled(echo)
    assert asked.is_set()
    assert echo.choice == Choice(Method.WEBRTC, "pulse is not a headset")
    (late,) = [each for each in threading.enumerate() if each.name == "retell-voice echo"]
    answers.set()
    late.join(10)
    assert echo.name == "webrtc"  # what comes too late changes nothing


@pytest.mark.parametrize("option", ["noise_suppression", "gain"])
def test_what_an_option_lacks_is_told_before_anything_is_opened(
    server: Callable[..., None], monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    server(HEADSET)
    for package in ("pywebrtc_audio", "livekit", "livekit.rtc"):
        monkeypatch.setitem(sys.modules, package, None)
    echo, _ = path("auto", **{option: True})
    with pytest.raises(ConfigError):
        echo.prepare(Device(), Device())


def test_what_fails_on_the_thread_that_asks_is_raised_as_the_devices_are_opened(
    server: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("a library is broken")

    server(OPEN)
    monkeypatch.setattr(echo_path, "open_control", fails)
    echo, _ = path("auto")
    echo.prepare(Device(), Device())
    with pytest.raises(OSError, match="broken"):
        echo.settle(Device(), Device())


def test_the_answer_about_a_device_that_was_switched_meanwhile_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = threading.Event()
    known = iter([HEADSET, OPEN])

    def ask() -> SoundServer:
        speaker = next(known)
        if speaker is HEADSET:
            answers.wait(10)
        return SoundServer((MICROPHONE,), (speaker,), MICROPHONE, speaker)

    monkeypatch.setattr(sound_server, "ask", ask)
    echo, _ = path("auto")
    echo.prepare(Device(), Device())
    late = echo._asking
    assert late is not None
    echo.changed(Device(), Device())
    answers.set()
    late.join(10)
    echo.settle(Device(), Device())
    assert echo.name == "webrtc"


def test_a_device_that_comes_back_does_not_wait_for_the_sound_server(
    server: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    server(HEADSET)
    echo, _ = path("auto")
    settled(echo)
    answers = threading.Event()

    def ask() -> SoundServer:
        answers.wait(10)
        return SoundServer((MICROPHONE,), (OPEN,), MICROPHONE, OPEN)

    monkeypatch.setattr(sound_server, "ask", ask)
    echo.came_back(Device(), Device())
    assert echo.name == "off"  # as before
    asking = echo._asking
    assert asking is not None
    answers.set()
    asking.join(10)
    assert echo.name == "webrtc"
    echo.came_back(Device("Mic (Realtek)", "MME"), Device("Headphones (Realtek)", "MME"))
    assert echo.name == "off"  # at once: nobody is to be asked


def test_by_default_it_is_automatic_for_this_computers_devices_only(
    server: Callable[..., None],
) -> None:
    server(OPEN)
    echo, _ = path(None)
    assert settled(echo).name == "webrtc"
    for devices in ((Board(), Device()), (Device(), Board())):
        echo, near_end = path(None)
        settled(echo, *devices)
        assert echo.name == "off"
        assert near_end._echo is None
        settled(echo)
        echo.changed(*devices)
        assert echo.name == "off"
    echo, _ = path("auto")  # asked for, it is there for any hardware
    assert settled(echo, Board(), Board()).name == "webrtc"


def test_the_servers_canceller_is_used_by_variables(
    server: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SOURCE", "before")
    monkeypatch.setenv("PULSE_SINK", "before")
    server(OPEN, *CANCELLED)
    echo, _ = path("system")
    echo.prepare(Device(), Device("default"))
    assert echo.name == "system"
    assert os.environ["PULSE_SOURCE"] == "echo-cancel-source"
    assert os.environ["PULSE_SINK"] == "echo-cancel-sink"


def test_a_device_past_the_servers_canceller_is_refused(server: Callable[..., None]) -> None:
    server(OPEN, *CANCELLED)
    with pytest.raises(ConfigError, match="'hw:1' does not go through") as caught:
        path("system")[0].prepare(Device(), Device("hw:1"))
    assert "--output pulse" in caught.value.hint


def test_the_servers_canceller_must_be_there(server: Callable[..., None]) -> None:
    server(OPEN)
    with pytest.raises(ConfigError, match="no echo-cancelled microphone"):
        path("system")[0].prepare(Device(), Device())


def test_noise_suppression_needs_no_echo_control() -> None:
    echo, near_end = path("off", noise_suppression=True)
    echo.prepare(Device(), Device())
    assert echo.name == "off"
    assert near_end._echo is not None


def test_an_unknown_way_is_named() -> None:
    with pytest.raises(ValueError, match="'loud', not one of auto, webrtc"):
        path("loud")


def test_an_echo_control_of_ones_own_is_made_for_the_microphones_rate() -> None:
    echo, _ = path(Control)
    echo.prepare(NullMicrophone(RATE), NullSpeaker(8000))
    assert (echo.name, echo.choice) == ("a board's own", None)
    assert echo.measures().erle == 30.0


# In an AudioIO


class Lost(NullMicrophone):
    """Can be lost."""

    def start(self, sink: Any) -> None:
        self.sink = sink
        super().start(sink)


async def test_the_room_is_forgotten_when_a_device_is_another_or_back_and_only_then() -> None:
    made: list[Control] = []

    def make(rate: int) -> Control:
        made.append(Control(rate))
        return made[-1]

    microphone = Lost(RATE)
    async with AudioIO(microphone, NullSpeaker(8000), echo=make) as io:
        control = made[0]
        assert control.rate == RATE
        await after(control)
        assert control.resets == 0
        await io.use(speaker=NullSpeaker(24000))
        await after(control)
        assert control.resets == 1
        with pytest.raises(DeviceError):
            await io.use(microphone=Refuses(RATE))
        await after(control)
        assert control.resets == 1
        microphone.sink.lost("unplugged")
        async for event in io:
            if isinstance(event, DeviceChanged) and event.state == "lost":
                assert control.resets == 1
            if isinstance(event, DeviceChanged) and event.state == "back":
                break
        await after(control)
        assert control.resets == 2
        assert len(made) == 1


class Refuses(NullMicrophone):
    """Cannot be opened."""

    def start(self, sink: Any) -> None:
        raise DeviceError("it is busy")


async def after(control: Control) -> None:
    """Return when further blocks have passed."""
    await asyncio.wait_for(asyncio.to_thread(control.passes, 4), 10)
