"""Calls in a room in which the microphone hears the speaker."""

import asyncio
from typing import Any

import numpy as np
import pytest
from support.calls import AUDIO, calling, until
from support.waits import unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat, Encoding, Samples
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator, Session
from retell_voice.engine.call import Call
from retell_voice.engine.web_call import WebCall
from retell_voice.events import EchoSuspected, Statistics
from retell_voice.transport.phone import phone_route
from retell_voice.transport.ports import Route
from retell_voice.transport.route import web_route


def syllables(seconds: float) -> Samples:
    """Return noise that is as loud as speech is, in syllables of 0.1 s."""
    random = np.random.default_rng(1)
    loudness = np.repeat(random.uniform(0.0, 1.0, round(seconds * 10)) ** 3, AUDIO.rate // 10)
    return np.rint(random.normal(0, 8000, len(loudness)) * loudness).astype(np.int16)


class OpenSpeaker:
    """Plays into a room, in real time."""

    name, rate, latency = "open speaker", AUDIO.rate, 0.0

    def __init__(self) -> None:
        self.heard: list[Samples] = [np.zeros(AUDIO.rate // 50, np.int16)] * 3
        self._clockwork = NullSpeaker(AUDIO.rate)

    def start(self, source: Any) -> None:
        def tick(size: int) -> None:
            block = np.zeros(size, np.int16)
            source.fill_rt(block)
            self.heard.append(block // 2)

        self._clockwork.run(tick, source.lost)

    def stop(self) -> None:
        self._clockwork.stop()


class RoomMicrophone:
    """Hears what a speaker plays, 60 ms later."""

    name, rate, latency = "room microphone", AUDIO.rate, 0.0

    def __init__(self, speaker: OpenSpeaker) -> None:
        self._speaker = speaker
        self._clockwork = NullMicrophone(AUDIO.rate)

    def start(self, sink: Any) -> None:
        def tick(size: int) -> None:
            heard = self._speaker.heard
            sink.write_rt(heard.pop(0) if heard else np.zeros(size, np.int16))

        self._clockwork.run(tick, sink.lost)

    def stop(self) -> None:
        self._clockwork.stop()


async def interrupts_itself(session: Session) -> None:
    """Say something, and clear twice in the middle of it, as a server does that hears a voice."""
    for _ in range(2):
        await session.send_audio(syllables(4.0))
        await asyncio.sleep(1.5)
        await session.clear()
    async for _ in session:
        pass


async def test_an_agent_that_hears_itself_is_told_of_once() -> None:
    speaker = OpenSpeaker()
    microphone = RoomMicrophone(speaker)
    async with calling(interrupts_itself, microphone=microphone, speaker=speaker) as call:
        suspected = await until(call, EchoSuspected)
        await call.hang_up()
        told = [event async for event in call if isinstance(event, EchoSuspected)]
    assert suspected.echo == "off"
    assert suspected.at > 2.0
    assert told == []


async def test_files_hear_nothing() -> None:
    async with calling(interrupts_itself, speaker=OpenSpeaker()) as call:
        await until(call, Statistics)
        assert call._devices.lease._own_voice is None


@pytest.mark.parametrize("method", ["webrtc", "half-duplex"])
async def test_figures_say_how_echo_is_controlled_and_how_well(method: str) -> None:
    async def speaks(session: Session) -> None:
        await session.send_audio(syllables(20.0))
        async for _ in session:
            pass

    speaker = OpenSpeaker()
    microphone = RoomMicrophone(speaker)
    async with calling(speaks, microphone=microphone, speaker=speaker, echo=method) as call:
        assert call.echo.choice is not None
        assert call.echo.choice.why == f"you asked for {method}"
        while (figures := await until(call, Statistics)).echo_erle is None:
            pass
    assert figures.echo == method
    assert figures.echo_state in ("converging", "converged")
    assert figures.echo_erle > 3
    assert figures.echo_cost is not None
    assert 0 < figures.echo_cost < 0.5


def route_to(emulator: Emulator, transport: str) -> Route:
    """Return what dials the emulator's parrot, which begins with a sentence."""
    if transport == "web call":
        return WebCall(emulator.create_web_call(), api_key="any", api_url=emulator.api_url)
    dialect = "twilio" if transport == "phone" else "web"
    audio = AudioFormat(Encoding.MULAW, 8000) if transport == "phone" else AudioFormat(rate=24000)
    call_id = emulator.register(audio, dialect=dialect).call_id
    if transport == "phone":
        return phone_route(dialect, emulator.url, call_id=call_id)
    return web_route(call_id, url=emulator.url, audio=audio)


@unless_it_had_to_wait
@pytest.mark.parametrize("transport", ["Audio WebSocket", "phone", "web call"])
async def test_whatever_the_transport_the_parrot_does_not_hear_itself(transport: str) -> None:
    speaker = OpenSpeaker()
    devices: dict[str, Any] = {"microphone": RoomMicrophone(speaker), "speaker": speaker}
    async with (
        asyncio.timeout(30),
        Emulator() as emulator,
        Call(route_to(emulator, transport), echo="webrtc", **devices) as call,
    ):
        while (figures := await until(call, Statistics)).echo_erle is None:
            pass
    assert figures.echo_erle > 3
    assert figures.clears == 0
