"""Listening to a web call that is going on, and taking it over, over real WebRTC."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.callers import join
from support.waits import unless_it_had_to_wait
from support.web_caller import RATE, Answer, WebCaller, calling, create, decoded, http, sessions
from websockets.asyncio.client import connect

from retell_voice.audio.format import Samples
from retell_voice.emulator import CallStatus, Emulator, ListenerJoined, Session, silent_agent

AGENT, CALLER, OPERATOR = 500, 800, 1300
"""Tones, Hz."""


def tone(hz: int, rate: int, seconds: float = 30.0) -> Samples:
    return (6000 * np.sin(2 * np.pi * hz / rate * np.arange(round(rate * seconds)))).astype(
        np.int16
    )


def levels(samples: Samples) -> dict[int, float]:
    """Return how loud each of the tones is, and anything else, dB below the loudest of all."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)

    def around(middle: int) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.abs(hz - middle) < 30
        return found

    loudest = max(float(spectrum.max()), 1.0)
    return {
        each: float(20 * np.log10(max(spectrum[around(each)].max(), 1e-9) / loudest))
        for each in (AGENT, CALLER, OPERATOR)
    }


def heard(caller: WebCaller, count: int = 25) -> set[int]:
    """Return which tones are in the last packets."""
    samples = decoded(caller.packets)[-count * RATE // 50 :]
    if np.abs(samples).max() < 500:
        return set()
    return {hz for hz, level in levels(samples).items() if level > -12}


async def agent(session: Session) -> None:
    """Hum."""
    await session.send_audio(tone(AGENT, 24000))
    async for _ in session:
        pass


async def listen(emulator: Emulator, call_id: str) -> Answer:
    return await http(emulator, "POST", f"/v2/listen-live-call/{call_id}", "key", {})


@asynccontextmanager
async def listening(emulator: Emulator, call_id: str) -> AsyncIterator[tuple[WebCaller, str]]:
    """Listen to a call; also gives the participant_id."""
    answer = await listen(emulator, call_id)
    assert answer.status == 201, answer
    admission: dict[str, Any] = answer.body
    listener = WebCaller(tone(OPERATOR, RATE), listens_only=True)
    try:
        created = admission | {"call_id": call_id}
        await listener.join(emulator, created, admission["participant_id"])
        yield listener, admission["participant_id"]
    finally:
        await listener.close()


async def take_over(emulator: Emulator, call_id: str, identity: str) -> Answer:
    path = f"/v2/take-over-live-call/{call_id}"
    return await http(emulator, "POST", path, "key", {"participant_id": identity})


async def test_a_listener_hears_both_sides_and_leaves_unnoticed() -> None:
    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator, tone(CALLER, RATE)) as caller,
    ):
        call = emulator.calls[0]
        async with listening(emulator, call.call_id) as (listener, _):
            await listener.until(lambda: len(listener.packets) >= 60)
            assert heard(listener) == {AGENT, CALLER}
            assert heard(caller) == {AGENT}
            assert (await listener.leave(emulator)).status == 204
        assert call.status is CallStatus.ONGOING
        await caller.leave(emulator)
        await call.wait()
        assert call.disconnection_reason == "user_hangup"
    events = [event async for event in emulator.events]
    assert sum(isinstance(event, ListenerJoined) for event in events) == 1


async def test_a_listener_is_told_of_the_end() -> None:
    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        call = emulator.calls[0]
        async with listening(emulator, call.call_id) as (listener, _):
            await caller.leave(emulator)
            await listener.until(lambda: bool(listener.control))
            assert listener.control == [{"type": "status", "state": "ended"}]
            await listener.leave(emulator)


async def test_who_takes_over_speaks_in_the_agents_place() -> None:
    async with (
        Emulator(agent=agent, api_key="key") as emulator,
        asyncio.timeout(30),
        calling(emulator, tone(CALLER, RATE)) as caller,
    ):
        call = emulator.calls[0]
        url = f"{emulator.api_url.replace('http', 'ws', 1)}/v2/monitor-call/{call.call_id}"
        headers = {"Authorization": "Bearer key"}
        async with (
            connect(url, additional_headers=headers) as monitor,
            listening(emulator, call.call_id) as (operator, identity),
        ):
            await monitor.recv()
            await operator.until(lambda: len(operator.packets) >= 10)
            assert (await take_over(emulator, call.call_id, "nobody")).status == 422
            assert (await take_over(emulator, call.call_id, identity)).status == 200
            ended = json.loads(await monitor.recv())
            assert ended["disconnection_reason"] == "call_take_over"
            await monitor.wait_closed()
            assert monitor.close_code == 1000
            await call.wait()
            assert (call.status, call.disconnection_reason) == (
                CallStatus.ENDED,
                "call_take_over",
            )
            assert (await take_over(emulator, call.call_id, identity)).status == 422
            await operator.speak_up(emulator)
            count = len(operator.packets)
            await operator.until(lambda: len(operator.packets) >= count + 60)
            assert heard(caller) == {OPERATOR}
            assert heard(operator) == {CALLER}
            assert not caller.control
            # With the operator the call goes.
            await operator.leave(emulator)
            await caller.until(lambda: bool(caller.control))
        assert caller.control == [{"type": "status", "state": "ended"}]
        await caller.leave(emulator)
        await caller.closed.wait()


async def test_only_a_web_call_that_is_going_on_can_be_listened_to() -> None:
    async with Emulator(agent=silent_agent) as emulator, asyncio.timeout(20):
        call = emulator.register()
        async with join(emulator, call):
            answer = await listen(emulator, call.call_id)
            assert answer.status == 422
            assert "web call" in answer.body["message"]
        created = await create(emulator)
        assert (await listen(emulator, created["call_id"])).status == 422
        assert (await listen(emulator, "nobody")).status == 404


async def test_a_listeners_token_is_for_a_listener() -> None:
    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        call = emulator.calls[0]
        admission = (await listen(emulator, call.call_id)).body
        listener = WebCaller(listens_only=True)
        body = {"identity": "client", "sdp": await listener.offer()}
        path = sessions({"call_id": call.call_id})
        answer = await http(emulator, "POST", path, admission["access_token"], body)
        assert answer.status == 403
        await listener.close()
        await caller.leave(emulator)


@pytest.mark.parametrize("leaves", ["caller", "emulator"])
@unless_it_had_to_wait
async def test_what_was_taken_over_ends_with_the_caller_and_the_emulator(leaves: str) -> None:
    async with asyncio.timeout(20):
        async with Emulator(agent=agent) as emulator:
            caller = WebCaller()
            await caller.join(emulator, await create(emulator))
            await caller.until(lambda: bool(emulator.sessions))
            call = emulator.calls[0]
            async with listening(emulator, call.call_id) as (operator, identity):
                await operator.until(lambda: len(operator.packets) >= 5)
                assert (await take_over(emulator, call.call_id, identity)).status == 200
                await call.wait()
                if leaves == "caller":
                    await caller.leave(emulator)
                    await operator.until(lambda: bool(operator.control))
                    await operator.leave(emulator)
                    await operator.closed.wait()
                begun = time.perf_counter()
        assert time.perf_counter() - begun < 1
        await caller.closed.wait()
        await caller.close()
    assert call.disconnection_reason == "call_take_over"
