"""The real program with its parts, driven from outside: pipes, a broker, a spoken word."""

from __future__ import annotations

import json
import os
import sys
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import pytest
from support.broker import Broker
from support.kiosk import KEY, KioskProgram, listens
from support.voices import speak

from retell_voice.emulator import Emulator

if sys.platform != "linux":
    pytest.skip("a kiosk's parts need Linux", allow_module_level=True)

from retell_voice.kiosk.triggers.input_device import DOWN, EV_KEY, EVENT, UP
from retell_voice.settings.tables.kiosk_parts import KEYS

FAKE_GPIO = Path(__file__).parent.parent / "support" / "fake_gpio"


@asynccontextmanager
async def a_kiosk(
    directory: Path, *arguments: str, env: dict[str, str] | None = None
) -> AsyncIterator[tuple[KioskProgram, Emulator]]:
    async with Emulator(agent=listens, api_key=KEY) as emulator:
        calls = ("--agent", "parrot", "--api-url", emulator.api_url, "--sounds-percent", "0")
        async with KioskProgram(directory, *calls, *arguments, env=env) as kiosk:
            await kiosk.connect()
            yield kiosk, emulator
            assert await kiosk.end() == 0
    assert KEY not in kiosk.errors
    assert "Traceback" not in kiosk.errors


class Keyboard:
    """Plays an input device in a named pipe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._now = 0

    def press(self, key: str) -> None:
        for value in (DOWN, UP):
            self._now += 1
            os.write(self._fd, EVENT.pack(self._now // 10, 0, EV_KEY, KEYS[key], value))

    def unplug(self) -> None:
        os.close(self._fd)
        self.path.unlink()


async def test_a_key_calls_and_hangs_up_also_after_it_was_unplugged(tmp_path: Path) -> None:
    path = tmp_path / "usb-event-kbd"
    keyboard = Keyboard(path)
    async with a_kiosk(tmp_path, "--input-device", str(path)) as (kiosk, _):
        at = await kiosk.until("idle")
        keyboard.press("enter")
        at = await kiosk.until("in call", at)
        keyboard.press("volumedown")
        at = await kiosk.told(lambda message: message.get("volume") == 90, at)
        keyboard.press("enter")
        at = await kiosk.until("idle", at)
        keyboard.unplug()
        keyboard = Keyboard(path)
        keyboard.press("enter")  # it waits in the pipe
        at = await kiosk.until("in call", at)
        keyboard.unplug()
    assert "usb-event-kbd" in kiosk.errors


class Board:
    """The lines of a board: see ``fake_gpio``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "gpio"
        self.directory.mkdir()
        os.mkfifo(self.directory / "GPIO17")
        self._button = os.open(self.directory / "GPIO17", os.O_RDWR | os.O_NONBLOCK)
        self.lamp.touch()

    @property
    def lamp(self) -> Path:
        return self.directory / "GPIO27"

    def edges(self, edges: str) -> None:
        os.write(self._button, "".join(f"{each}\n" for each in edges).encode())


async def test_a_button_calls_mutes_and_hangs_up_and_a_lamp_shows_it(tmp_path: Path) -> None:
    board = Board(tmp_path)
    lines = ("--button", "GPIO17", "--led-call", "GPIO27", "--gpio-chip", "/dev/gpiochip0")
    path = os.pathsep.join((str(FAKE_GPIO), os.environ.get("PYTHONPATH", "")))
    environment = {"FAKE_GPIO": str(board.directory), "PYTHONPATH": path}
    async with a_kiosk(tmp_path, *lines, "--long-press", "0.2", env=environment) as (kiosk, _):
        at = await kiosk.until("idle")
        board.edges("10")
        at = await kiosk.until("in call", at)
        board.edges("1")
        at = await kiosk.told(lambda message: bool(message.get("muted")), at)
        board.edges("0")
        board.edges("10")
        at = await kiosk.until("idle", at)
    asked = (board.directory / "asked").read_text()
    assert "17 LineSettings(edge_detection=<Edge.BOTH: 1>, bias=<Bias.PULL_UP: 1>" in asked
    lamp = board.lamp.read_text()
    assert "1" in lamp
    assert lamp.endswith("0")


@pytest.fixture
def word(tmp_path: Path) -> Path:
    """A recording of someone who says a word after five seconds; it is listened to by then."""
    pytest.importorskip("pymicro_wakeword", reason="wake words are for 64-bit Linux")
    (said,) = speak("piper", ["Okay, nabu!"], 16000)
    silence = np.zeros(5 * 16000, np.int16)
    path = tmp_path / "said.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.concatenate((silence, said, silence)).tobytes())
    return path


async def test_a_spoken_word_calls(tmp_path: Path, word: Path) -> None:
    words = ("--wake-words", "okay_nabu", "--input-file", str(word))
    async with a_kiosk(tmp_path, *words) as (kiosk, _):
        at = await kiosk.until("in call")
        await kiosk.control.do("hang-up")
        at = await kiosk.told(lambda message: message["event"] == "call_ended", at)
        account = kiosk.messages[at - 1]
        assert account["source"] == "wake word okay_nabu"
        assert account["score"] > 0.8
        assert account["by_voice"]


@asynccontextmanager
async def a_home(broker: Broker) -> AsyncIterator[Callable[..., Any]]:
    """Another client of the broker: ``await tell(topic, payload)``, ``await tell(until=…)``."""
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe("retell-voice/#", qos=1)

        async def tell(topic: str = "", payload: str = "", *, until: str = "") -> None:
            if topic:
                await client.publish(f"retell-voice/hall/{topic}", payload, qos=1)
                return
            async for message in client.messages:
                if message.topic.value.endswith("/state"):
                    assert isinstance(message.payload, bytes)
                    if json.loads(message.payload)["state"] == until:
                        return

        yield tell


async def test_a_home_calls_also_after_its_broker_was_away(tmp_path: Path) -> None:
    with Broker() as broker:
        mqtt = ("--mqtt-url", broker.url, "--mqtt-id", "hall")
        async with a_kiosk(tmp_path, *mqtt) as (kiosk, emulator):
            async with a_home(broker) as tell:
                await tell(until="idle")
                await tell("call", "call")
                await tell(until="in call")
                assert len(emulator.sessions) == 1
                broker.kill()
            # The call goes on without it.
            status = (await kiosk.control.do("status"))["status"]
            assert status["state"] == "in call"
            broker.start()
            async with a_home(broker) as tell:
                await tell(until="in call")
                await tell("call", "hang up")
                await tell(until="idle")
    assert "MQTT broker" in kiosk.errors


async def test_what_can_never_be_had_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "gpiod.py").write_text("raise ImportError('no such thing')\n")
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    async with KioskProgram(
        tmp_path, "--agent", "x", "--button", "GPIO17", env={"PYTHONPATH": path}
    ) as kiosk:
        assert await kiosk.wait() == 2
    assert "[kiosk-gpio]" in kiosk.errors
