"""Agents and voices of the emulator: as REST, and as Retell's own SDK reads them."""

from __future__ import annotations

import json
import typing
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sdk import retell

from retell_voice.emulator import Emulator
from retell_voice.emulator.rest.agents import Agents
from retell_voice.emulator.rest.replies import HttpError
from retell_voice.errors import NotFound
from retell_voice.rest import find_agent, list_agents, list_calls, register_call

KEY = "key_1234567890abcdef"
NAMES = {"agent_1": "Front desk", "agent_2": "Support", "agent_3": "Night Support"}
VOICE: Any = {"type": "string", "op": "eq", "value": "voice"}


def client_of(emulator: Emulator) -> retell.AsyncRetell:
    # Strict: an answer that the SDK's schema does not have is an error.
    return retell.AsyncRetell(
        base_url=emulator.api_url,
        api_key=KEY,
        max_retries=0,
        _strict_response_validation=True,
    )


async def test_the_sdk_lists_agents_and_looks_them_up() -> None:
    async with (
        Emulator(agents=NAMES, now=lambda: 1000.0) as emulator,
        client_of(emulator) as client,
    ):
        page = await client.agent.list(limit=2)
        assert [(item.agent_id, item.agent_name) for item in page.items] == [*NAMES.items()][:2]
        assert page.has_more
        first = page.items[0]
        assert (first.channel, first.is_suspended, first.tags) == ("voice", False, {})
        assert first.user_modified_timestamp == 1_000_000
        assert page.pagination_key is not None
        rest = await client.agent.list(limit=2, pagination_key=page.pagination_key)
        assert [item.agent_id for item in rest.items] == ["agent_3"]
        assert (rest.has_more, rest.pagination_key) == (False, None)
        upwards = await client.agent.list(sort_order="ascending")
        assert [item.agent_id for item in upwards.items] == [*NAMES][::-1]
        agent = await client.agent.retrieve("agent_2")
        assert (agent.agent_name, agent.version, agent.is_published) == ("Support", 0, True)
        assert (await client.agent.retrieve("agent_2", version=4)).version == 4
        assert (await client.agent.retrieve("agent_2", version="latest")).version == 0
        with pytest.raises(retell.NotFoundError, match="no agent 'agent_4'"):
            await client.agent.retrieve("agent_4")
        old = await client.get("/list-agents", cast_to=list[object])
        assert [cast(dict[str, Any], each)["agent_id"] for each in old] == [*NAMES]


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"channel": VOICE}, ["agent_1", "agent_2", "agent_3"]),
        ({"channel": VOICE | {"value": "chat"}}, []),
        ({"channel": VOICE | {"op": "ne", "value": "chat"}, "query": "SUPPORT"}, [2, 3]),
        ({"query": "front D"}, [1]),
        ({"query": "_2"}, [2]),
        ({"query": "AGENT_2"}, []),
        ({"is_transfer_agent": {"type": "boolean", "op": "eq", "value": False}}, [1, 2, 3]),
        ({"is_transfer_agent": {"type": "boolean", "op": "eq", "value": True}}, []),
    ],
)
async def test_the_sdk_filters_them(criteria: Any, found: list[Any]) -> None:
    async with Emulator(agents=NAMES) as emulator, client_of(emulator) as client:
        page = await client.agent.list(filter_criteria=criteria)
    ids = [each if isinstance(each, str) else f"agent_{each}" for each in found]
    assert [item.agent_id for item in page.items] == ids


@pytest.mark.parametrize(
    ("query", "body", "names"),
    [
        ("limit=0", {}, "limit"),
        ("limit=x", {}, "limit"),
        ("sort_order=up", {}, "sort_order"),
        ("pagination_key=agent_9", {}, "pagination_key"),
        ("", {"filter_criteria": {"name": "x"}}, "filter_criteria.name is unknown"),
        ("", {"filter_criteria": {"query": 1}}, "filter_criteria.query"),
        ("", {"filter_criteria": {"channel": {"type": "enum"}}}, "filter_criteria.channel.type"),
    ],
)
def test_what_is_wrong_is_named(query: str, body: Any, names: str) -> None:
    with pytest.raises(HttpError, match=f"^{names}") as caught:
        Agents(NAMES).list_v2(query, json.dumps(body).encode())
    assert caught.value.reply.status == 422


