"""The program and an emulator that registers calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from support.registering import AGENT, KEY, WITH_KEY, Result, Run

from retell_voice.emulator import Emulator, RegisteredCall, Session


@pytest.fixture
def joined() -> list[RegisteredCall]:
    """The calls that were joined."""
    return []


@pytest.fixture
async def emulator(joined: list[RegisteredCall]) -> AsyncIterator[Emulator]:
    async def agent(session: Session) -> None:
        joined.append(session.call)
        await session.metadata({})

    async with Emulator(agent=agent, api_key=KEY) as emulator:
        yield emulator


@pytest.fixture
def program(run: Callable[..., Result]) -> Run:
    """Run the program beside the server it talks to; it must not show the key."""

    async def program(*arguments: str, **more: Any) -> Result:
        result = await asyncio.to_thread(run, *arguments, **more)
        assert KEY not in result.stdout + result.stderr
        return result

    return program


@pytest.fixture
def register(program: Run, emulator: Emulator) -> Run:
    """Register a call at the emulator; with the key unless told otherwise."""

    async def register(*arguments: str, more: dict[str, str] = WITH_KEY) -> Result:
        where = ("--api-url", emulator.api_url)
        return await program("register", *AGENT, *where, *arguments, more=more)

    return register
