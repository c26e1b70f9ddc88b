"""Agents, voices and calls of an account, against servers that give one answer each."""

import json
from typing import Any

import pytest
from support.rest import answer, server

from retell_voice.errors import KeyRefused, NotFound, RestError
from retell_voice.rest import (
    account,
    find_agent,
    get_agent,
    list_agents,
    list_calls,
    list_voices,
)

KEY = "key_1234567890abcdef"


def said(body: Any, status: str = "200 OK") -> bytes:
    return answer(json.dumps(body).encode(), status)


def agent(agent_id: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"agent_id": agent_id, "agent_name": name, "channel": "voice", **more}


def page(*items: Any, key: str | None = None) -> bytes:
    more = {} if key is None else {"pagination_key": key}
    return said({"items": items, "has_more": key is not None, **more})


async def test_agents_are_listed_page_by_page() -> None:
    first = agent(
        "agent_1",
        "Front desk",
        is_suspended=True,
        user_modified_timestamp=1_790_000_000_500,
        tags={"prod": {"version": 3, "dynamic_variables": {}}, "odd": {"version": "x"}},
    )
    async with server(page(first, key="k/1"), page(agent("agent_2"))) as (url, heads):
        agents = await list_agents(api_key=KEY, api_url=url)
    assert [head.split()[1] for head in heads] == [
        "/v2/list-agents?limit=50",
        "/v2/list-agents?limit=50&pagination_key=k%2F1",
    ]
    voice = {"filter_criteria": {"channel": {"type": "string", "op": "eq", "value": "voice"}}}
    assert [json.loads(body) for body in heads.bodies] == [voice, voice]
    one, two = agents
    assert (one.agent_id, one.name, one.suspended, one.modified, one.tags) == (
        "agent_1",
        "Front desk",
        True,
        1_790_000_000.5,
        {"prod": 3},
    )
    assert (two.name, two.suspended, two.modified, two.tags) == ("", False, None, {})


async def test_no_more_is_asked_for_than_wanted() -> None:
    async with server(page(agent("a"), agent("b"), key="k")) as (url, heads):
        assert len(await list_agents(api_key=KEY, api_url=url, limit=2, channel=None)) == 2
    assert heads == ["POST /v2/list-agents?limit=2 HTTP/1.1\r\n"]
    assert json.loads(heads.bodies[0]) == {}
    async with server() as (url, heads):
        assert await list_agents(api_key=KEY, api_url=url, limit=0) == []


@pytest.mark.parametrize("pages", [[page(key="k")], [page(agent("a"), key="k")] * 2])
async def test_a_server_that_goes_round_in_circles_is_left(pages: list[bytes]) -> None:
    async with server(*pages) as (url, heads):
        await list_agents(api_key=KEY, api_url=url)
        assert len(heads) == len(pages)


async def test_an_agent_is_found_by_id_or_by_name() -> None:
    agents = page(agent("agent_1", "Front Desk"), agent("Front desk", "x"), agent("agent_3", "Y"))
    async with server(agents, agents) as (url, heads):
        assert (await find_agent("Front desk", api_key=KEY, api_url=url)).name == "x"
        assert (await find_agent("front DESK", api_key=KEY, api_url=url)).agent_id == "agent_1"
    assert json.loads(heads.bodies[1])["filter_criteria"]["query"] == "front DESK"


async def test_an_agent_that_is_not_there_or_there_twice_is_told_with_those_near() -> None:
    async with server(page(agent("agent_1", "Front desk")), page(), page()) as (url, _):
        with pytest.raises(NotFound, match="no agent is named 'desk'") as caught:
            await find_agent("desk", api_key=KEY, api_url=url)
        assert caught.value.hint == "use an id: Front desk (agent_1)"
        with pytest.raises(NotFound) as caught:
            await find_agent("desk", api_key=KEY, api_url=url)
        assert caught.value.hint == "`retell-voice agents` lists them"
    async with server(page(agent("a", "Desk"), agent("b", "desk"))) as (url, _):
        with pytest.raises(NotFound, match="2 agents are named 'desk'") as caught:
            await find_agent("desk", api_key=KEY, api_url=url)
    assert caught.value.hint == "use an id: Desk (a), desk (b)"


async def test_an_agent_whose_name_is_mistyped_is_told_with_names_like_it() -> None:
    others = page(agent("agent_1", "Front Desk"), agent("agent_2", "Ann"), agent("agent_3", ""))
    async with server(page(), others) as (url, heads):
        with pytest.raises(NotFound, match="no agent is named 'front dsk'") as caught:
            await find_agent("front dsk", api_key=KEY, api_url=url)
    assert caught.value.hint == "did you mean Front Desk (agent_1)?"
    assert "query" not in json.loads(heads.bodies[1])["filter_criteria"]


async def test_an_agent_that_is_like_it_by_name_and_by_id_is_told_once() -> None:
    async with server(page(), page(agent("desk_1", "Desk 1"))) as (url, _):
        with pytest.raises(NotFound) as caught:
            await find_agent("desk1", api_key=KEY, api_url=url)
    assert caught.value.hint == "did you mean Desk 1 (desk_1)?"


