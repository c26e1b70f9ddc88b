"""The account over real sockets, with what can be wrong with it."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import pytest
from support.rest import answer, server

from retell_voice.doctor import account
from retell_voice.doctor.findings import Finding, Verdict, exit_code
from retell_voice.emulator import Emulator
from retell_voice.extras import how_to_install
from retell_voice.rest import sdk
from retell_voice.settings.schema import Sourced

KEY = "key_1234567890abcdef"
PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL
NAMES = {f"agent_{number}": name for number, name in enumerate(("Front desk", "Ann", "Bob", "Cy"))}


async def look(url: str, key: str | None = KEY, agent: str | None = None) -> list[Finding]:
    given = Sourced(key, "RETELL_API_KEY"), Sourced(agent, "--agent")
    async with asyncio.timeout(20):
        found = [each async for each in account.examine(url, *given)]
    for each in found:
        assert each.part == "account"
        assert KEY not in each.says + each.hint
    return found


def verdicts(found: list[Finding]) -> list[tuple[str, Verdict]]:
    return [(each.check, each.verdict) for each in found]


async def test_an_account_that_is_well() -> None:
    async with Emulator(api_key=KEY, agents=NAMES) as emulator:
        found = await look(emulator.api_url, agent="front DESK")
    assert verdicts(found) == [("API key", PASS), ("agents", PASS), ("agent", PASS)]
    key, agents, agent = found
    assert key.says.startswith("127.0.0.1 accepts the key …cdef of RETELL_API_KEY (")
    assert agents.says == "the account has Front desk, Ann, Bob, 1 more"
    assert (agents.figures, key.figures.keys()) == ({"agents": 4}, {"ms"})
    assert agent.says == "Front desk (agent_0) exists"


async def test_an_agent_that_is_not_there() -> None:
    async with Emulator(api_key=KEY, agents=NAMES) as emulator:
        *_, agent = found = await look(emulator.api_url, agent="desk")
    assert (agent.check, agent.verdict, exit_code(found)) == ("agent", FAIL, 7)
    assert agent.says == "no agent is named 'desk' (--agent)"
    assert agent.hint == "use an id: Front desk (agent_0)"


async def test_a_key_that_is_refused() -> None:
    async with Emulator(api_key="another") as emulator:
        found = await look(emulator.api_url)
    assert verdicts(found) == [("API key", FAIL)]
    assert found[0].hint.startswith("it is the key …cdef of RETELL_API_KEY; ")
    assert exit_code(found) == 7


async def test_an_account_without_agents_and_one_whose_agent_sleeps() -> None:
    async with Emulator(api_key=KEY, agents={}) as emulator:
        assert verdicts(await look(emulator.api_url)) == [("API key", PASS), ("agents", WARN)]
    asleep = {"agent_id": "agent_1", "agent_name": "Ann", "is_suspended": True}
    page = answer(json.dumps({"items": [asleep], "has_more": False}).encode())
    async with server(page, page) as (url, _):
        *_, agent = await look(url, agent="Ann")
    assert (agent.verdict, agent.says) == (WARN, "Ann (agent_1) exists, but is suspended")


async def test_a_server_that_is_not_there_and_one_in_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
    found = await look(f"http://127.0.0.1:{port}")
    assert (verdicts(found), exit_code(found)) == ([("REST API", FAIL)], 4)
    busy = answer(b'{"message": "full"}', "429 X")
    async with server(busy) as (url, _):
        assert verdicts(await look(url)) == [("REST API", WARN)]
    async with server(answer(b"[]")) as (url, _):
        found = await look(url)
    assert (verdicts(found), exit_code(found)) == ([("REST API", FAIL)], 7)


@pytest.mark.parametrize(("agent", "verdict", "code"), [(None, PASS, 0), ("Ann", FAIL, 2)])
async def test_no_key_matters_only_to_those_who_need_one(
    agent: str | None, verdict: Verdict, code: int
) -> None:
    found = await look("http://127.0.0.1:1", None, agent)
    assert (verdicts(found), exit_code(found)) == ([("API key", verdict)], code)


async def test_without_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retell", None)
    sdk.load_sdk.cache_clear()
    try:
        (found,) = await look("http://127.0.0.1:1")
    finally:
        sdk.load_sdk.cache_clear()
    assert (found.check, found.verdict) == ("REST API", WARN)
    assert found.hint == how_to_install("register")


def test_one_that_thinks_for_long_is_warned_of() -> None:
    assert account.judge_answer("host", "…cdef of X", 0.1).verdict is PASS
    slow = account.judge_answer("host", "…cdef of X", 3.0)
    assert (slow.verdict, slow.says) == (WARN, "host accepts the key …cdef of X (3000 ms)")
