"""Does a web call come about? One is made, and each thing that it needs told by itself.

::

    token ─▶ relays ─▶ gateway ─▶ UDP ─▶ audio

It costs a second or two of a call, so it is only done when somebody asks for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.errors import ConfigError, ConnectError, RestError, RetellVoiceError
from retell_voice.protocol.gateway import Admission
from retell_voice.protocol.ice import Relay, usable_relays
from retell_voice.protocol.messages import AgentPacket
from retell_voice.rest import create_web_call, find_agent, stop_call
from retell_voice.settings.schema import Sourced
from retell_voice.transport.ports import Connection
from retell_voice.transport.webrtc.route import WebRtcRoute, find_libraries

_SOON = 5.0
"""Seconds for which a token should be good still when it comes."""
_STOP_TIMEOUT = 1.0


async def examine(
    api_url: str,
    key: Sourced[str | None],
    agent: Sourced[str | None],
    *,
    step_timeout: float = 5.0,
) -> AsyncIterator[Finding]:
    """Make a web call, listen for its first audio, and leave.

    Args:
        api_url: base of the REST API.
        key: the API key, and where it came from.
        agent: who is called, by name or id.
        step_timeout: seconds that each step may take.
    """
    try:
        find_libraries()
        if key.value is None or agent.value is None:
            what = "API key" if key.value is None else "agent"
            hint = "set RETELL_API_KEY" if key.value is None else "--agent says whom to call"
            raise ConfigError(f"there is no {what} to make a call with", hint)
    except ConfigError as error:
        yield _failed("web call", error)
        return
    began = time.monotonic()
    try:
        found = await find_agent(
            agent.value, api_key=key.value, api_url=api_url, timeout=step_timeout
        )
        admission = await create_web_call(
            found.agent_id, api_key=key.value, api_url=api_url, timeout=step_timeout
        )
    except (ConnectError, RestError) as error:
        yield _failed("token", error)
        return
    yield judge_token(admission.expires_at, time.time(), time.monotonic() - began)
    call = _Call(admission, api_url, key.value, step_timeout)
    for relay in usable_relays(admission.ice_servers):
        yield await call.relay(relay)
    async for finding in call.hold():
        yield finding


def judge_token(expires_at: float | None, now: float, took: float) -> Finding:
    """Judge what lets us in: it must not be over before we are there."""
    figures: dict[str, Any] = {"ms": round(took * 1000, 1)}
    says = f"the call was made ({took * 1000:.0f} ms)"
    if expires_at is None:
        return Finding("call", "token", Verdict.PASS, says, "", figures)
    left = figures["expires_in_s"] = round(expires_at - now, 1)
    if left < _SOON:
        says += f", its token {'is over' if left <= 0 else f'is good for {left:.0f} s'}"
        hint = "is the clock of this machine right?"
        return Finding("call", "token", Verdict.WARN, says, hint, figures)
    says += f", its token is good for {left:.0f} s"
    return Finding("call", "token", Verdict.PASS, says, "", figures)


class _Call:
    """One web call.

    Args:
        admission: what lets us in.
        api_url: base of the REST API.
        key: the API key.
        step_timeout: seconds that each step may take.
    """

    def __init__(self, admission: Admission, api_url: str, key: str, step_timeout: float) -> None:
        self._admission, self._timeout = admission, step_timeout

        async def admit() -> Admission:
            return admission

        async def stop(_: Admission) -> None:
            await stop_call(admission.call_id, api_key=key, api_url=api_url, timeout=_STOP_TIMEOUT)

        self._route = WebRtcRoute(
            "the doctor's call", admit, api_url=api_url, stop=stop, connect_timeout=step_timeout
        )

    async def relay(self, relay: Relay) -> Finding:
        """Ask a relay for an address, on a connection of its own."""
        from retell_voice.transport.webrtc.media import Peer  # noqa: PLC0415 - loads much

        peer = Peer(lambda *_: None, lambda _: None, lambda: None)
        began = time.monotonic()
        try:
            await peer.offer()
            async with asyncio.timeout(self._timeout):
                works = await peer.use_relay(relay) is not None
        except (TimeoutError, ConnectError):
            works = False
        finally:
            await peer.close()
        took = time.monotonic() - began
        figures = {"ms": round(took * 1000, 1)}
        if works:
            says = f"{relay} works ({took * 1000:.0f} ms)"
            return Finding("call", "relay", Verdict.PASS, says, "", figures)
        hint = "it is only needed where UDP does not get through"
        return Finding("call", "relay", Verdict.WARN, f"{relay} does not answer", hint, figures)

    async def hold(self) -> AsyncIterator[Finding]:
        """Join, wait for the first audio, and leave."""
        began = time.monotonic()
        try:
            connection = await self._route.connect(time.monotonic)
        except RetellVoiceError as error:
            if self._route.joined:
                yield Finding("call", "gateway", Verdict.PASS, "it lets us in")
            yield _failed("UDP" if self._route.joined else "gateway", error)
            return
        took = time.monotonic() - began
        try:
            figures = {"ms": round(took * 1000, 1)}
            says = f"it lets us in, and is connected ({took * 1000:.0f} ms)"
            yield Finding("call", "gateway", Verdict.PASS, says, "", figures)
            yield judge_way(relayed=self._route.relayed)
            yield await self._audio(connection, time.monotonic())
        finally:
            await connection.close()

    async def _audio(self, connection: Connection, began: float) -> Finding:
        try:
            async with asyncio.timeout(self._timeout):
                async for event in connection:
                    if isinstance(event, AgentPacket):
                        took = time.monotonic() - began
                        figures = {"ms": round(took * 1000, 1)}
                        says = f"it comes ({took * 1000:.0f} ms after the connection)"
                        return Finding("call", "audio", Verdict.PASS, says, "", figures)
        except TimeoutError:
            why = f"none comes within {self._timeout:g} s"
        else:
            ended = connection.closed
            why = f"none came: {ended.reason or 'the gateway closed'}" if ended else "none came"
        hint = "see the call in Retell's dashboard"
        return Finding("call", "audio", Verdict.FAIL, why, hint, code=6)


def judge_way(*, relayed: bool) -> Finding:
    """Judge how audio travels: a relay is a detour, and TCP, where it must be, worse."""
    if relayed:
        hint = "a firewall seems to block UDP: every answer comes later"
        return Finding("call", "UDP", Verdict.WARN, "audio goes through a relay", hint)
    return Finding("call", "UDP", Verdict.PASS, "audio goes straight to the gateway")


def _failed(check: str, error: RetellVoiceError) -> Finding:
    return Finding("call", check, Verdict.FAIL, str(error), error.hint, code=error.exit_code)
