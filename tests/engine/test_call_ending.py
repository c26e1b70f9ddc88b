"""How a call ends that is hung up, left or cancelled, and how much was never heard then."""

import asyncio
from typing import Any

import pytest
from support.calls import (
    assert_nothing_runs,
    calling,
    collect,
    ended,
    listen,
    silent_server,
    talk,
    tone,
    until,
)

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Session
from retell_voice.engine.call import Call
from retell_voice.errors import CallFailed
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    CallState,
    Event,
    StateChanged,
    Statistics,
)


async def test_hanging_up_ends_the_call_at_once() -> None:
    async with calling(talk) as call:
        await until(call, AgentStarted)
        await call.hang_up()
        end = ended(await collect(call))
    assert (end.by, end.code, end.error) == ("you", 1000, None)
    assert call.registered.disconnection_reason == "user_hangup"


async def test_hanging_up_tells_how_much_of_the_agent_was_never_heard() -> None:
    async with calling(talk) as call:
        async for event in call:
            if isinstance(event, Statistics) and event.heard + event.playout_depth > 59.9:
                break
        await call.hang_up()
        events = await collect(call)
    [stopped] = [event for event in events if isinstance(event, AgentStopped)]
    assert stopped.interrupted
    assert 50 < stopped.discarded < 60
    figures = ended(events).statistics
    assert figures.heard + stopped.discarded == pytest.approx(60, abs=0.05)
    assert figures.heard + figures.discarded == pytest.approx(60)


async def test_hanging_up_cuts_the_last_words_but_not_the_servers_reason() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(60))
        await session.close(1011, "error_llm")

    async with calling(agent) as call:
        while (await until(call, StateChanged)).state is not CallState.DRAINING:
            pass
        await call.hang_up()
        end = ended(await collect(call))
    assert (end.by, end.reason, type(end.error)) == ("server", "error_llm", CallFailed)
    assert end.statistics.heard < 2


async def test_an_agent_that_is_cut_off_has_stopped_all_the_same() -> None:
    async with calling(talk) as call:
        await until(call, AgentStarted)
        await call.hang_up()
        events = await collect(call)
    (stopped,) = (event for event in events if isinstance(event, AgentStopped))
    assert stopped.interrupted
    assert ended(events).statistics.playout_depth == 0


async def test_leaving_the_context_hangs_up_and_closes_the_devices() -> None:
    async with calling(listen) as call:
        await until(call, Statistics)
    assert call.state is CallState.ENDED
    assert_nothing_runs()


async def test_an_error_in_the_body_closes_the_call_and_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        async with calling(listen) as call:
            1 / 0  # noqa: B018
    assert call.state is CallState.ENDED


def test_a_call_in_a_task_that_is_cancelled_leaves_nothing_running() -> None:
    async def hold(call: Call, up: asyncio.Event) -> None:
        async with call:
            up.set()
            await collect(call)

    async def main() -> None:
        async with silent_server() as (url, _):
            call = Call("c", url=url, microphone=NullMicrophone(), speaker=NullSpeaker())
            up = asyncio.Event()
            task = asyncio.create_task(hold(call, up))
            await up.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert call.state is CallState.ENDED

    asyncio.run(main())
    assert_nothing_runs()


async def test_a_device_that_fails_to_stop_does_not_keep_the_others_from_it() -> None:
    class Stuck(NullMicrophone):
        def stop(self) -> None:
            super().stop()
            raise OSError("stuck")

    with pytest.raises(OSError, match="stuck"):
        async with calling(listen, microphone=Stuck(8000)) as call:
            await until(call, Statistics)
    assert_nothing_runs()


async def test_a_fault_in_the_audio_path_is_raised_not_hidden_and_leaves_nothing_running() -> None:
    events: list[Event] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with calling(listen) as call:
            await until(call, Statistics)
            broken: Any = (None, None, None)
            call._devices.lease.far_end._turn.queue.append(broken)
            async for event in call:
                events.append(event)  # noqa: PERF401 - kept although it raises
    assert caught.group_contains(TypeError)
    assert call.state is CallState.ENDED
    assert_nothing_runs()
    await call.registered.wait()
    error = ended(events).error
    assert error
    assert error.exit_code == 1
