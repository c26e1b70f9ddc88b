"""Does the REST API accept the API key, and whose is it? One list of agents answers both."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.errors import ConfigError, ConnectError, KeyRefused, NotFound, RestError
from retell_voice.net.http import is_local
from retell_voice.rest import Agent, find_agent, list_agents
from retell_voice.secret import mask
from retell_voice.settings.schema import Sourced

_NAMED = 3
_SLOW = 2.0


async def examine(
    api_url: str,
    key: Sourced[str | None],
    agent: Sourced[str | None],
    *,
    step_timeout: float = 5.0,
) -> AsyncIterator[Finding]:
    """Check the account: the REST API, the key, its agents, and the agent in the settings.

    No call is made.

    Args:
        api_url: base of the REST API.
        key: the API key, and where it came from; None if there is none.
        agent: the agent to call, its name or id; None if not set.
        step_timeout: seconds that one request may take.
    """
    if key.value is None:
        yield _without_key(agent, api_url)
        return
    shown = f"{mask(key.value)} of {key.source}"
    began = time.monotonic()
    try:
        agents = await list_agents(api_key=key.value, api_url=api_url, timeout=step_timeout)
    except ConfigError as error:
        # Joining calls that others register needs no SDK.
        yield Finding("account", "REST API", Verdict.WARN, str(error), error.hint)
        return
    except KeyRefused as error:
        hint = f"it is the key {shown}; {error.hint}"
        yield _failed("API key", str(error), hint, code=error.exit_code)
        return
    except (ConnectError, RestError) as error:
        yield _unanswered(error)
        return
    took = time.monotonic() - began
    yield judge_answer(urlsplit(api_url).hostname or api_url, shown, took)
    yield judge_agents(agents)
    if agent.value is not None:
        yield await _chosen(agent.value, agent.source, api_url, key.value, step_timeout)


def judge_answer(host: str, shown: str, took: float) -> Finding:
    """Judge how soon the REST API accepted the key."""
    says = f"{host} accepts the key {shown} ({took * 1000:.0f} ms)"
    figures = {"ms": round(took * 1000, 1)}
    if took > _SLOW:
        hint = "slow: every call starts later by as much"
        return Finding("account", "API key", Verdict.WARN, says, hint, figures)
    return Finding("account", "API key", Verdict.PASS, says, "", figures)


def judge_agents(agents: list[Agent]) -> Finding:
    """Judge which voice agents an account has."""
    figures = {"agents": len(agents)}
    if not agents:
        hint = "create one in Retell's dashboard, or check whose key it is"
        says = "the account has no voice agents"
        return Finding("account", "agents", Verdict.WARN, says, hint, figures)
    names = [each.name or each.agent_id for each in agents[:_NAMED]]
    more = [f"{len(agents) - _NAMED} more"] if len(agents) > _NAMED else []
    says = f"the account has {', '.join([*names, *more])}"
    return Finding("account", "agents", Verdict.PASS, says, "", figures)


def _without_key(agent: Sourced[str | None], api_url: str) -> Finding:
    hint = "set RETELL_API_KEY; the key is in Retell's dashboard"
    if is_local(api_url):
        hint = "any key will do for the emulator: RETELL_API_KEY=any"
    if agent.value is not None:
        return _failed("API key", f"none, and {agent.source} needs one", hint, code=2)
    says = "none: calls can be joined, but not created"
    return Finding("account", "API key", Verdict.PASS, says, hint)


async def _chosen(wanted: str, source: str, api_url: str, key: str, step_timeout: float) -> Finding:
    try:
        agent = await find_agent(wanted, api_key=key, api_url=api_url, timeout=step_timeout)
    except NotFound as error:
        return _failed("agent", f"{error} ({source})", error.hint, code=error.exit_code)
    except (ConnectError, RestError) as error:
        return _unanswered(error)
    says = f"{agent.name or 'the agent'} ({agent.agent_id}) exists"
    if agent.suspended:
        hint = "it takes no calls at present: see Retell's dashboard"
        return Finding("account", "agent", Verdict.WARN, f"{says}, but is suspended", hint)
    return Finding("account", "agent", Verdict.PASS, says)


def _unanswered(error: ConnectError | RestError) -> Finding:
    """Judge that the REST API did not answer, or not as expected."""
    if isinstance(error, RestError) and error.temporary:
        hint = error.hint or "it is busy or down: try again later"
        return Finding("account", "REST API", Verdict.WARN, str(error), hint)
    return _failed("REST API", str(error), error.hint, code=error.exit_code)


def _failed(check: str, says: str, hint: str, *, code: int) -> Finding:
    return Finding("account", check, Verdict.FAIL, says, hint, code=code)