@given(st.text(), st.binary() | st.dictionaries(st.text(), st.text()).map(json.dumps))
def test_nothing_breaks_a_list(query: str, body: str | bytes) -> None:
    try:
        Agents(NAMES).list_v2(query, body if isinstance(body, bytes) else body.encode())
    except HttpError as error:
        assert error.reply.status in (400, 422)  # noqa: PT017 - most texts are refused, not all


@given(st.dictionaries(st.text(min_size=1), st.text()), st.integers(1, 7))
def test_every_agent_is_on_one_page(names: dict[str, str], limit: int) -> None:
    agents = Agents(names)
    seen: list[str] = []
    key = ""
    for _ in range(len(names) + 1):
        answer = agents.list_v2(f"limit={limit}{key}", b"")
        seen += [item["agent_id"] for item in answer["items"]]
        if not answer["has_more"]:
            break
        key = f"&pagination_key={quote(answer['pagination_key'], safe='')}"
    assert seen == [*names]


async def test_voices_as_the_sdk_has_them() -> None:
    async with Emulator() as emulator, client_of(emulator) as client:
        (voice,) = await client.voice.list()
        assert voice.provider == "platform"
        assert await client.voice.retrieve(voice.voice_id) == voice
        with pytest.raises(retell.NotFoundError):
            await client.voice.retrieve("x")


async def test_a_call_with_an_agent_that_there_is_not_is_refused() -> None:
    async with Emulator(agents=NAMES) as emulator:
        with pytest.raises(NotFound, match="cannot find an agent 'agent_9'"):
            await register_call("agent_9", api_key=KEY, api_url=emulator.api_url)
        await register_call("agent_1", api_key=KEY, api_url=emulator.api_url)
        (call,) = await list_calls(api_key=KEY, api_url=emulator.api_url)
        assert (call.agent_id, call.body["agent_name"]) == ("agent_1", "Front desk")
        assert (await find_agent("NIGHT support", api_key=KEY, api_url=emulator.api_url)).agent_id


async def test_without_names_any_agent_will_do() -> None:
    async with Emulator() as emulator, client_of(emulator) as client:
        await register_call("agent_9", api_key=KEY, api_url=emulator.api_url)
        assert (await client.agent.retrieve("agent_9")).agent_id == "agent_9"
        (parrot,) = await list_agents(api_key=KEY, api_url=emulator.api_url)
        assert (parrot.agent_id, parrot.name) == ("parrot", "Parrot")


async def test_an_account_without_agents() -> None:
    async with Emulator(agents={}) as emulator:
        assert await list_agents(api_key=KEY, api_url=emulator.api_url) == []


async def test_every_filter_of_calls_that_the_sdk_knows_is_taken() -> None:
    samples = {
        "string": {"type": "string", "op": "eq", "value": "x"},
        "number": {"type": "number", "op": "ge", "value": 1},
        "range": {"type": "range", "op": "bt", "value": [1, 2]},
        "enum": {"type": "enum", "op": "in", "value": []},
        "boolean": {"type": "boolean", "op": "eq", "value": True},
        "present": {"type": "present", "op": "pr"},
    }
    hints = typing.get_type_hints(retell.types.call_list_params.FilterCriteria)
    assert len(hints) > 20
    async with Emulator() as emulator, client_of(emulator) as client:
        for name, hint in hints.items():
            for sample in samples_of(name, hint, samples):
                page = await client.call.list(filter_criteria=cast(Any, {name: sample}))
                assert page.items == []


def samples_of(name: str, hint: Any, samples: dict[str, Any]) -> list[Any]:
    """Return one value for each form that the SDK's types give a filter."""
    if name == "agent":
        return [[{"agent_id": "x", "version": [1]}]]
    if name == "tool_calls":
        return [[{"name": "x", "success": samples["boolean"], "latency_ms": samples["number"]}]]
    repeated = typing.get_origin(hint) is not None and "Iterable" in str(typing.get_origin(hint))
    inner = typing.get_args(hint)[0] if repeated else hint
    forms = typing.get_args(inner) or (inner,)
    found = []
    for form in forms:
        fields = typing.get_type_hints(form)
        (kind,) = typing.get_args(fields["type"])
        sample = samples[kind] | ({"key": "k"} if "key" in fields else {})
        found.append([sample] if repeated else sample)
    return found
