"""The emulator: Retell's REST calls, webhooks, Audio WebSocket and web calls on one port.

::

    async with Emulator() as emulator:
        call = emulator.register(AudioFormat(rate=16000))
        async with Call(call.call_id, url=emulator.url, audio=call.audio) as conversation:
            ...

It runs in the event loop it is entered in; leaving closes every call within a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Self, Unpack

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator.after_call import NOTHING_MADE_UP, AfterCall
from retell_voice.emulator.agents import Agent, parrot_agent
from retell_voice.emulator.calls import (
    DEFAULT_AUDIO,
    Calls,
    RegisteredCall,
    RegisterFields,
)
from retell_voice.emulator.conversations import Conversations
from retell_voice.emulator.dialects import format_example, refusal
from retell_voice.emulator.doors import Doors
from retell_voice.emulator.gateway.gateway import Gateway, is_installed
from retell_voice.emulator.gateway.passes import EXPIRY
from retell_voice.emulator.monitors import Monitors
from retell_voice.emulator.port import Port
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.request_faults import RequestFault, RequestFaults, RequestKind
from retell_voice.emulator.rest.agents import Agents
from retell_voice.emulator.rest.api import Rest
from retell_voice.emulator.rest.replies import HttpError
from retell_voice.emulator.rest.web_calls import AUDIO as WEB_AUDIO
from retell_voice.emulator.routes import Routes
from retell_voice.emulator.server_events import ServerEvents
from retell_voice.emulator.session import Session
from retell_voice.emulator.sockets import Sockets
from retell_voice.emulator.visitors import Visitors
from retell_voice.emulator.webhooks import DEFAULT_EVENTS, TIMEOUT, WebhookName, Webhooks
from retell_voice.errors import ConfigError
from retell_voice.protocol.gateway import Admission
from retell_voice.secret import Secret
from retell_voice.shown import logger

_log = logger(__name__)
# At DEBUG, websockets logs whole requests, and whoever has the call_id can join the call.
_log.addFilter(lambda record: record.levelno > logging.DEBUG)


class Emulator:
    """Retell's side of calls; an async context manager.

    Args:
        host: address to listen on; ``url`` and ``api_url`` name this machine where that is
            every address it has (``0.0.0.0``, ``::``).
        port: port to listen on, 0 for any free one.
        api_key: the only API key that REST calls may carry; None: any that is not empty.
        prefix: path prefix of every route, for example ``/retell``.
        agent: holds the agent's side of every call; ``parrot_agent()`` if None. That of a scenario
            also has the faults of requests that come before any call.
        agents: names by agent_id of those there are; a REST call with another is refused. None:
            any will do.
        accept_any: let any call_id in, registered or not, in the format ``audio``.
        dialect: in which those calls speak, see ``emulator.dialects``.
        audio: format of calls that nobody registered.
        chunk_ms: length of a message of agent audio.
        expiry: seconds within which a registered call must be joined.
        token_expiry: the same of a web call.
        max_calls: calls that may be registered or ongoing at a time, one more is answered
            with 429; None: as many as are kept.
        max_kept: calls that are kept; beyond that, or beyond 64 MB of metadata and transcripts,
            the oldest that are over are forgotten.
        webhook_url: where webhooks are posted; None: nowhere. Those not sent a second after the
            emulator stops are dropped.
        webhook_key: API key that signs webhooks; ``api_key`` if None.
        webhook_events: those that are posted, of ``call_started``, ``call_ended``,
            ``call_analyzed`` (of calls that have an analysis) and ``transcript_updated``.
        webhook_timeout: seconds within which they must be answered.
        after_call: what calls have once they are over: a recording, a log, an analysis. What it
            leaves out is the scenario's.
        request_faults: what is wrong with the answers to the first requests, one each, before
            those of a scenario.
        auth_token: what phone providers must sign their WebSocket requests with, or show; None:
            they need not.
        allowed_hosts: names under which programs and pages of browsers may ask, besides this
            machine's own; ``*``: any.
        stall_timeout: seconds after which a caller that does not read loses the call.
        answer_pings: answer the text ``ping`` with ``pong``; WebSocket pings are always answered.
        record: keep the microphone audio of every call in ``RegisteredCall.received``.
        now: the clock of the timestamps, Unix seconds.

    Raises:
        ConfigError: nothing can be posted to ``webhook_url``, or there is no key to sign with.

    Attributes:
        events: stream of what happens, see ``retell_voice.emulator.server_events``.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        prefix: str = "",
        agent: Agent | None = None,
        agents: Mapping[str, str] | None = None,
        accept_any: bool = False,
        dialect: str = "web",
        audio: AudioFormat = DEFAULT_AUDIO,
        chunk_ms: int = 100,
        expiry: float = 300.0,
        token_expiry: float = EXPIRY,
        max_calls: int | None = None,
        max_kept: int = 10_000,
        webhook_url: str | None = None,
        webhook_key: str | None = None,
        webhook_events: Iterable[WebhookName] = DEFAULT_EVENTS,
        webhook_timeout: float = TIMEOUT,
        after_call: AfterCall = NOTHING_MADE_UP,
        request_faults: Iterable[RequestFault] = (),
        auth_token: str | None = None,
        allowed_hosts: Iterable[str] = (),
        stall_timeout: float = 5.0,
        answer_pings: bool = True,
        record: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.events = ServerEvents()
        self._port = Port(host, port, _log)
        self._prefix = f"/{prefix.strip('/')}" if prefix.strip("/") else ""
        if accept_any and (why := refusal(dialect, audio)):
            raise ConfigError(
                f"calls that nobody registered cannot be answered: {why}",
                "their format is that of --encoding and --rate (in Python, of audio)"
                f"{format_example(dialect)}",
            )
        self._registry = Registry(
            Calls(expiry=expiry, limit=max_kept, max_open=max_calls),
            self.events,
            now,
            webhooks=partial(
                Webhooks,
                webhook_url,
                webhook_key or api_key,
                events=webhook_events,
                timeout=webhook_timeout,
                now=now,
            )
            if webhook_url
            else None,
            after_call=after_call.over(getattr(agent, "after_call", NOTHING_MADE_UP)),
        )
        doors = Doors(self._registry, audio if accept_any else None, dialect)
        open_session = partial(
            Session,
            chunk_ms=chunk_ms,
            stall_timeout=stall_timeout,
            answer_pings=answer_pings,
            record=record,
            server_events=self.events,
        )
        self._conversations = Conversations(self._registry, agent or parrot_agent(), open_session)
        self._gateway = Gateway(self._registry, self._conversations, self.events, now, token_expiry)
        self._rest = Rest(
            self._registry,
            self._gateway,
            agents=Agents(agents, now()),
            api_key=api_key,
            prefix=self._prefix,
        )
        visitors = self._visitors = Visitors(allowed_hosts)
        self._faults = RequestFaults()
        for fault in (*request_faults, *getattr(agent, "request_faults", ())):
            self._faults.add(fault)
        self._monitors = Monitors(self._registry.find, self._rest.knows, now)
        self._sockets = Sockets(
            visitors,
            doors,
            self._conversations,
            self._monitors,
            self.events,
            segments=self._rest.segments,
            auth_token=Secret(auth_token) if auth_token else None,
        )

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: listening on the address fails.
        """
        routes = Routes(self._rest, self._gateway, self._faults, self._visitors)
        await self._port.open(routes.respond, self._sockets)
        self._registry.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close every call with 1001, stop listening, send the last webhooks; no task is left."""
        if not self._port.was_opened:
            return
        self._sockets.stop()
        self._port.shut()
        self._faults.stop()
        await self._conversations.end()
        await self._gateway.close()
        await self._monitors.stop()
        await self._port.close()
        await self._registry.stop()
        self.events.close()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port.number

    @property
    def url(self) -> str:
        """Prefix of every call's Audio WebSocket, for ``Call(url=…)``."""
        return f"ws://{self._port.address}{self._prefix}/audio-websocket"

    @property
    def api_url(self) -> str:
        """Base of the REST calls."""
        return f"http://{self._port.address}{self._prefix}"

    def register(
        self,
        audio: AudioFormat = DEFAULT_AUDIO,
        *,
        agent_id: str = "parrot",
        dialect: str = "web",
        **fields: Unpack[RegisterFields],
    ) -> RegisteredCall:
        """Register a call, as ``POST /register-call`` does, with any agent.

        Args:
            audio: encoding and rate, both ways.
            agent_id: the agent it is with.
            dialect: in which its caller will speak, see ``emulator.dialects``.
            fields: what else the request may say, see ``RegisterFields``.

        Raises:
            ConfigError: the dialect is unknown, or does not carry that audio.
            RuntimeError: too many calls are registered or ongoing.
        """
        if why := refusal(dialect, audio):
            raise ConfigError(f"no call can be registered: {why}")
        call = RegisteredCall(agent_id=agent_id, protocol=dialect, audio=audio, **fields)
        if not self._registry.register(call):
            raise RuntimeError("too many calls are registered or ongoing")
        return call

    def create_web_call(
        self, *, agent_id: str = "parrot", **fields: Unpack[RegisterFields]
    ) -> Admission:
        """Create a web call, as ``POST /v3/create-web-call`` does; arguments as of ``register``.

        Raises:
            RuntimeError: it cannot be; says why.
        """
        call = RegisteredCall(agent_id=agent_id, protocol="gateway", audio=WEB_AUDIO, **fields)
        try:
            return self._gateway.create(call)
        except HttpError as error:
            raise RuntimeError(str(error)) from None

    @property
    def can_web_calls(self) -> bool:
        """Whether what web calls need is installed."""
        return is_installed()

    @property
    def calls(self) -> list[RegisteredCall]:
        """All calls that are kept, in the order they were registered."""
        return list(self._registry.calls)

    def find(self, call_id: str) -> RegisteredCall | None:
        """Return a call by its call_id, or None."""
        return self._registry.find(call_id)

    def refuse(
        self,
        status: int,
        times: int = 1,
        retry_after: float | None = None,
        kind: RequestKind | None = None,
    ) -> None:
        """Answer the next requests with an error, to test a client.

        Args:
            status: 400–599.
            times: how many requests.
            retry_after: seconds, sent as ``Retry-After``.
            kind: which requests, see ``RequestKind``; None: ``any``.

        Raises:
            ValueError: it is not the status of an error.
        """
        if not 400 <= status <= 599:
            raise ValueError("the status of a refusal is 400–599")
        fault = RequestFault(kind=kind or "any", status=status, retry_after=retry_after)
        self._faults.add(fault, times)

    @property
    def sessions(self) -> list[Session]:
        """The ongoing calls."""
        return self._conversations.sessions

    def type(self, text: str, call: RegisteredCall | None = None) -> None:
        """Give a call a user turn without audio, as if the user had said it.

        It interrupts the agent as speech does. An agent whose words come from an LLM server
        answers it, the parrot mumbles it back, one of yours reads it with ``Session.next_typed``;
        a scenario and the silent agent do not take it.

        Args:
            text: what the user says.
            call: the call; None: the one joined last.

        Raises:
            RuntimeError: that call is not ongoing, or no call is.
        """
        for session in reversed(self.sessions):
            if call is None or session.call is call:
                session.typed(text)
                return
        raise RuntimeError("no call is going on" if call is None else "this call is not going on")
