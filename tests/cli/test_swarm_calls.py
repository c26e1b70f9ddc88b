"""Calls of a swarm that are registered first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from retell_voice.cli import swarm_calls
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.talk import TalkSettings


async def test_an_agent_is_looked_up_once_however_many_call_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[str] = []

    class Account:
        async def agent_id(self, wanted: str) -> str:
            looked_up.append(wanted)
            await asyncio.sleep(0)
            return "agent_1"

    async def create(agent: str, **_: Any) -> str:
        return agent

    monkeypatch.setattr(swarm_calls, "account", lambda *_: Account())
    monkeypatch.setattr(swarm_calls, "create_web_call", create)
    monkeypatch.setattr(swarm_calls, "WebCall", lambda admission, **_: admission)
    settings = replace(TalkSettings(), agent=Sourced("Front desk"))
    register = swarm_calls.creating(settings, Sourced("key_0123456789"))
    called: list[Any] = await asyncio.gather(*(register() for _ in range(5)))
    assert called == ["agent_1"] * 5
    assert looked_up == ["Front desk"]
