"""The calls of a swarm that are registered first: each by a request of its own to the REST API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from retell_voice.engine.web_call import WebCall
from retell_voice.program.account import account, key_from
from retell_voice.program.opening import audio_format
from retell_voice.program.registration import by_id_or_name
from retell_voice.program.web_calls import check_options, is_web_call
from retell_voice.rest import create_web_call, register_call
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.swarm.desk import Desk
from retell_voice.swarm.part import Part
from retell_voice.swarm.swarm import Moment, Swarm
from retell_voice.transport.ports import Route


@dataclass(frozen=True)
class RegisteredPart:
    """Calls that are registered first, wherever they are made: web calls, or over WebSockets.

    Attributes:
        settings: with which agent and where.
        key: the API key, which goes along to workers.
        calls: the calls; what they dial follows from the settings where they are web calls.
    """

    settings: TalkSettings = field(repr=False)
    key: Sourced[str] = field(repr=False)
    calls: Part

    @property
    def is_web(self) -> bool:
        """Whether they are web calls."""
        return is_web_call(self.settings)

    def check(self) -> None:
        """See that calls can be made like that; raises ``ConfigError``."""
        if self.is_web:
            check_options(self.settings)
        else:
            self.calls.check()

    def swarm(self, tell: Callable[[Moment], None] = lambda _: None) -> Swarm:
        """Return the swarm, to be run.

        Raises:
            ConfigError: calls cannot be made like that, or nobody speaks in the recording.
        """
        self.check()
        if not self.is_web:
            return self.calls.swarm(tell, registering(self.settings, self.key))
        from retell_voice.swarm.web_caller import web_swarm  # other calls need no Opus

        plan, samples, rate = self.calls.plan, self.calls.samples, self.calls.rate
        return web_swarm(plan, samples, rate, creating(self.settings, self.key), tell)

    def split(self, workers: int) -> list[RegisteredPart]:
        """Return the parts of so many workers."""
        return [replace(self, calls=each) for each in self.calls.split(workers)]


def registering(settings: TalkSettings, key: Sourced[str]) -> Callable[[], Awaitable[str]]:
    """Return what registers a call on the Audio WebSocket and returns its call_id."""
    agent = settings.agent.value or ""

    async def register(agent_id: str) -> str:
        nonlocal agent
        registration = await register_call(
            agent_id,
            api_key=key.value,
            audio=audio_format(settings),
            api_url=settings.api_url.value,
            plain=True,
        )
        agent = agent_id  # if it was given by name, it is looked up once
        return registration.call_id

    async def ask() -> str:
        with key_from(key):
            return await by_id_or_name(agent, register, account(settings, key))

    return Desk(ask).register


def creating(settings: TalkSettings, key: Sourced[str]) -> Callable[[], Awaitable[Route]]:
    """Return what creates a web call and returns its route."""
    api_url = settings.api_url.value
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
