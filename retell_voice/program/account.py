"""An account's agents and calls as programs need them: the API key, and lookup by name."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from retell_voice.errors import ConfigError, KeyRefused, NotFound
from retell_voice.net.http import is_local
from retell_voice.rest import CallDetails, find_agent, get_call, list_calls
from retell_voice.secret import Secret, mask
from retell_voice.settings.load import find_key
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.call import AccountSettings

LAST = "last"
"""Names the latest call."""

ANY_KEY = "any key will do for the emulator: RETELL_API_KEY=any"
"""Hint where the server is on this machine."""

PAUSE = 2.0
"""Seconds between polls of a call."""

AGENT_ID = re.compile(r"agent_\w+|\w{20,}", re.ASCII)
"""Certainly an agent's id; anything else may be a name, and is looked up."""

_SHORTEST_END, _SHORTEST_ID = 4, 16
_OVER = ("ended", "error", "not_connected")


def api_key(settings: AccountSettings, purpose: str) -> Sourced[str]:
    """Return the API key; may ask the system keyring, which takes a moment.

    Args:
        settings: where it may be set.
        purpose: what it is needed for, shown to people.

    Raises:
        ConfigError: there is none.
    """
    key = find_key(settings.api_key)
    if key.value is None:
        if is_local(settings.api_url.value):
            raise ConfigError(f"no API key to {purpose} with", ANY_KEY)
        raise ConfigError(
            f"no API key to {purpose} with",
            "set RETELL_API_KEY, or api_key in the config file; the key is in Retell's dashboard. "
            "Without an account, `retell-voice talk --local` calls the built-in emulator",
        )
    return Sourced(key.value, key.source)


@contextmanager
def key_from(key: Sourced[str]) -> Iterator[None]:
    """If the key is refused, say where it came from."""
    try:
        yield
    except KeyRefused as error:
        hint = f"it came from {key.source}; {error.hint}"
        raise KeyRefused(str(error), hint, status=error.status) from None


def end_of(wanted: str) -> str:
    """Return the end of a call_id that a call is named by, or ``LAST``.

    Raises:
        ConfigError: it is none of these.
    """
    end = wanted.removeprefix("…")
    if len(end) < _SHORTEST_END or not end.isprintable():
        raise ConfigError(
            "that is neither a call_id nor the end of one, four characters or more",
            "`retell-voice calls` lists calls",
        )
    return end


@dataclass(frozen=True, slots=True)
class Account:
    """An account: whose agents and calls they are.

    Attributes:
        api_key: a secret.
        api_url: base of the REST API.
    """

    api_key: str
    api_url: str

    async def agent_id(self, wanted: str) -> str:
        """Return the id of an agent given by name or id.

        Raises:
            NotFound: there is none, or several have that name.
            ConnectError, RestError: as ``find_agent``.
        """
        if re.fullmatch(r"agent_\w+", wanted):  # it may be deleted, but its calls are not
            return wanted
        agent = await find_agent(wanted, api_key=self.api_key, api_url=self.api_url)
        return agent.agent_id

    async def call_id(self, wanted: str, *, ongoing: bool = False) -> str:
        """Return the call_id of a call.

        Args:
            wanted: the call_id, its end (four characters or more), or ``last``.
            ongoing: prefer ongoing calls where there is a choice.

        Raises:
            ConfigError: it is none of these.
            NotFound: no call matches, or several do.
            ConnectError, RestError: as ``list_calls``.
        """
        end = end_of(wanted)
        if len(end) >= _SHORTEST_ID and end == wanted:
            return Secret(wanted)
        ending = {"call_id": {"type": "string", "op": "ew", "value": end}}
        calls = await list_calls(
            api_key=self.api_key,
            api_url=self.api_url,
            status=("ongoing",) if ongoing else (),
            criteria=None if wanted == LAST else ending,
            limit=1 if wanted == LAST else 2,
        )
        if len(calls) == 1:
            return calls[0].call_id
        kind = "ongoing call" if ongoing else "call"
        ends = f"ends in …{end[-_SHORTEST_END:]}"
        if calls:
            raise NotFound(f"more than one {kind} {ends}", "give more of it", status=200)
        none = f"there is no {kind}" if wanted == LAST else f"no {kind} {ends}"
        raise NotFound(none, "`retell-voice calls` lists calls", status=200)

    async def call(self, call_id: str) -> CallDetails:
        """Look a call up; errors as for ``get_call``."""
        return await get_call(call_id, api_key=self.api_key, api_url=self.api_url)

    async def analysed(
        self,
        call_id: str,
        wait_seconds: float,
        *,
        tell: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> CallDetails:
        """Wait until a call is over and has been analysed, and look it up.

        Args:
            call_id: the call.
            wait_seconds: seconds to wait for the analysis, once the call is over.
            tell: is told what is waited for, whenever that changes.
            sleep: sleeps this many seconds.

        Returns:
            The call; ``is_settled`` says whether the analysis came in time.
        """
        told = ""
        while True:
            details = await self.call(call_id)
            if is_settled(details) or (is_over(details) and wait_seconds <= 0):
                return details
            waits_for = (
                "its analysis" if is_over(details) else "its end" if details.started else "a caller"
            )
            if waits_for != told:
                told = waits_for
                tell(f"call {mask(call_id)} waits for {told}; Ctrl-C ends the waiting")
            if is_over(details):
                wait_seconds -= PAUSE
            await sleep(PAUSE)


def account(settings: AccountSettings, key: Sourced[str]) -> Account:
    """Return the account that a key belongs to."""
    return Account(key.value, settings.api_url.value)


def is_over(details: CallDetails) -> bool:
    """Tell whether a call is over; until then, whoever has its call_id can join."""
    return details.status in _OVER


def is_settled(details: CallDetails) -> bool:
    """Tell whether nothing more will become known; a call that never began is not analysed."""
    return is_over(details) and (details.started is None or bool(details.body.get("call_analysis")))