async def test_an_agent_is_looked_up() -> None:
    body = {
        "agent_id": "agent_1",
        "agent_name": "Desk",
        "version": 4,
        "is_published": False,
        "voice_id": "v",
        "language": "en-US",
    }
    async with server(said(body), said({"agent_id": "agent_2"})) as (url, heads):
        full = await get_agent("agent/1", api_key=KEY, api_url=url)
        bare = await get_agent("agent_2", api_key=KEY, api_url=url)
    assert heads[0] == "GET /get-agent/agent%2F1 HTTP/1.1\r\n"
    assert (full.name, full.version, full.published, full.voice_id) == ("Desk", 4, False, "v")
    assert (bare.name, bare.version, bare.published, bare.language) == ("", None, None, None)
    async with server(said({"message": "no such agent"}, "404 Not Found")) as (url, _):
        with pytest.raises(NotFound, match="knows no agent agent_3: no such agent"):
            await get_agent("agent_3", api_key=KEY, api_url=url)


async def test_voices_are_listed() -> None:
    voices = [
        {
            "voice_id": "11labs-Adrian",
            "voice_name": "Adrian",
            "provider": "elevenlabs",
            "gender": "male",
            "preview_audio_url": "https://x/y.mp3",
        },
        {"voice_id": "bare"},
    ]
    async with server(said(voices)) as (url, heads):
        one, two = await list_voices(api_key=KEY, api_url=url)
    assert heads == ["GET /list-voices HTTP/1.1\r\n"]
    assert (one.name, one.provider, one.preview_url) == ("Adrian", "elevenlabs", "https://x/y.mp3")
    assert (two.name, two.provider, two.accent) == ("bare", None, None)


async def test_calls_are_listed_by_what_they_were() -> None:
    call = {"call_id": "c1", "call_status": "ended", "disconnection_reason": "user_hangup"}
    async with server(page(call)) as (url, heads):
        (found,) = await list_calls(
            api_key=KEY,
            api_url=url,
            agent_id="agent_1",
            status=("ended", "error"),
            reason=("user_hangup",),
            call_type="web_call",
            since=1_790_000_000.0,
            criteria={"direction": {"type": "enum", "op": "in", "value": ["inbound"]}},
            limit=5,
        )
    assert (found.call_id, found.status, found.disconnection_reason) == (
        "c1",
        "ended",
        "user_hangup",
    )
    assert json.loads(heads.bodies[0]) == {
        "limit": 5,
        "sort_order": "descending",
        "filter_criteria": {
            "direction": {"type": "enum", "op": "in", "value": ["inbound"]},
            "agent": [{"agent_id": "agent_1"}],
            "call_status": {"type": "enum", "op": "in", "value": ["ended", "error"]},
            "disconnection_reason": {"type": "enum", "op": "in", "value": ["user_hangup"]},
            "call_type": {"type": "enum", "op": "in", "value": ["web_call"]},
            "start_timestamp": {"type": "range", "op": "bt", "value": [1_790_000_000_000, 2**53]},
        },
    }


async def test_calls_go_on_where_the_page_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "_PAGE", 2)
    calls = [{"call_id": f"c{n}", "call_status": "ended"} for n in range(3)]
    async with server(page(*calls[:2], key="k"), page(calls[2])) as (url, heads):
        found = await list_calls(api_key=KEY, api_url=url, limit=None, ascending=True)
    assert [each.call_id for each in found] == ["c0", "c1", "c2"]
    assert [json.loads(body) for body in heads.bodies] == [
        {"limit": 2, "sort_order": "ascending"},
        {"limit": 2, "sort_order": "ascending", "pagination_key": "k"},
    ]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (said([]), "not a JSON object"),
        (said({}), "it has no items"),
        (said({"items": {}}), "it has no items"),
        (page(3), "not a JSON object"),
        (page({}), "an item has no "),
    ],
)
async def test_a_list_that_makes_no_sense(sent: bytes, says: str) -> None:
    for request in (list_agents, list_calls):
        async with server(sent) as (url, _):
            with pytest.raises(RestError, match=says):
                await request(api_key=KEY, api_url=url)


@pytest.mark.parametrize(
    ("sent", "says"),
    [(said({}), "not a JSON array"), (said([{}]), "no voice_id"), (said(["x"]), "not a JSON obj")],
)
async def test_voices_that_make_no_sense(sent: bytes, says: str) -> None:
    async with server(sent) as (url, _):
        with pytest.raises(RestError, match=says):
            await list_voices(api_key=KEY, api_url=url)


async def test_a_key_without_the_permission_is_told() -> None:
    for request in (list_agents, list_calls, list_voices):
        async with server(said({"message": "no"}, "403 Forbidden")) as (url, _):
            with pytest.raises(KeyRefused, match="does not allow this API key") as caught:
                await request(api_key=KEY, api_url=url)
        assert "permissions" in caught.value.hint
