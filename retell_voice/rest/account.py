"""An account's agents, voices and past calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal
from urllib.parse import quote

from retell_voice.errors import NotFound, RetellVoiceError
from retell_voice.net.http import DEFAULT_API_URL
from retell_voice.rest.api import TIMEOUT, Api
from retell_voice.rest.calls import CallDetails, read_call
from retell_voice.rest.fields import flag, inner, number, text

_PAGE = 50
_SIMILAR_AMONG = 500
"""Agents that are looked at for a name like one that none has."""
Channel = Literal["voice", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent, as listed.

    Attributes:
        agent_id: its id.
        name: for people; may be empty.
        channel: ``voice`` or ``chat``.
        suspended: it takes no calls at present.
        modified: Unix time of the last change, seconds; None if unknown.
        tags: versions by their tags.
        body: everything the server answered.
    """

    agent_id: str
    name: str
    channel: str
    suspended: bool
    modified: float | None
    tags: Mapping[str, int]
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDetails:
    """One agent, in full; None where the server does not say.

    Attributes:
        agent_id: its id.
        name: for people; may be empty.
        version: the version this is of.
        published: whether that version is published.
        voice_id: its voice.
        language: what it speaks.
        body: everything the server answered.
    """

    agent_id: str
    name: str
    version: int | None
    published: bool | None
    voice_id: str | None
    language: str | None
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A voice an agent can have; None where the server does not say.

    Attributes:
        voice_id: its id.
        name: for people.
        provider: who makes it.
        gender, accent, age: in the server's words.
        preview_url: where it can be heard.
        body: everything the server answered.
    """

    voice_id: str
    name: str
    provider: str | None
    gender: str | None
    accent: str | None
    age: str | None
    preview_url: str | None
    body: Mapping[str, Any] = field(repr=False)


class NoSuchName(NotFound):
    """The server lists no agent of that name, or more than one."""


async def list_agents(
    *,
    api_key: str,
    query: str = "",
    channel: Channel | None = "voice",
    limit: int | None = None,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> list[Agent]:
    """Return the account's agents, page by page until there are no more.

    Args:
        api_key, api_url, timeout: as for ``create_web_call``; errors, too.
        query: part of their names or ids; empty for all.
        channel: only those of this channel; None for all.
        limit: at most this many.
    """
    criteria: dict[str, Any] = {}
    if query:
        criteria["query"] = query
    if channel is not None:
        criteria["channel"] = {"type": "string", "op": "eq", "value": channel}
    api = Api(api_url, api_key, timeout, what="list of agents")
    body = {"filter_criteria": criteria} if criteria else {}
    pages = _pages(api, "/v2/list-agents", body, limit, in_query=True)
    return [_agent(each, api) async for each in pages]


async def get_agent(
    agent_id: str,
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> AgentDetails:
    """Look an agent up; arguments and errors as for ``create_web_call``."""
    api = Api(api_url, api_key, timeout, what=f"agent {agent_id}")
    body = await api.request(f"/get-agent/{quote(agent_id, safe='')}")
    version = number(body, "version")
    return AgentDetails(
        agent_id=_needed(body, "agent_id", api),
        name=text(body, "agent_name") or "",
        version=None if version is None else int(version),
        published=flag(body, "is_published"),
        voice_id=text(body, "voice_id"),
        language=text(body, "language"),
        body=body,
    )


async def get_concurrency(
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    plain: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> tuple[int, int]:
    """Return how many ongoing calls the account has, and how many it may have.

    The cheapest way to check a key: it changes nothing. Arguments and errors as for
    ``create_web_call``.
    """
    api = Api(api_url, api_key, timeout, what="account", plain=plain)
    body = await api.request("/get-concurrency")
    ongoing, limit = number(body, "current_concurrency"), number(body, "concurrency_limit")
    if ongoing is None or limit is None:
        raise api.senseless("the answer has no concurrency")
    return int(ongoing), int(limit)


async def find_agent(
    wanted: str,
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> Agent:
    """Return the voice agent with an id or a name; names are case-insensitive.

    Arguments and errors as for ``create_web_call``.

    Raises:
        NoSuchName: there is none, or several have that name; lists candidates.
    """
    agents = await list_agents(api_key=api_key, query=wanted, api_url=api_url, timeout=timeout)
    for agent in agents:
        if agent.agent_id == wanted:
            return agent
    named = [agent for agent in agents if agent.name.casefold() == wanted.casefold()]
    if len(named) == 1:
        return named[0]
    if named or agents:
        hint = f"use an id: {', '.join(_shown(each) for each in named or agents)[:300]}"
    else:
        hint = "`retell-voice agents` lists them"
        with suppress(RetellVoiceError):  # that there is none is known
            close = await similar_agents(wanted, api_key=api_key, api_url=api_url, timeout=timeout)
            hint = close or hint
    raise NoSuchName(
        f"{len(named)} agents are named {wanted!r}" if named else f"no agent is named {wanted!r}",
        hint,
        status=404,
    )


def _shown(agent: Agent) -> str:
    return f"{agent.name or 'unnamed'} ({agent.agent_id})"


async def similar_agents(
    wanted: str,
    *,
    api_key: str,
    channel: Channel | None = "voice",
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> str:
    """Return a hint: the agents whose name or id is most like this; empty: none is.

    Arguments and errors as for ``list_agents``.
    """
    agents = await list_agents(
        api_key=api_key, channel=channel, limit=_SIMILAR_AMONG, api_url=api_url, timeout=timeout
    )
    known = {each.name.casefold(): each for each in reversed(agents) if each.name}
    known |= {each.agent_id: each for each in agents}
    close = [known[each] for each in get_close_matches(wanted.casefold(), known)]
    names = " or ".join(dict.fromkeys(_shown(each) for each in close))  # by name and by id: once
    return f"did you mean {names}?" if names else ""


async def list_voices(
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> list[Voice]:
    """Return the voices that agents can have; arguments and errors as for ``create_web_call``."""
    api = Api(api_url, api_key, timeout, what="list of voices")
    answer = await api.send("GET", "/list-voices")
    if not isinstance(answer, list):
        raise api.senseless("it is not a JSON array")
    return [_voice(api.object(each), api) for each in answer]


async def list_calls(
    *,
    api_key: str,
    agent_id: str | None = None,
    status: tuple[str, ...] = (),
    reason: tuple[str, ...] = (),
    call_type: str | None = None,
    since: float | None = None,
    until: float | None = None,
    criteria: Mapping[str, Any] | None = None,
    limit: int | None = 20,
    ascending: bool = False,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> list[CallDetails]:
    """Return calls, the latest first unless ``ascending``, without their transcripts.

    Args:
        agent_id: only those of this agent.
        status: only those with one of these: ``ongoing``, ``ended``, …
        reason: only those that ended for one of these: ``user_hangup``, …
        call_type: ``web_call`` or ``phone_call``.
        since, until: Unix times, seconds, between which they started.
        criteria: further ``filter_criteria``, as Retell's "List Calls" has them.
        limit: at most this many; None for all.
        ascending: the earliest first.
        api_key, api_url, timeout: as for ``create_web_call``; errors, too.
    """
    wanted: dict[str, Any] = dict(criteria or {})
    if agent_id is not None:
        wanted["agent"] = [{"agent_id": agent_id}]
    for name, values in (
        ("call_status", status),
        ("disconnection_reason", reason),
        ("call_type", (call_type,) if call_type else ()),
    ):
        if values:
            wanted[name] = {"type": "enum", "op": "in", "value": list(values)}
    if since is not None or until is not None:
        low = 0 if since is None else round(since * 1000)
        high = 2**53 if until is None else round(until * 1000)
        wanted["start_timestamp"] = {"type": "range", "op": "bt", "value": [low, high]}
    body: dict[str, Any] = {"sort_order": "ascending" if ascending else "descending"}
    if wanted:
        body["filter_criteria"] = wanted
    api = Api(api_url, api_key, timeout, what="list of calls")
    return [
        read_call(each, _needed(each, "call_id", api), api)
        async for each in _pages(api, "/v3/list-calls", body, limit)
    ]


async def _pages(
    api: Api, path: str, body: Mapping[str, Any], limit: int | None, *, in_query: bool = False
) -> AsyncIterator[dict[str, Any]]:
    """Yield the items of a list; the cursor is in the query, or in the body."""
    key: str | None = None
    left = limit
    while left is None or left > 0:
        page: dict[str, Any] = {"limit": _PAGE if left is None else min(left, _PAGE)}
        if key is not None:
            page["pagination_key"] = key
        if in_query:
            answer = api.object(await api.send("POST", path, body, query=page))
        else:
            answer = api.object(await api.send("POST", path, {**body, **page}))
        items = answer.get("items")
        if not isinstance(items, list):
            raise api.senseless("it has no items")
        for item in items[:left]:
            yield api.object(item)
        left = None if left is None else left - len(items)
        before, key = key, text(answer, "pagination_key")
        if flag(answer, "has_more") is not True or key in (None, before) or not items:
            return


def _agent(body: Mapping[str, Any], api: Api) -> Agent:
    modified = number(body, "user_modified_timestamp")
    versions = {
        name: int(version)
        for name, tag in inner(body, "tags").items()
        if isinstance(tag, dict) and (version := number(tag, "version")) is not None
    }
    return Agent(
        agent_id=_needed(body, "agent_id", api),
        name=text(body, "agent_name") or "",
        channel=text(body, "channel") or "voice",
        suspended=flag(body, "is_suspended") is True,
        modified=None if modified is None else modified / 1000,
        tags=versions,
        body=body,
    )


def _voice(body: Mapping[str, Any], api: Api) -> Voice:
    voice_id = _needed(body, "voice_id", api)
    return Voice(
        voice_id=voice_id,
        name=text(body, "voice_name") or voice_id,
        provider=text(body, "provider"),
        gender=text(body, "gender"),
        accent=text(body, "accent"),
        age=text(body, "age"),
        preview_url=text(body, "preview_audio_url"),
        body=body,
    )


def _needed(body: Mapping[str, Any], name: str, api: Api) -> str:
    value = text(body, name)
    if not value:
        raise api.senseless(f"an item has no {name}")
    return value
