"""The calls of a swarm that are registered first: each by a request of its own to the REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from retell_voice.engine.web_call import WebCall
from retell_voice.program.account import account, key_from
from retell_voice.program.opening import audio_format
from retell_voice.program.registration import registration_key
from retell_voice.program.web_calls import check_options
from retell_voice.rest import create_web_call, register_call
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.swarm.desk import Desk
from retell_voice.transport.ports import Route


def registering(settings: TalkSettings) -> Callable[[], Awaitable[str]]:
    """Return what registers a call on the Audio WebSocket and returns its call_id.

    Raises:
        ConfigError: no key.
    """
    key = registration_key(settings)

    async def ask() -> str:
        with key_from(key):
            registration = await register_call(
                settings.agent.value or "",
                api_key=key.value,
                audio=audio_format(settings),
                api_url=settings.api_url.value,
                plain=True,
            )
        return registration.call_id

    return Desk(ask).register


def creating(settings: TalkSettings) -> Callable[[], Awaitable[Route]]:
    """Return what creates a web call and returns its route.

    Raises:
        ConfigError: no agent or no key, or an option that web calls do not support.
    """
    check_options(settings)
    key, api_url = registration_key(settings), settings.api_url.value
    agent = ""
    looking = asyncio.Lock()  # many calls begin before the first has found the agent

    async def ask() -> Route:
        nonlocal agent
        with key_from(key):
            async with looking:
                agent = agent or await account(settings, key).agent_id(settings.agent.value or "")
            admission = await create_web_call(agent, api_key=key.value, api_url=api_url, plain=True)
        # Requests for each call all the time would be another load than calls, here and there.
        return WebCall(admission, api_key=key.value, api_url=api_url, transcript=False, polls=False)

    return Desk(ask).register
