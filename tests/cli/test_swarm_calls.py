"""Calls of a swarm that are registered first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retell_voice.cli import swarm_calls
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.swarm.part import Part
from retell_voice.swarm.swarm import Plan


def test_a_part_shows_no_secret() -> None:
    secrets = ("user:p4ssw0rd", "token-of-some-length", "key_0123456789")
    settings = TalkSettings(
        url=Sourced(f"wss://{secrets[0]}@a.example/x?token={secrets[1]}"),
        api_url=Sourced(f"https://{secrets[0]}@api.example/{secrets[1]}"),
    )
    part = Part("wss://a.example", "web", Plan(calls=1), np.zeros(160, np.int16), 16000)
    shown = repr(swarm_calls.RegisteredPart(settings, Sourced(secrets[2]), part))
    assert shown.startswith("RegisteredPart(calls=Part(")
    for each in (*secrets, "p4ssw0rd"):
        assert each not in shown


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
