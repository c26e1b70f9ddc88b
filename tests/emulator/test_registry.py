"""The lives of calls: those that nobody joins end at their time, also when nobody looks."""

import asyncio
import time
from functools import partial

from retell_voice.emulator import CallStatus, Emulator
from retell_voice.emulator.calls import Calls, RegisteredCall
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.server_events import (
    CallExpired,
    CallRegistered,
    ServerEvents,
    WebhookFailed,
)
from retell_voice.emulator.webhooks import Webhooks


async def test_calls_that_nobody_joins_end_though_nobody_looks() -> None:
    emulator = Emulator(expiry=0.05)
    early = emulator.register()
    async with emulator, asyncio.timeout(5):
        late = emulator.register()
        await early.wait()
        await late.wait()
    for call in (early, late):
        assert (call.status, call.disconnection_reason) == (
            CallStatus.ERROR,
            "registered_call_timeout",
        )
    told = [each async for each in emulator.events if isinstance(each, CallExpired)]
    assert [each.call for each in told] == [early.name, late.name]
    assert str(told[0]) == "expired: nobody joined within 0.05 s"


async def test_a_call_joined_at_the_last_moment_is_left_alone() -> None:
    clock = [0.0]
    registry = Registry(Calls(expiry=0.01), ServerEvents(), now=lambda: clock[0])
    registry.start()
    call, other = RegisteredCall(), RegisteredCall()
    assert registry.register(call)
    registry.join(call)
    clock[0] = 0.02
    assert registry.register(other)
    clock[0] = 0.03
    await other.wait()
    assert call.status is CallStatus.ONGOING
    await registry.stop()


async def test_a_clock_that_stands_still_ends_nothing() -> None:
    server_events = ServerEvents()
    registry = Registry(Calls(expiry=0.001), server_events, now=lambda: 5.0)
    registry.start()
    call = RegisteredCall()
    registry.register(call)
    await asyncio.sleep(0.01)  # the timer goes off several times: nothing tells of it
    assert call.status is CallStatus.REGISTERED
    await registry.stop()
    server_events.close()
    assert [type(each) async for each in server_events] == [CallRegistered]


async def test_the_end_of_a_call_is_posted_once_though_it_is_deleted_later() -> None:
    server_events = ServerEvents()
    closed = "http://127.0.0.1:9/webhook"
    posting = partial(Webhooks, closed, "key")
    registry = Registry(Calls(), server_events, time.time, webhooks=posting)
    over, waiting = RegisteredCall(), RegisteredCall()
    for call in (over, waiting):
        registry.register(call)
    registry.join(over)
    registry.end(over, "user_hangup")
    for call in (over, waiting):
        registry.forget(call)
        assert registry.find(call.call_id) is None
    assert over.disconnection_reason == "user_hangup"
    assert waiting.disconnection_reason == "manual_stopped"
    await registry.stop()
    server_events.close()
    failed = [each async for each in server_events if isinstance(each, WebhookFailed)]
    posted = {(each.call, each.event) for each in failed}
    assert posted == {
        *((over.name, "call_started"), (over.name, "call_ended")),
        (waiting.name, "call_ended"),
    }
    assert sum(each.why == "the emulator stopped" for each in failed) == len(posted)
