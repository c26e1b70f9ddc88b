"""A server that accepts and never answers: what a user sees while it is tried three times."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pipes import CALL_ID, FILES, patched

Run = Callable[..., "subprocess.CompletedProcess[str]"]

IMPATIENT = """
from retell_voice.net import attempts
attempts._LONG = 0.05
from retell_voice.transport.route import web_route
web_route.__kwdefaults__["connect_timeout"] = 0.1
from retell_voice.rest.calls import register_call
register_call.__kwdefaults__["timeout"] = 0.1
from retell_voice.rest.account import list_agents
list_agents.__kwdefaults__["timeout"] = 0.1
"""
REGISTER = ("register", "--agent", "agent_1", "--api-url", "http://127.0.0.1:PORT")
AGENTS = ("agents", "--api-url", "http://127.0.0.1:PORT")
TALK = ("talk", *FILES, "--url", "ws://127.0.0.1:PORT", CALL_ID)


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read all that comes, and say nothing."""
    await reader.read()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("asked", [REGISTER, AGENTS, TALK, (*TALK, "--json")])
async def test_each_attempt_is_told_and_the_last_one_counted(
    run: Run, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        port = str(server.sockets[0].getsockname()[1])
        arguments = [each.replace("PORT", port) for each in asked]
        more = {**patched(tmp_path, IMPATIENT), "RETELL_API_KEY": "any"}
        result = await asyncio.to_thread(run, *arguments, more=more)
    assert result.returncode == 4
    said = f"retell-voice: network: 127.0.0.1:{port} did not answer within 0.1 s"
    assert result.stderr.splitlines()[:3] == [
        f"{said} (attempt 1 of 3); trying again",
        f"{said} (attempt 2 of 3); trying again",
        f"{said} (attempt 3 of 3)",
    ]


async def test_what_fails_at_once_is_said_once(run: Run) -> None:
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    arguments = [each.replace("PORT", port) for each in TALK]
    result = await asyncio.to_thread(run, *arguments)
    assert result.stderr.splitlines()[0] == (
        f"retell-voice: network: 127.0.0.1:{port} refused the connection"
    )
