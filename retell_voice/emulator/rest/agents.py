"""Agents and voices of the emulator's account, as Retell's REST API shows them. Pure.

::

    POST /v2/list-agents          query: limit, pagination_key, sort_order; body: filter_criteria;
                                  answers {"items", "has_more", "pagination_key"}
    GET  /list-agents             an array of all of them in full, as it was until July 2026
    GET  /get-agent/{agent_id}    one in full; query: version
    GET  /list-voices             an array
    GET  /get-voice/{voice_id}    one of it

The fields are those of ``retell-sdk`` 6.2 that it requires. Made up are the voice, the version,
which is the one that is asked for or 0, and the LLM server's URL, which is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from retell_voice.emulator.rest.fields import Fields, parse_object
from retell_voice.emulator.rest.filters import condition
from retell_voice.emulator.rest.replies import HttpError

PARROT = {"parrot": "Parrot"}
"""The account's agents where nobody says which they are."""

_MOST = 1000
_VOICE = {
    "voice_id": "emulator-voice",
    "voice_name": "The emulator's voice",
    "provider": "platform",
    "gender": "female",
    "accent": "American",
    "age": "Middle Aged",
}


@dataclass(frozen=True, slots=True)
class _Agent:
    agent_id: str
    name: str
    modified: int  # Unix time, milliseconds


class Agents:
    """The agents of an account.

    Args:
        names: their names by agent_id, the one that was changed last first. None: there is any
            agent that somebody names, and lists show the parrot.
        now: Unix time at which they were made, seconds.
    """

    def __init__(self, names: Mapping[str, str] | None = None, now: float = 0.0) -> None:
        self._any = names is None
        latest = round(now * 1000)
        listed = enumerate((PARROT if names is None else names).items())
        self._agents = [_Agent(each, name, latest - age) for age, (each, name) in listed]

    def name(self, agent_id: str) -> str:
        """Return the name of an agent that a new call is with.

        Raises:
            HttpError: 422, there is none, as Retell answers.
        """
        agent = self._find(agent_id)
        if agent is None:
            raise HttpError(422, f"agent_id: cannot find an agent {agent_id!r}")
        return agent.name

    def list_v2(self, query: str, body: bytes) -> dict[str, Any]:
        """Answer ``POST /v2/list-agents``."""
        page = Fields(_query(query))
        criteria = parse_object(body, optional=True).inner("filter_criteria") or Fields({})
        found = [agent for agent in self._agents if _matches(criteria, agent)]
        if page.choice("sort_order", ("ascending", "descending")) == "ascending":
            found.reverse()
        if (key := page.string("pagination_key")) is not None:
            ids = [agent.agent_id for agent in found]
            if key not in ids:
                page.wrong("pagination_key", "is not one of an answer to this request")
            found = found[ids.index(key) + 1 :]
        limit = page.integer("limit", 1, _MOST) or 50
        answer: dict[str, Any] = {
            "items": [_summary(agent) for agent in found[:limit]],
            "has_more": len(found) > limit,
        }
        if answer["has_more"]:
            answer["pagination_key"] = found[limit - 1].agent_id
        return answer

    def list_v1(self) -> list[dict[str, Any]]:
        """Answer ``GET /list-agents``."""
        return [_in_full(agent, 0) for agent in self._agents]

    def get(self, agent_id: str, query: str) -> dict[str, Any]:
        """Answer ``GET /get-agent/{agent_id}``.

        Raises:
            HttpError: 404, there is none; 422, that is no version.
        """
        agent = self._find(agent_id)
        if agent is None:
            raise HttpError(404, f"there is no agent {agent_id!r}")
        version = Fields(_query(query)).version("version")
        return _in_full(agent, version if isinstance(version, int) else 0)

    def _find(self, agent_id: str) -> _Agent | None:
        made_up = _Agent(agent_id, "", self._agents[0].modified) if self._any else None
        return next((each for each in self._agents if each.agent_id == agent_id), made_up)


def list_voices() -> list[dict[str, Any]]:
    """Answer ``GET /list-voices``."""
    return [dict(_VOICE)]


def get_voice(voice_id: str) -> dict[str, Any]:
    """Answer ``GET /get-voice/{voice_id}``.

    Raises:
        HttpError: 404, there is none.
    """
    if voice_id != _VOICE["voice_id"]:
        raise HttpError(404, f"there is no voice {voice_id!r}")
    return dict(_VOICE)


def _matches(criteria: Fields, agent: _Agent) -> bool:
    """Apply the filters; one that is unknown is refused, as in lists of calls."""
    criteria.only(("channel", "is_transfer_agent", "query"))
    tests: Iterable[tuple[str, str, Any]] = (
        ("channel", "string", "voice"),
        ("is_transfer_agent", "boolean", False),
    )
    fits = True
    for name, kind, value in tests:
        if (read := criteria.inner(name)) is not None:
            fits &= condition(read, (kind,))(value)
    wanted = criteria.string("query") or ""
    return fits and (wanted.casefold() in agent.name.casefold() or wanted in agent.agent_id)


def _summary(agent: _Agent) -> dict[str, Any]:
    return {
        "agent_id": agent.agent_id,
        "agent_name": agent.name,
        "channel": "voice",
        "is_suspended": False,
        "is_transfer_agent": False,
        "tags": {},
        "user_modified_timestamp": agent.modified,
    }


def _in_full(agent: _Agent, version: int) -> dict[str, Any]:
    return {
        "agent_id": agent.agent_id,
        "agent_name": agent.name,
        "version": version,
        "is_published": True,
        "language": "en-US",
        "last_modification_timestamp": agent.modified,
        "response_engine": {"type": "custom-llm", "llm_websocket_url": ""},
        "llm_websocket_url": "",  # as clients of the first version have it
        "voice_id": _VOICE["voice_id"],
    }


def _query(query: str) -> dict[str, Any]:
    """Return a query by name; what must be a number is one, where it looks like one."""
    return {
        name: int(value)
        if name in ("limit", "version") and re.fullmatch(r"-?\d{1,18}", value, re.ASCII)
        else value
        for name, value in parse_qsl(query, keep_blank_values=True)
    }
