"""What goes wrong with web calls when a scenario wants it, over real HTTP and WebRTC."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from support.callers import join
from support.waits import unless_it_had_to_wait
from support.web_caller import FRAME, RATE, WebCaller, calling, create, http, sessions
from websockets.exceptions import ConnectionClosedError

from retell_voice.emulator import Emulator, ScenarioFailed, scenario_agent, silent_agent
from retell_voice.emulator.fixtures import RunningEmulator
from retell_voice.emulator.gateway import peer
from retell_voice.emulator.request_faults import ANSWERS
from retell_voice.emulator.scenario import parse_scenario

STAY = "\n[[step]]\nwait = {caller_leaves = true}\n"


@asynccontextmanager
async def joined(toml: str, then: str = STAY) -> AsyncIterator[tuple[Emulator, WebCaller]]:
    """A web call with a scenario, which stays in the end."""
    agent = scenario_agent(parse_scenario(toml + then))
    async with (
        Emulator(agent=agent, record=True) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        yield emulator, caller


def numbers(caller: WebCaller, since: int = 0) -> list[int]:
    """Return the sequence numbers received, from the first on, without wrap-around."""
    first = caller.packets[0].sequence
    return [(each.sequence - first) & 0xFFFF for each in caller.packets[since:]]


# -- the network -----------------------------------------------------------------------------------


async def test_packets_are_lost_in_rows() -> None:
    toml = "[[step]]\nnetwork = {loss = 0.5, lost_in_a_row = 4, direction = 'to_caller'}"
    async with joined(toml) as (_, caller):
        await caller.until(lambda: len(caller.packets) > 60)
        gaps = np.diff(numbers(caller)) - 1
    assert 20 < gaps.sum() < 150
    assert gaps.max() > 1


async def test_packets_come_twice_and_out_of_order() -> None:
    toml = "[[step]]\nnetwork = {duplicate = 0.5, reorder = 0.3, direction = 'to_caller'}"
    async with joined(toml) as (_, caller):
        before = await caller.datagrams()
        await caller.until(lambda: len(caller.packets) > 100)
        found = numbers(caller)
        datagrams = await caller.datagrams() - before
    assert found != sorted(found)
    # The second of two is taken for a replay (SRTP), and is not seen beyond the network.
    assert len(set(found)) == len(found)
    assert len(found) >= max(found) - 3
    assert datagrams > 1.25 * len(found)


@unless_it_had_to_wait
async def test_packets_are_late_and_the_network_may_become_calm_again() -> None:
    toml = """
        [[step]]
        network = {delay_ms = 200, jitter_ms = 100}
        [[step]]
        wait = {text = "calm down"}
        [[step]]
        network = {}
        """
    async with joined(toml) as (_, caller):
        await caller.until(lambda: len(caller.packets) > 40)
        late = np.array([each.at - each.timestamp / RATE for each in caller.packets[-20:]])
        caller.say_on_control("calm down")
        count = len(caller.packets)
        await caller.until(lambda: len(caller.packets) > count + 60)
        later = np.array([each.at - each.timestamp / RATE for each in caller.packets[-20:]])
    assert np.median(late) - np.median(later) == pytest.approx(0.27, abs=0.12)


async def test_what_the_caller_says_is_lost_too_and_its_time_is_kept() -> None:
    toml = "[[step]]\nnetwork = {loss = 0.3, direction = 'from_caller'}"
    async with joined(toml) as (emulator, caller):
        await caller.speech.until(2 * RATE)
        assert len(np.unique(np.diff(numbers(caller)))) == 1  # the other way nothing is lost
        (call,) = emulator.calls
        await caller.leave(emulator)
        await call.wait()
    assert len(call.received) / 24000 == pytest.approx(2, abs=0.3)


@unless_it_had_to_wait
async def test_during_a_stall_nothing_comes_and_then_everything() -> None:
    toml = "[[step]]\nwait = {seconds = 0.2}\n[[step]]\nstall = {seconds = 0.5}"
    async with joined(toml) as (_, caller):
        await caller.until(lambda: len(caller.packets) > 60)
    gaps = np.diff([each.at for each in caller.packets])
    longest = int(gaps.argmax())
    assert gaps[longest] == pytest.approx(0.5, abs=0.15)
    assert caller.packets[longest + 15].at - caller.packets[longest + 1].at < 0.1
    assert set(np.diff(numbers(caller))) == {1}


@unless_it_had_to_wait
async def test_a_stall_of_reading_lets_what_was_said_in_afterwards() -> None:
    toml = "[[step]]\nstall = {seconds = 0.4, stops = 'reading'}\n[[step]]\nsend = {text = '{}'}"
    async with joined(toml) as (emulator, caller):
        (session,) = emulator.sessions
        await caller.speech.until(10 * FRAME)
        assert len(session.call.received) < 24000 * 0.1
        await caller.until(lambda: bool(caller.control))
        await caller.speech.until(40 * FRAME)
        await caller.leave(emulator)
        await session.call.wait()
    assert len(session.call.received) > 24000 * 0.5


# -- the connection --------------------------------------------------------------------------------


async def test_without_the_control_channel_audio_goes_on_and_the_end_is_not_told() -> None:
    agent = scenario_agent(
        parse_scenario(
            """
            [[step]]
            send = {text = '{"now": true}'}
            [[step]]
            drop_control = true
            [[step]]
            wait = {seconds = 0.3}
            [[step]]
            close = {code = 1011}
            """
        )
    )
    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        await caller.until(lambda: caller.control_closed)
        count = len(caller.packets)
        await caller.until(lambda: len(caller.packets) > count + 5)
        await caller.closed.wait()
    assert caller.control == [{"now": True}]


@unless_it_had_to_wait
async def test_half_open_it_is_silent_and_ends_with_the_caller() -> None:
    toml = "[[step]]\nsend = {text = '{\"now\": true}'}\n[[step]]\nhalf_open = true"
    async with joined(toml, then="") as (emulator, caller):
        await caller.until(lambda: bool(caller.control))
        await asyncio.sleep(0.1)
        count = len(caller.packets)
        await asyncio.sleep(0.3)
        assert len(caller.packets) == count
        assert not caller.closed.is_set()
        (call,) = emulator.calls
        await caller.leave(emulator)
        await call.wait()
    assert call.disconnection_reason == "error_retell"


@pytest.mark.parametrize(("step", "is_told"), [("reset", False), ("drop", True)])
async def test_a_connection_that_ends_without_a_goodbye(step: str, is_told: bool) -> None:
    toml = f"[[step]]\nwait = {{seconds = 0.2}}\n[[step]]\n{step} = true"
    async with joined(toml, then="") as (emulator, caller):
        (call,) = emulator.calls
        await call.wait()
        assert call.disconnection_reason == "error_retell"
        if is_told:  # by DTLS, at once
            await caller.closed.wait()
        else:
            await asyncio.sleep(0.2)
            assert not caller.closed.is_set()
        assert not caller.control


async def test_what_only_a_web_call_has_fails_on_a_websocket_before_anything_is_said() -> None:
    for step in ("network = {loss = 0.1}", "drop_control = true"):
        agent = scenario_agent(parse_scenario(f"[[step]]\nsend = {{text = 'x'}}\n[[step]]\n{step}"))
        async with Emulator(agent=agent) as emulator, asyncio.timeout(20):
            call = emulator.register()
            async with join(emulator, call) as websocket:
                with pytest.raises(ConnectionClosedError, match="needs a web call"):
                    await websocket.recv()
            await call.wait()
        (failed,) = [each async for each in emulator.events if isinstance(each, ScenarioFailed)]
        assert "needs a web call" in failed.why
        assert failed.number == "2"


# -- requests --------------------------------------------------------------------------------------


def faulty(toml: str) -> Emulator:
    return Emulator(agent=scenario_agent(parse_scenario(toml + STAY)))


async def asked(emulator: Emulator) -> Any:
    """Ask for a web call."""
    return await http(emulator, "POST", "/v3/create-web-call", "key", {"agent_id": "a"})


async def test_creates_are_refused_as_often_and_in_the_order_wanted() -> None:
    toml = """
        [[request]]
        kind = "create"
        status = 429
        retry_after_seconds = 2
        times = 2
        [[request]]
        kind = "create"
        status = 402
        message = "no credit"
        """
    async with faulty(toml) as emulator, asyncio.timeout(20):
        answers = [await asked(emulator) for _ in range(4)]
        assert [each.status for each in answers] == [429, 429, 402, 201]
        assert "Retry-After: 2\r\n" in answers[0].head
        assert answers[2].body["message"] == "no credit"
        assert len(emulator.calls) == 1


async def test_a_join_that_was_refused_has_not_used_up_the_token() -> None:
    toml = "[[request]]\nkind = 'join'\nstatus = 503"
    async with faulty(toml) as emulator, asyncio.timeout(20):
        caller = WebCaller()
        created = await create(emulator)
        body = {"identity": "client", "sdp": await caller.offer()}
        refused = await http(emulator, "POST", sessions(created), created["access_token"], body)
        assert refused.status == 503
        joined = await http(emulator, "POST", sessions(created), created["access_token"], body)
        assert joined.status == 201
        await caller.close()


@pytest.mark.parametrize("answer", [each for each in ANSWERS["create"] if each != "nothing"])
async def test_odd_answers_to_a_create(answer: str) -> None:
    async with faulty(f"[[request]]\nkind = 'create'\nanswer = '{answer}'") as emulator:
        got, usual = await asked(emulator), await asked(emulator)
    assert got.status == usual.status == 201
    match answer:
        case "livekit":
            assert got.body["transport"] == "livekit"
        case "no_transport":
            assert set(usual.body) - set(got.body) == {"transport"}
        case "no_token":
            assert set(usual.body) - set(got.body) == {"access_token"}
        case "not_json":
            assert got.text.startswith("<html>")
        case _:
            pytest.fail(f"what is {answer}?")


@pytest.mark.parametrize("answer", [each for each in ANSWERS["join"] if each != "nothing"])
async def test_odd_answers_to_a_join(answer: str) -> None:
    async with faulty(f"[[request]]\nkind = 'join'\nanswer = '{answer}'") as emulator:
        created, caller = await create(emulator), WebCaller()
        body = {"identity": "client", "sdp": await caller.offer()}
        got = await http(emulator, "POST", sessions(created), created["access_token"], body)
        await caller.close()
    assert got.status == 201
    match answer:
        case "not_json":
            assert got.text.startswith("<html>")
        case "no_session":
            assert set(got.body) == {"sdp"}
        case "not_sdp":
            assert got.body["session_id"]
            assert "v=0" not in got.body["sdp"]
        case "no_opus":
            assert "m=audio" in got.body["sdp"]
            assert "opus" not in got.body["sdp"].lower()
        case "no_candidates":
            assert "opus" in got.body["sdp"]
            assert not re.search("^a=candidate", got.body["sdp"], re.MULTILINE)
        case _:
            pytest.fail(f"what is {answer}?")


@unless_it_had_to_wait
async def test_a_late_answer_and_none_at_all() -> None:
    toml = """
        [[request]]
        kind = "create"
        delay_seconds = 0.3
        [[request]]
        kind = "create"
        answer = "nothing"
        """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        async with faulty(toml) as emulator:
            begun = loop.time()
            assert (await asked(emulator)).status == 201
            assert loop.time() - begun >= 0.3
            waiting = asyncio.create_task(asked(emulator))
            done, _ = await asyncio.wait({waiting}, timeout=0.3)
            assert not done
            begun = loop.time()
        assert loop.time() - begun < 1
        await asyncio.gather(waiting, return_exceptions=True)


async def test_other_requests_about_a_call_fail_too() -> None:
    toml = """
        [[request]]
        kind = "trickle"
        status = 500
        [[request]]
        kind = "leave"
        status = 404
        [[request]]
        kind = "register"
        status = 503
        """
    async with (
        faulty(toml) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        trickle = await http(emulator, "PATCH", caller.path, caller.token, {"candidate": None})
        assert trickle.status == 500
        assert (await caller.leave(emulator)).status == 404
        assert (await http(emulator, "POST", "/register-call", "key", {})).status == 503
        assert (await caller.leave(emulator)).status == 204


async def test_programs_may_refuse_requests_of_a_kind() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        emulator.refuse(429, times=2, retry_after=1, kind="create")
        assert [(await asked(emulator)).status for _ in range(3)] == [429, 429, 201]
        for status in (200, 399, 600):
            with pytest.raises(ValueError, match="400–599"):
                emulator.refuse(status, kind="join")


async def test_programs_may_refuse_whatever_comes() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        emulator.refuse(503, times=2)
        emulator.refuse(599, retry_after=1.5)
        answers = [await http(emulator, "GET", "/get-call/x", "key") for _ in range(4)]
    assert [each.status for each in answers] == [503, 503, 599, 404]
    assert ["Retry-After: 1.5" in each.head for each in answers] == [False, False, True, False]
    assert answers[0].body["message"] == "Service Unavailable, as the emulator was told"


def test_emulators_of_the_fixture_refuse_them_too() -> None:
    toml = "[[request]]\nkind = 'create'\nstatus = 418\n[[step]]\nclear = true"
    running = RunningEmulator(scenario_agent(parse_scenario(toml)))
    try:
        statuses = asyncio.run(twice(running))
    finally:
        running.close()
    assert statuses == [418, 201]


async def twice(running: Any) -> list[int]:
    return [(await asked(running._emulator)).status for _ in range(2)]


async def test_a_connection_that_does_not_close_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = peer.Peer(lambda: b"", lambda *_: None, lambda _: None)
    gives_way, close = asyncio.Event(), made._connection.close

    async def hangs() -> None:
        await gives_way.wait()
        await close()
        raise OSError("too late")

    monkeypatch.setattr(peer, "_CLOSE_TIMEOUT", 0.05)
    monkeypatch.setattr(made._connection, "close", hangs)
    async with asyncio.timeout(5):
        await made.close()
        await made.wait_closed()
    (left,) = peer._unfinished
    gives_way.set()
    await left
    assert not peer._unfinished
