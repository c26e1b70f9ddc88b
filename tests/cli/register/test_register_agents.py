"""Which agent a new call is with: by its name or its id, and what is like a name that is none."""

from __future__ import annotations

import json

import pytest
from support.registering import KEY, WITH_KEY, Run, said
from support.rest import answer, server

from retell_voice.emulator import Emulator

NAMED = {"agent_1": "Front desk", "desk": "Back office"}


@pytest.mark.parametrize(
    ("given", "agent_id"), [("front DESK", "agent_1"), ("desk", "desk"), ("agent_1", "agent_1")]
)
async def test_an_agent_is_named_or_given_by_id(program: Run, given: str, agent_id: str) -> None:
    async with Emulator(api_key=KEY, agents=NAMED) as emulator:
        where = ("--api-url", emulator.api_url)
        result = await program("register", "--agent", given, *where, more=WITH_KEY)
        assert result.returncode == 0, result.stderr
        call = emulator.find(result.stdout.strip())
        assert call is not None
        assert call.agent_id == agent_id


async def test_an_agent_that_is_none_is_told_with_names_like_it(program: Run) -> None:
    async with Emulator(api_key=KEY, agents=NAMED) as emulator:
        where = ("--api-url", emulator.api_url)
        result = await program("register", "--agent", "front dsk", *where, more=WITH_KEY)
        no_id = await program("register", "--agent", "agent_2", *where, more=WITH_KEY)
        listed = await program("agents", "front dsk", *where, more=WITH_KEY)
        as_json = await program("register", "--json", "--agent", "dsk", *where, more=WITH_KEY)
    assert result.returncode == 7
    assert json.loads(as_json.stdout)["type"] == "NotFound"
    assert result.stderr.splitlines() == [
        "retell-voice: no agent is named 'front dsk'",
        "  did you mean Front desk (agent_1)?",
    ]
    assert no_id.returncode == 7
    assert "agent_2" in no_id.stderr.splitlines()[0], "an id is no name"
    assert (listed.stdout, listed.stderr) == ("", "did you mean Front desk (agent_1)?\n")


async def test_a_server_that_cannot_list_its_agents_says_itself_what_is_wrong(
    program: Run,
) -> None:
    refusals = (said(422, {"message": "no such agent"}), answer(b"", "404 Not Found"))
    async with server(*refusals) as (url, heads):
        result = await program("register", "--agent", "desk", "--api-url", url, more=WITH_KEY)
    assert result.returncode == 7
    assert "no such agent" in result.stderr.splitlines()[0]
    assert len(heads) == 2


async def test_a_server_whose_list_is_a_web_page_says_itself_what_is_wrong(program: Run) -> None:
    page = answer(b"<html>Welcome</html>", "200 OK", "text/html")
    async with server(said(422, {"message": "no such agent"}), page) as (url, heads):
        result = await program("register", "--agent", "desk", "--api-url", url, more=WITH_KEY)
    assert result.returncode == 7
    assert "no such agent" in result.stderr.splitlines()[0]
    assert len(heads) == 2


async def test_names_like_it_that_cannot_be_listed_change_no_result(program: Run) -> None:
    none, busy = said(200, {"items": [], "has_more": False}), said(429, {"message": "slower"})
    async with server(none, busy, busy, busy) as (url, heads):
        listed = await program("agents", "xyz", "--api-url", url, more=WITH_KEY)
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "")
    assert len(heads) > 1
