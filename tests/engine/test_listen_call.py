"""Listening to a call and taking it over, with a gateway that a test plays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.gateway import CALL_ID, KEY, Gateway, gateway
from support.tones import AGENT, YOU, holds, tone

from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.engine.call import Call
from retell_voice.engine.listen_call import ListenCall
from retell_voice.errors import ConfigError, FieldRefused, Rejected
from retell_voice.events import AgentStarted, AgentStopped, Ended

RATE = 48000
SESSION = ("PATCH", "sessions/0")


@asynccontextmanager
async def serving() -> AsyncIterator[Gateway]:
    async with gateway() as server, asyncio.timeout(20):
        server.identity = "listener_1"
        yield server


def listening(server: Gateway, **options: Any) -> ListenCall:
    options = {"api_key": KEY, "api_url": server.url, "transcript": False, **options}
    return ListenCall(CALL_ID, **options)


@asynccontextmanager
async def calling(route: ListenCall, **options: Any) -> AsyncIterator[Call]:
    options.setdefault("microphone", NullMicrophone(RATE))
    options.setdefault("speaker", NullSpeaker(RATE))
    async with Call(route, **options) as call:
        yield call


async def test_who_listens_hears_and_is_not_heard_until_they_take_over(tmp_path: Path) -> None:
    with contextlib.closing(WavWriter(tmp_path / "me.wav", RATE)) as file:
        file.write(tone(YOU, 10, RATE))
    async with serving() as server:
        route = listening(server)
        async with calling(
            route,
            microphone=WavMicrophone(tmp_path / "me.wav", RATE),
            speaker=WavSpeaker(tmp_path / "heard.wav", RATE),
        ) as call:
            assert repr(call) == "<Call listening to …cdef live>"
            session = await server.joined()
            assert "a=recvonly" in session.offer
            session.voice.say(tone(AGENT, 1, RATE))
            async for event in call:
                if isinstance(event, AgentStarted):
                    assert not session.heard
                    assert not route.taken_over
                    await route.take_over()
                    await route.take_over()  # does nothing more
                    assert route.taken_over
                    await session.until_heard(0.8)
                    session.voice.say(tone(AGENT * 2, 1, RATE))
                if isinstance(event, AgentStopped):
                    break
    assert "a=sendrecv" in session.offer
    assert holds(session.all_heard(), YOU, RATE)
    heard, _ = read_wav(tmp_path / "heard.wav")
    assert holds(heard, AGENT, RATE), "what was said before"
    assert holds(heard, AGENT * 2, RATE), "and after"
    assert [each for each in server.requests if "live" in each[1]] == [
        ("POST", f"/v2/listen-live-call/{CALL_ID}"),
        ("POST", f"/v2/take-over-live-call/{CALL_ID}"),
    ]
    assert server.methods("sessions/0") == ["PATCH", "DELETE"]


async def test_a_call_that_cannot_be_joined_is_not_stopped_it_is_not_ours() -> None:
    async with serving() as server:
        server.answers["POST", "sessions"] = [(403, {"message": "no"})]
        with pytest.raises(Rejected, match="HTTP 403"):
            async with calling(listening(server)):
                pass
        assert [path for _, path in server.requests if "stop" in path] == []


async def test_a_call_that_is_not_going_on() -> None:
    async with serving() as server:
        server.answers["POST", CALL_ID] = [(422, {"message": "call is not ongoing"})]
        with pytest.raises(FieldRefused, match="not ongoing"):
            async with calling(listening(server)):
                pass


async def test_taking_over_that_is_refused_and_then_is_not() -> None:
    async with serving() as server:
        route = listening(server)
        with pytest.raises(ConfigError, match="has not been joined yet"):
            await route.take_over()
        async with calling(route) as call:
            server.answers["POST", CALL_ID] = [(422, {"message": "in a payment"})]
            with pytest.raises(FieldRefused, match="in a payment"):
                await route.take_over()
            server.answers[SESSION] = [(500, {"message": "no more ports"})]
            with pytest.raises(Rejected, match="no more ports"):
                await route.take_over()
            assert not route.taken_over
            await route.take_over()
            assert route.taken_over
            await (await server.joined()).end()
            events = [event async for event in call]
        assert isinstance(events[-1], Ended)
        assert server.methods(f"take-over-live-call/{CALL_ID}") == ["POST", "POST"]
