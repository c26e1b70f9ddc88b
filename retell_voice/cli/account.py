"""``retell-voice agents``, ``calls``, ``call`` and ``stop``: an account's agents and calls."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from retell_voice.cli.call_id import read_call_id
from retell_voice.cli.call_page import call_page
from retell_voice.cli.table import print_table
from retell_voice.cli.when import read_time, show_time
from retell_voice.errors import ConfigError, RestError, RetellVoiceError, closest
from retell_voice.program import stdout
from retell_voice.program.account import (
    Account,
    account,
    api_key,
    end_of,
    is_over,
    is_settled,
    key_from,
)
from retell_voice.program.attempts import telling_attempts
from retell_voice.program.failure import complain, remark
from retell_voice.program.signals import Interrupts
from retell_voice.rest import Agent, CallDetails, list_agents, list_calls, similar_agents, stop_call
from retell_voice.secret import mask
from retell_voice.settings.tables.call import LookupSettings
from retell_voice.shown import clock, escape_json

T = TypeVar("T")

STATUSES = ("registered", "not_connected", "ongoing", "ended", "error")
_TYPES = {"web": "web_call", "phone": "phone_call"}
_CHANNELS = ("voice", "chat", "any")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which calls to list.

    Attributes:
        agent: only those with this agent, a name or an id.
        status, reason: only those with one of these.
        kind: ``web`` or ``phone``; None for both.
        since, until: bounds of their start, as people write times.
        limit: at most this many.
        oldest_first: reverse the order.
    """

    agent: str | None = None
    status: Sequence[str] = ()
    reason: Sequence[str] = ()
    kind: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int = 20
    oldest_first: bool = False


def asked(
    settings: LookupSettings, purpose: str, work: Callable[[Account], Coroutine[Any, Any, T]]
) -> T:
    """Query the REST API; a signal ends the program meanwhile.

    Args:
        settings: URL and API key.
        purpose: what the key is needed for.
        work: makes the request.

    Raises:
        ConfigError: there is no key, or something cannot be used.
        ConnectError, RestError: as ``retell_voice.rest``.
    """
    key = api_key(settings, purpose)
    with key_from(key), telling_attempts(complain), Interrupts(lambda: None) as interrupts:
        result = asyncio.run(interrupts.opening(work(account(settings, key)), lambda: None))
        if interrupts.received is not None:  # too late to cancel, but it counts
            raise SystemExit(128 + interrupts.received)
        return result


def agents(settings: LookupSettings, *, name: str, channel: str) -> int:
    """List agents and return the exit code."""
    _check("--channel", channel, _CHANNELS)
    wanted = None if channel == "any" else cast(Literal["voice", "chat"], channel)
    hint = ""

    async def find(of: Account) -> list[Agent]:
        nonlocal hint
        where: dict[str, Any] = {"api_key": of.api_key, "api_url": of.api_url, "channel": wanted}
        found = await list_agents(query=name, **where)
        if name and not found and not as_json(settings):
            with suppress(RetellVoiceError):  # that there are none is known
                hint = await similar_agents(name, **where)
        return found

    found = asked(settings, "list agents", find)
    if as_json(settings):
        stdout.say(escape_json(json.dumps([each.body for each in found], indent=2)))
    else:
        rows = [_agent_row(each) for each in found]
        print_table(("name", "agent_id", "changed", "tags", ""), rows, "no agents")
    if hint:
        remark(hint)
    return 0


