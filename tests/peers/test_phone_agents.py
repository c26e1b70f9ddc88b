"""The examples of phone agents, each in a process of its own, called as Twilio calls them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.peers import ROOT, node_running, python_example, running

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    read_wav,
)
from retell_voice.emulator import CALLER
from retell_voice.engine.call import Call
from retell_voice.events import AgentStopped, Ended, MalformedMessage, ProviderComplaint
from retell_voice.transport.phone import phone_route

MULAW = AudioFormat(Encoding.MULAW, 8000)
SPEED = 10.0


@pytest.fixture(scope="module", params=["fastapi", "node"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "fastapi":
        with running(*python_example("phone_agent_fastapi")) as url:
            yield url
    else:
        server = ROOT / "examples" / "phone_agent_node" / "server.js"
        with node_running(str(server), "0") as url:
            yield url


async def test_it_says_back_what_it_hears_and_is_interrupted(url: str, tmp_path: Path) -> None:
    """Of the recorded caller it says back at least one utterance whole, and stops for another."""
    route = phone_route("twilio", url, parameters={"name": "Ann"})
    heard: list[object] = []
    async with (
        Call(
            route,
            microphone=WavMicrophone(CALLER, 8000, speed=SPEED),
            speaker=WavSpeaker(tmp_path / "agent.wav", 8000, speed=SPEED),
        ) as call,
        asyncio.timeout(20),
    ):
        async for event in call:
            heard.append(event)
            stops = [each for each in heard if isinstance(each, AgentStopped)]
            if len(stops) == 3:
                await call.hang_up()
    assert not [each for each in heard if isinstance(each, ProviderComplaint | MalformedMessage)]
    end = heard[-1]
    assert isinstance(end, Ended)
    assert (end.by, end.error) == ("you", None)
    assert [each.interrupted for each in stops].count(True) >= 1
    samples, rate = read_wav(CALLER)
    voice = MULAW.decode(MULAW.encode(resample_whole(samples, rate, 8000))).astype(float)
    echo = read_wav(tmp_path / "agent.wav")[0].astype(float)
    loud = np.flatnonzero(np.abs(echo) > 2000)
    piece = echo[loud[0] : loud[0] + 4000]
    scores = np.correlate(voice, piece, "valid") / np.dot(piece, piece)
    assert scores.max() > 0.98, "sample by sample it is the caller's own voice"


async def test_a_key_of_the_telephone_ends_the_call(url: str) -> None:
    call = Call(
        phone_route("twilio", url), microphone=NullMicrophone(8000), speaker=NullSpeaker(8000)
    )
    async with call, asyncio.timeout(10):
        call.press("1")
        call.press("#")
        end = [event async for event in call][-1]
    assert isinstance(end, Ended)
    assert (end.by, end.code, end.error) == ("server", 1000, None)
