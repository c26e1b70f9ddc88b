"""The example in the documentation of ports is run as it stands there."""

import os
import textwrap
import threading
from typing import Any

import numpy as np
import pytest
from support.calls import heard_whole

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices import ports
from retell_voice.devices.files import NullSpeaker
from retell_voice.devices.ports import (
    AdjustableLatency,
    DeviceTraits,
    Microphone,
    Speaker,
    traits_of,
)
from retell_voice.emulator import Emulator, Session
from retell_voice.engine.call import Call
from retell_voice.errors import DeviceError
from retell_voice.events import Ended, InputFinished

AUDIO = AudioFormat(Encoding.S16LE, 16000)


def example() -> dict[str, Any]:
    text = ports.__doc__ or ""
    start = text.index("    class PipeMicrophone")
    code = text[start : text.index("A lost device")]
    names: dict[str, type] = {}
    exec(textwrap.dedent(code), {"np": np, "threading": threading}, names)
    return names


class Paced:
    """A file that takes a block as long as it plays, as a UART does."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self._clock = threading.Event()

    def write(self, data: bytes) -> None:
        self._clock.wait(len(data) / 32000)
        self.heard += data


SPOKEN = np.arange(1, 8001).astype(np.int16)


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    os.write(writing, SPOKEN.tobytes())
    os.close(writing)
    with open(reading, "rb") as file:
        yield file


async def test_the_example_holds_a_call(pipe) -> None:
    heard_all: list[np.ndarray] = []

    async def agent(session: Session) -> None:
        await session.send_audio(np.full(1600, 500, np.int16), "Hello!")
        async for samples in session:
            heard_all.append(samples)
            if sum(map(len, heard_all)) >= len(SPOKEN):
                return

    made = example()
    file = Paced()
    microphone, speaker = made["PipeMicrophone"](pipe), made["PipeSpeaker"](file)
    assert isinstance(microphone, Microphone)
    assert isinstance(speaker, Speaker)
    async with (
        Emulator(agent=agent) as emulator,
        Call(
            emulator.register(AUDIO).call_id,
            url=emulator.url,
            audio=AUDIO,
            microphone=microphone,
            speaker=speaker,
        ) as call,
    ):
        events = [event async for event in call]
    assert np.concatenate(heard_all)[: len(SPOKEN)].tolist() == SPOKEN.tolist()
    assert any(isinstance(event, InputFinished) for event in events)
    assert isinstance(events[-1], Ended)
    assert events[-1].error is None
    played = np.frombuffer(bytes(file.heard), "<i2")
    assert heard_whole(played, 500, 1600)


def test_a_device_without_traits_has_the_defaults() -> None:
    assert traits_of(example()["PipeMicrophone"](None)) == DeviceTraits()


def test_traits_are_what_the_device_states_now() -> None:
    class Slow:
        seconds = 5.0

        @property
        def traits(self) -> DeviceTraits:
            return DeviceTraits(start_timeout=self.seconds)

    speaker = Slow()
    assert traits_of(speaker).start_timeout == 5.0
    speaker.seconds = 6.0
    assert traits_of(speaker).start_timeout == 6.0


def test_traits_of_another_type_name_the_culprit() -> None:
    class Board:
        traits = {"block_timeout": 0.5}  # noqa: RUF012 - a user's mistake

    with pytest.raises(
        DeviceError, match=r"^Board\.traits is \{'block_timeout': 0\.5\}, not a Dev"
    ):
        traits_of(Board())


def test_a_device_whose_latency_can_be_set_is_told_by_its_method() -> None:
    class Adjustable(NullSpeaker):
        def suggest_latency(self, latency) -> None:
            pass

    assert isinstance(Adjustable(), AdjustableLatency)
    assert not isinstance(NullSpeaker(), AdjustableLatency)