def calls(settings: LookupSettings, wanted: Wanted) -> int:
    """List calls and return the exit code."""
    for each in wanted.status:
        _check("--status", each, STATUSES)
    if wanted.kind is not None:
        _check("--type", wanted.kind, tuple(_TYPES))
    since, until = (_time(f"--{name}", getattr(wanted, name)) for name in ("since", "until"))

    async def find(of: Account) -> list[CallDetails]:
        return await list_calls(
            api_key=of.api_key,
            api_url=of.api_url,
            agent_id=None if wanted.agent is None else await of.agent_id(wanted.agent),
            status=tuple(wanted.status),
            reason=tuple(wanted.reason),
            call_type=None if wanted.kind is None else _TYPES[wanted.kind],
            since=since,
            until=until,
            limit=wanted.limit,
            ascending=wanted.oldest_first,
        )

    found = asked(settings, "list calls", find)
    if as_json(settings):
        stdout.say(escape_json(json.dumps([_public(each) for each in found], indent=2)))
    else:
        columns = ("call_id", "began", "length", "agent", "ended by", "cost", "analysis")
        print_table(columns, [_call_row(each) for each in found], "no calls")
    return 0


def call(settings: LookupSettings, given: str, *, wait: bool, timeout: float) -> int:
    """Show everything about one call and return the exit code.

    Raises:
        RestError: its analysis did not come in time; the rest was shown.
    """

    async def find(of: Account) -> CallDetails:
        call_id = await of.call_id(call_id_given(given))
        if wait:
            return await of.analysed(call_id, timeout, tell=remark)
        return await of.call(call_id)

    found = asked(settings, "look calls up", find)
    if as_json(settings):
        stdout.say(escape_json(json.dumps(_public(found), indent=2)))
    else:
        stdout.say(call_page(found))
    if wait and not is_settled(found):
        raise RestError(
            f"server: call {mask(found.call_id)} was not analysed within {timeout:g} s",
            "--timeout sets how long to wait; analysis may be off for this agent",
            status=200,
        )
    return 0


def stop(settings: LookupSettings, given: str) -> int:
    """End an ongoing call and return the exit code."""

    async def end(of: Account) -> str:
        call_id = await of.call_id(call_id_given(given), ongoing=True)
        await stop_call(call_id, api_key=of.api_key, api_url=of.api_url)
        return call_id

    call_id = asked(settings, "stop calls", end)
    if as_json(settings):
        stdout.say(escape_json(json.dumps({"call_id": call_id, "stopped": True})))
    else:
        stdout.say(f"stopped {mask(call_id)}")
    return 0


def call_id_given(given: str) -> str:
    """Return the call named on the command line.

    Raises:
        ConfigError: none was given, or that names none.
    """
    call_id = read_call_id(given)
    if not call_id:
        raise ConfigError("no call: give its call_id, the end of it, or last")
    end_of(call_id)
    return call_id


def as_json(settings: LookupSettings) -> bool:
    """Tell whether JSON is wanted."""
    # The file and the environment set JSON for talk, whose output is different.
    return settings.json.value and settings.json.is_flag


def _check(flag: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"{flag}: {value!r} is not one of {', '.join(choices)}", closest(value, choices)
        )


def _time(flag: str, text: str | None) -> float | None:
    try:
        return None if text is None else read_time(text, time.time())
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from None


def _agent_row(agent: Agent) -> tuple[str, ...]:
    tags = ", ".join(f"{name} is {version}" for name, version in agent.tags.items())
    state = ["suspended"] * agent.suspended + ["chat"] * (agent.channel == "chat")
    return agent.name, agent.agent_id, show_time(agent.modified), tags, ", ".join(state)


def _call_row(found: CallDetails) -> tuple[str, ...]:
    """Return the cells of a call; until it is over, its call_id is masked."""
    judged = [found.sentiment or ""]
    if found.successful is not None:
        judged.append("successful" if found.successful else "not successful")
    agent = found.body.get("agent_name")
    return (
        found.call_id if is_over(found) else mask(found.call_id),
        show_time(found.started),
        "" if found.duration is None else clock(found.duration),
        agent if isinstance(agent, str) and agent else found.agent_id or "",
        found.disconnection_reason or found.status,
        "" if found.cost is None else f"${found.cost / 100:.2f}",
        ", ".join(filter(None, judged)),
    )


def _public(found: CallDetails) -> dict[str, Any]:
    """Return what the server said about a call, without the token that lets others in."""
    return {name: value for name, value in found.body.items() if name != "access_token"}
