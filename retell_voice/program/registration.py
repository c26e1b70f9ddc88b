"""Registering a call from the settings: the key, the wait when there are too many calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from retell_voice.errors import (
    ConfigError,
    FieldRefused,
    NotFound,
    RetellVoiceError,
    TooManyRequests,
)
from retell_voice.program.account import AGENT_ID, Account, account, api_key, key_from
from retell_voice.program.call_fields import NOTHING, CallFields
from retell_voice.program.opening import audio_format
from retell_voice.rest import NoSuchName, Registration, register_call
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.call import RegistrationSettings

LONGEST_WAIT = 60.0
"""Seconds; a longer Retry-After is not waited for."""
_TRIES = 3
T = TypeVar("T")


def registration_key(settings: RegistrationSettings) -> Sourced[str]:
    """Return the API key to register calls with; may ask the system keyring, which takes a moment.

    Raises:
        ConfigError: there is none, or no agent to register calls with.
    """
    if settings.agent.value is None:
        raise ConfigError("no agent to register a call with: give --agent")
    return api_key(settings, "register a call")


async def register(
    settings: RegistrationSettings,
    key: Sourced[str],
    told: CallFields = NOTHING,
    *,
    plain: bool = False,
    waiting: Callable[[TooManyRequests, float], None] = lambda _error, _seconds: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Registration:
    """Register a call with the agent of the settings, given by id or name.

    If the server has too many calls and says how long to wait, it is asked again, twice at most.

    Args:
        settings: agent, server and format.
        key: of ``registration_key``.
        told: fields of the new call.
        plain: without Retell's SDK.
        waiting: called before each wait with the reason and the seconds.
        sleep: sleeps this many seconds.

    Raises:
        ConfigError: one of the arguments cannot be used.
        ConnectError, RestError: as ``register_call``.
    """

    async def ask_for(agent: str) -> Registration:
        return await register_call(
            agent,
            api_key=key.value,
            audio=audio_format(settings),
            api_url=settings.api_url.value,
            plain=plain,
            **told.said(),
        )

    async def ask() -> Registration:
        return await by_id_or_name(settings.agent.value or "", ask_for, account(settings, key))

    return await retry_when_busy(ask, key, waiting=waiting, sleep=sleep)


async def by_id_or_name(wanted: str, ask: Callable[[str], Awaitable[T]], of: Account) -> T:
    """Request a call with an agent; one that the server does not know by id, by name.

    In that order, as a server may have ids of any kind, and need not be able to list its agents.

    Args:
        wanted: the agent's id or name.
        ask: requests the call with an agent's id.
        of: whose agents they are.

    Raises:
        RetellVoiceError: of ``ask``; or there is no agent of that name.
    """
    try:
        return await ask(wanted)
    except (NotFound, FieldRefused) as refused:
        if AGENT_ID.fullmatch(wanted) or getattr(refused, "field", "") not in ("", "agent_id"):
            raise
        try:
            agent_id = await of.agent_id(wanted)
        except NoSuchName:
            raise
        except RetellVoiceError:  # it cannot list its agents
            raise refused from None
        if agent_id == wanted:
            raise
    return await ask(agent_id)


async def retry_when_busy(
    ask: Callable[[], Awaitable[T]],
    key: Sourced[str],
    *,
    waiting: Callable[[TooManyRequests, float], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Request a new call; if there are too many, again when the server says so, twice.

    Arguments as for ``register``.

    Raises:
        KeyRefused: with where the key came from.
        RetellVoiceError: anything else, unchanged.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            with key_from(key):
                return await ask()
        except TooManyRequests as error:
            wait = error.retry_after
            if not tries_left or wait is None or wait > LONGEST_WAIT:
                raise
            waiting(error, wait)
        await sleep(wait)
    raise AssertionError("unreachable")


def audio_url(api_url: str) -> str:
    """Return the URL to join a REST API's calls: on the same host, under the same path."""
    return f"ws{api_url.removeprefix('http').rstrip('/')}/audio-websocket"
