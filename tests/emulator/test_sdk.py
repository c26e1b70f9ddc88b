"""Retell's own SDK, pointed at the emulator by its base_url, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from support.callers import join
from support.sdk import retell
from support.web_caller import WebCaller
from websockets.exceptions import ConnectionClosedOK

from retell_voice.emulator import Emulator, RegisteredCall, silent_agent
from retell_voice.errors import FieldRefused
from retell_voice.protocol.gateway import admission_body
from retell_voice.rest import create_web_call, listen_live, stop_call, take_over, update_live

KEY = "key_1234567890abcdef"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(agent=silent_agent, api_key=KEY, max_calls=5) as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[retell.AsyncRetell]:
    async with client_of(emulator) as client:
        yield client


def client_of(emulator: Emulator, **settings: Any) -> retell.AsyncRetell:
    # Strict: an answer that the SDK's schema does not have is an error.
    strict: dict[str, Any] = {"api_key": KEY, "_strict_response_validation": True}
    return retell.AsyncRetell(base_url=emulator.api_url, **strict | settings)


async def registered(client: retell.AsyncRetell, **fields: Any) -> dict[str, Any]:
    body = {
        "agent_id": "agent_1",
        "audio_websocket_protocol": "web",
        "audio_encoding": "s16le",
        "sample_rate": 24000,
    }
    answer = await client.post("/register-call", body=body | fields, cast_to=object)
    return cast(dict[str, Any], answer)


async def held(emulator: Emulator, call: RegisteredCall) -> None:
    async with join(emulator, call):
        pass
    await call.wait()


async def test_the_life_of_a_call(emulator: Emulator, client: retell.AsyncRetell) -> None:
    call_id = (await registered(client, metadata={"id": 7}))["call_id"]
    call = await client.call.retrieve(call_id)
    assert (call.call_type, call.call_status, call.metadata) == (
        "web_call",
        "registered",
        {"id": 7},
    )
    async with join(emulator, call_id) as websocket:
        assert (await client.call.retrieve(call_id)).call_status == "ongoing"
        assert (await client.concurrency.retrieve()).current_concurrency == 1
        await client.call.stop(call_id)
        with pytest.raises(ConnectionClosedOK):
            await websocket.recv()
        assert (websocket.close_code, websocket.close_reason) == (1000, "the call was stopped")
    kept = emulator.find(call_id)
    assert kept is not None
    await kept.wait()
    call = await client.call.retrieve(call_id)
    assert (call.call_status, call.disconnection_reason) == ("ended", "manual_stopped")
    assert call.duration_ms is not None
    call = await client.call.update(
        call_id, metadata={"id": 8}, data_storage_setting="everything_except_pii"
    )
    assert (call.metadata, call.data_storage_setting) == ({"id": 8}, "everything_except_pii")
    await client.call.delete(call_id)
    with pytest.raises(retell.NotFoundError):
        await client.call.retrieve(call_id)


async def test_calls_of_phone_providers_are_phone_calls(client: retell.AsyncRetell) -> None:
    phone = {"audio_websocket_protocol": "twilio", "audio_encoding": "mulaw", "sample_rate": 8000}
    await registered(client, **phone)
    numbers = {"direction": "outbound", "from_number": "+1", "to_number": "+2"}
    call_id = (await registered(client, **phone, **numbers))["call_id"]
    calls = (await client.call.list(sort_order="ascending")).items
    assert [(call.call_type, getattr(call, "from_number", None)) for call in calls] == [
        ("phone_call", ""),
        ("phone_call", "+1"),
    ]
    assert (await client.call.retrieve(call_id)).call_type == "phone_call"


async def test_lists_are_filtered_and_paged(emulator: Emulator, client: retell.AsyncRetell) -> None:
    calls = [emulator.register(agent_id=f"agent_{number % 2}") for number in range(4)]
    for call in calls:
        await held(emulator, call)
    calls.append(emulator.register())
    page = await client.call.list(
        filter_criteria={
            "agent": [{"agent_id": "agent_0"}],
            "call_status": {"type": "enum", "op": "in", "value": ["ended"]},
            "start_timestamp": {"type": "number", "op": "le", "value": time.time() * 1000},
        },
        sort_order="ascending",
        limit=1,
        include_total=True,
    )
    assert ([item.call_id for item in page.items], page.total) == ([calls[0].call_id], 2)
    assert page.has_more
    assert page.pagination_key is not None
    rest = await client.call.list(
        sort_order="ascending", limit=50, pagination_key=page.pagination_key
    )
    assert [item.call_id for item in rest.items] == [call.call_id for call in calls[1:]]
    assert not rest.has_more
    with pytest.raises(retell.UnprocessableEntityError, match="sort_order must be one of"):
        await client.call.list(sort_order=cast(Any, "sideways"))


async def test_errors_are_those_the_sdk_knows(
    emulator: Emulator, client: retell.AsyncRetell
) -> None:
    with pytest.raises(retell.UnprocessableEntityError, match="sample_rate must be 8000–48000"):
        await registered(client, sample_rate=1)
    with pytest.raises(retell.NotFoundError):
        await client.call.retrieve("nobody")
    waiting = emulator.register()
    with pytest.raises(retell.UnprocessableEntityError, match="not ongoing"):
        await client.call.stop(waiting.call_id)
    async with client_of(emulator, api_key="another") as stranger:
        with pytest.raises(retell.AuthenticationError):
            await stranger.call.retrieve(waiting.call_id)
    with pytest.raises(retell.InternalServerError, match="no telephone"):
        await client.call.create_phone_call(from_number="+1", to_number="+2")
    with pytest.raises(retell.UnprocessableEntityError, match="not ongoing"):
        await client.call.update_live(waiting.call_id, call_control={"trigger_response": True})


async def test_the_sdk_tries_again_when_it_is_told_to(
    emulator: Emulator, client: retell.AsyncRetell
) -> None:
    call = emulator.register()
    emulator.refuse(503, retry_after=0.02)
    emulator.refuse(429, retry_after=0.03)
    started = time.perf_counter()
    answer = await client.call.with_raw_response.retrieve(call.call_id)
    assert answer.retries_taken == 2
    assert time.perf_counter() - started >= 0.045
    assert (await answer.parse()).call_id == call.call_id
    emulator.refuse(429, times=3, retry_after=0.01)
    with pytest.raises(retell.RateLimitError, match="Too Many Requests"):
        await client.call.retrieve(call.call_id)
    assert (await client.call.retrieve(call.call_id)).call_id == call.call_id


async def test_too_many_calls_at_a_time_are_429(emulator: Emulator) -> None:
    async with client_of(emulator, max_retries=0) as client:
        first, *_ = [await registered(client) for _ in range(5)]
        with pytest.raises(retell.RateLimitError, match="too many calls"):
            await registered(client)
        call = emulator.find(first["call_id"])
        assert call is not None
        await held(emulator, call)
        await registered(client)


async def test_one_of_many_calls_is_stopped(emulator: Emulator, client: retell.AsyncRetell) -> None:
    first, second = emulator.register(), emulator.register()
    async with join(emulator, first), join(emulator, second) as other:
        await client.call.stop(first.call_id)
        async with asyncio.timeout(5):
            await first.wait()
        await other.send("ping")
        assert await other.recv() == "pong"
    await second.wait()
    assert second.disconnection_reason == "user_hangup"


async def test_a_web_call_is_created_watched_steered_and_taken_over(
    emulator: Emulator, client: retell.AsyncRetell
) -> None:
    created = await client.call.create_web_call(
        agent_id="parrot", metadata={"id": 1}, retell_llm_dynamic_variables={"name": "Ann"}
    )
    assert (created.transport, created.ice_servers) == ("gateway", [])
    assert created.expires_at == pytest.approx((time.time() + 30) * 1000, abs=5000)
    caller, listener = WebCaller(), WebCaller(listens_only=True)
    try:
        async with asyncio.timeout(20):
            await caller.join(emulator, created.to_dict())
            await caller.until(lambda: bool(emulator.sessions))
            call = await client.call.retrieve(created.call_id)
            assert (call.call_type, call.call_status) == ("web_call", "ongoing")
            listening = await client.call.listen_live(created.call_id)
            assert listening.transport == "gateway"
            admission = listening.to_dict() | {"call_id": created.call_id}
            await listener.join(emulator, admission, listening.participant_id)
            done = await client.call.update_live(
                created.call_id,
                fields_to_override={"metadata": {"id": 2}},
                call_control={"additional_context": "hurry up"},
            )
            assert done.success
            await listener.until(lambda: bool(listener.packets))
            taken = await client.call.take_over_live(
                created.call_id, participant_id=listening.participant_id
            )
            assert taken.success
            kept = emulator.find(created.call_id)
            assert kept is not None
            await kept.wait()
            call = await client.call.retrieve(created.call_id)
            assert call.disconnection_reason == "call_take_over"
            assert call.metadata == {"id": 2}
            assert [item.role for item in kept.live.since(0)[0]] == ["injected"]
    finally:
        await caller.close()
        await listener.close()


async def test_our_own_rest_calls_do_the_same(emulator: Emulator) -> None:
    ours: dict[str, Any] = {"api_key": KEY, "api_url": emulator.api_url}
    admission = await create_web_call("parrot", **ours)
    caller, listener = WebCaller(), WebCaller(listens_only=True)
    try:
        async with asyncio.timeout(20):
            await caller.join(emulator, admission_body(admission))
            await caller.until(lambda: bool(emulator.sessions))
            listening = await listen_live(admission.call_id, **ours)
            await listener.join(emulator, admission_body(listening), listening.identity)
            await listener.until(lambda: bool(listener.packets))
            await update_live(admission.call_id, trigger_response=True, **ours)
            await take_over(admission.call_id, listening.identity, **ours)
            with pytest.raises(FieldRefused):
                await stop_call(admission.call_id, **ours)
    finally:
        await caller.close()
        await listener.close()
