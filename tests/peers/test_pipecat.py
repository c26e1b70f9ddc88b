"""Conversations with Pipecat's serializers, from its own package, as the server of each dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.peers import ROOT, pipecat_running

from retell_voice.devices.files import (
    NullMicrophone,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.engine.call import Call
from retell_voice.events import (
    AgentStopped,
    Ended,
    MalformedMessage,
    ProviderComplaint,
    UnknownMessage,
)
from retell_voice.transport.phone import PROVIDERS, phone_route

RETURNED = {"plivo": "cleared", "vonage": "cleared"}
"""What a clear brings back where that is not the mark."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = Path(__file__).parent / "pipecat_server.py"
    with pipecat_running(str(server)) as url:
        yield url


async def test_a_conversation_with_marks_a_clear_and_a_key(url: str, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:  # at once, as all of them wait for time to pass
        for dialect in PROVIDERS:
            (tmp_path / dialect).mkdir()
            group.create_task(conversation(url, dialect, tmp_path / dialect), name=dialect)


async def conversation(url: str, dialect: str, tmp_path: Path) -> None:
    route = phone_route(dialect, f"{url}/{dialect}")
    rate = route.far_end.rate
    events = []
    async with (
        Call(
            route,
            microphone=NullMicrophone(route.near_end.rate),
            speaker=WavSpeaker(tmp_path / "agent.wav", rate),
        ) as call,
        asyncio.timeout(20),
    ):
        async for event in call:
            events.append(event)
            if isinstance(event, AgentStopped) and event.interrupted:
                call.press("7")
    odd = (MalformedMessage, UnknownMessage, ProviderComplaint)
    told = [each for each in events if isinstance(each, odd)]
    assert [each for each in told if "does not end a call" not in str(each)] == []
    end = events[-1]
    assert isinstance(end, Ended)
    assert (end.by, end.code, end.reason) == (
        *("server", 1000),
        f"heard {RETURNED.get(dialect, 'later')} 7",
    )
    heard = read_wav(tmp_path / "agent.wav")[0]
    spectrum = np.abs(np.fft.rfft(heard.astype(float)))
    assert np.argmax(spectrum) * rate / len(heard) == pytest.approx(400, abs=2)
    assert end.statistics.discarded > 15


@pytest.fixture(scope="module")
def example() -> Iterator[str]:
    server = ROOT / "examples" / "phone_agent_pipecat.py"
    with pipecat_running(str(server), "--port", "0") as url:
        yield url


async def test_a_pipeline_of_pipecats_says_back_what_it_hears(example: str, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        for dialect in ("twilio", "telnyx", "plivo", "exotel"):
            (tmp_path / dialect).mkdir()
            group.create_task(echo(example, dialect, tmp_path / dialect), name=dialect)


async def echo(example: str, dialect: str, tmp_path: Path) -> None:
    voice = (9000 * np.sin(2 * np.pi * 400 * np.arange(4000) / 8000)).astype(np.int16)
    writer = WavWriter(tmp_path / "me.wav", 8000)
    writer.write(voice)
    writer.close()
    route = phone_route(dialect, example, parameters={"name": "Ann"})
    events = []
    async with (
        Call(
            route,
            microphone=WavMicrophone(tmp_path / "me.wav", 8000),
            speaker=WavSpeaker(tmp_path / "agent.wav", 8000),
        ) as call,
        asyncio.timeout(20),
    ):
        async for event in call:
            events.append(event)
            if isinstance(event, AgentStopped):
                call.press("#")
    told = [each for each in events if isinstance(each, MalformedMessage | ProviderComplaint)]
    assert [each for each in told if "does not end a call" not in str(each)] == []
    end = events[-1]
    assert isinstance(end, Ended)
    assert (end.by, end.code, end.error) == ("server", 1000, None)
    heard = read_wav(tmp_path / "agent.wav")[0]
    spectrum = np.abs(np.fft.rfft(heard.astype(float)))
    assert np.argmax(spectrum) * 8000 / len(heard) == pytest.approx(400, abs=2)
    assert np.count_nonzero(np.abs(heard) > 4000) > 2000
