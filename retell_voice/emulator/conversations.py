"""The conversations going on: each is a call's line, its session and its agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from retell_voice.emulator.agents import Agent, converse
from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.line import Line
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.server_events import CallEnded, CallJoined
from retell_voice.emulator.session import Session

_STOPPED = 1000, "the call was stopped", "manual_stopped"
_GOODBYE = 1001, "the emulator is stopping", "error_retell"


class Conversations:
    """Holds conversations, each from a caller's arrival to the end of the call.

    Args:
        registry: where the calls are kept.
        agent: holds the agent's side of every call.
        open_session: makes a call's session.
    """

    def __init__(
        self,
        registry: Registry,
        agent: Agent,
        open_session: Callable[[RegisteredCall, Line], Session],
    ) -> None:
        self._registry = registry
        self._agent = agent
        self._open_session = open_session
        self._going_on: dict[asyncio.Task[None], Session] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def sessions(self) -> list[Session]:
        """The calls going on."""
        return list(self._going_on.values())

    async def hold(self, call: RegisteredCall, line: Line) -> None:
        """Hold the conversation of a caller who has come, until the call is over."""
        session = self._open_session(call, line)
        session.on_update = partial(self._registry.transcript_updated, call)
        self._registry.join(call)
        session.tell(CallJoined, format=call.format)
        conversation = asyncio.create_task(converse(session, self._agent))
        self._going_on[conversation] = session
        try:
            await asyncio.wait({conversation})
        finally:
            conversation.cancel()
            del self._going_on[conversation]
            call.close_code, call.close_reason = line.closed
            why = session.why or line.caller_left
            session.tell(CallEnded, code=call.close_code, reason=call.close_reason, why=why)
            self._registry.end(call, why)

    def stop(self, call: RegisteredCall) -> None:
        """End a call soon, as its owner wants it."""
        for session in self.sessions:
            if session.call is call:
                closing = asyncio.create_task(session.close(*_STOPPED))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def steer(self, call: RegisteredCall, context: str | None, respond: bool) -> None:
        """Do what a call's owner wants of its agent, see ``Session.steer``."""
        for session in self.sessions:
            if session.call is call:
                session.steer(context, respond)

    async def end(self) -> None:
        """Say goodbye to every caller; returns within about a second."""
        await asyncio.gather(*(session.close(*_GOODBYE) for session in self.sessions))
        await asyncio.gather(*self._closing)
        for conversation in self._going_on:
            conversation.cancel()
