"""The doctor's web call: what is told where it stops, with real peers over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.gateway import CALL_ID, TOKEN, Gateway, gateway
from support.relay import PASSWORD, USER, relay

from retell_voice.doctor import web_call
from retell_voice.doctor.findings import Finding, Verdict, exit_code
from retell_voice.emulator import Emulator
from retell_voice.emulator.server_events import CallEnded
from retell_voice.settings.schema import Sourced

KEY = "key_1234567890abcdef"
PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL
LISTED = {"agent_id": "agent_1", "agent_name": "Ann", "channel": "voice"}
AGENTS = (200, {"items": [LISTED], "has_more": False})


async def look(
    url: str, key: str | None = KEY, agent: str | None = "Ann", step_timeout: float = 15.0
) -> list[Finding]:
    given = Sourced(key, "RETELL_API_KEY"), Sourced(agent, "--agent")
    async with asyncio.timeout(60):
        looking = web_call.examine(url, *given, step_timeout=step_timeout)
        found = [each async for each in looking]
    for each in found:
        assert each.part == "call"
        for secret in (KEY, CALL_ID, TOKEN, PASSWORD):
            assert secret not in each.says + each.hint
    return found


def verdicts(found: list[Finding]) -> list[tuple[str, Verdict]]:
    return [(each.check, each.verdict) for each in found]


@asynccontextmanager
async def serving() -> AsyncIterator[Gateway]:
    async with gateway() as server:
        server.answers["POST", "list-agents"] = [AGENTS]
        yield server


async def test_a_call_that_works_and_is_over_in_good_order() -> None:
    async with Emulator(api_key=KEY, agents={"agent_1": "Ann"}) as emulator:
        found = await look(emulator.api_url)
        async with asyncio.timeout(20):
            ended = [event async for event in _until_over(emulator)]
    assert verdicts(found) == [("token", PASS), ("gateway", PASS), ("UDP", PASS), ("audio", PASS)]
    assert found[0].figures.keys() == {"ms", "expires_in_s"}
    assert found[2].says == "audio goes straight to the gateway"
    assert ended[-1].why == "user_hangup"


async def _until_over(emulator: Emulator) -> AsyncIterator[Any]:
    async for event in emulator.events:
        yield event
        if isinstance(event, CallEnded):
            return


async def test_relays_are_tried_one_by_one() -> None:
    async with serving() as server, relay() as (port, running):
        with socket.create_server(("127.0.0.1", 0)) as end:
            closed = end.getsockname()[1]
        account = {"username": USER, "credential": PASSWORD}
        server.admission["ice_servers"] = [
            {"urls": [f"turn:127.0.0.1:{port}"], **account},
            {"urls": [f"turn:127.0.0.1:{closed}?transport=tcp"], **account},
        ]
        found = await look(server.url)
    assert [each.says.partition(" (")[0] for each in found if each.check == "relay"] == [
        f"turn:127.0.0.1:{port} over udp works",
        f"turn:127.0.0.1:{closed} over tcp does not answer",
    ]
    assert [each.verdict for each in found] == [PASS, PASS, WARN, PASS, PASS, PASS]
    assert running.given >= 1


async def test_a_key_that_may_not_make_calls() -> None:
    async with serving() as server:
        server.answers["POST", "create-web-call"] = [(403, {"message": "no"})]
        found = await look(server.url)
    assert (verdicts(found), exit_code(found)) == ([("token", FAIL)], 7)


async def test_a_gateway_that_does_not_let_us_in() -> None:
    async with serving() as server:
        server.answers["POST", "sessions"] = [(403, {"message": "no"})]
        found = await look(server.url)
        assert server.methods(f"stop-call/{CALL_ID}") == ["POST"]
    assert (verdicts(found)[1:], exit_code(found)) == ([("gateway", FAIL)], 5)


async def test_a_network_that_lets_no_audio_through() -> None:
    async with serving() as server:
        server.change = lambda sdp: sdp.replace("a=ice-pwd:", "a=ice-pwd:wrong")
        found = await look(server.url, step_timeout=1.0)
    assert verdicts(found)[1:] == [("gateway", PASS), ("UDP", FAIL)]
    assert exit_code(found) == 4
    assert "firewall" in found[-1].hint


async def test_a_gateway_that_says_nothing() -> None:
    async with serving() as server:
        server.on_session = lambda session: session.voice.running.clear()
        found = await look(server.url, step_timeout=1.0)
    assert verdicts(found)[-1] == ("audio", FAIL)
    assert (found[-1].says, exit_code(found)) == ("none comes within 1 s", 6)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"key": None}, "there is no API key to make a call with"),
        ({"agent": None}, "there is no agent to make a call with"),
    ],
)
async def test_what_a_call_needs(given: dict[str, Any], says: str) -> None:
    found = await look("http://127.0.0.1:1", **given)
    assert [(each.says, each.exit_code) for each in found] == [(says, 2)]


@pytest.mark.parametrize(
    ("expires_at", "verdict", "words"),
    [
        (None, PASS, "the call was made (250 ms)"),
        (1030.0, PASS, "good for 30 s"),
        (1003.0, WARN, "is good for 3 s"),
        (400.0, WARN, "its token is over"),
    ],
)
def test_a_token_that_is_over_before_its_time(
    expires_at: float | None, verdict: Verdict, words: str
) -> None:
    judged = web_call.judge_token(expires_at, 1000.0, 0.25)
    assert judged.verdict is verdict
    assert judged.says.endswith(words)
    json.dumps(judged.figures)


def test_a_detour_is_warned_of() -> None:
    assert web_call.judge_way(relayed=True).verdict is WARN
