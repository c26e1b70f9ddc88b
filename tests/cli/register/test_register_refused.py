"""A server that refuses to register a call, asks to wait, thinks long or is not there."""

from __future__ import annotations

import json
import signal
import sys

import pytest
from support.pipes import QUICK, complaint
from support.registering import AGENT, KEY, OLD, WITH_KEY, Run, said
from support.rest import interrupted, server

from retell_voice.audio.format import AudioFormat
from retell_voice.cli.register import registered
from retell_voice.emulator import Emulator
from retell_voice.program.call_fields import CallFields
from retell_voice.rest import Registration
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.call import RegisterSettings


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"error_message": "Invalid API key"}, "does not accept the API key: Invalid API key"),
        (404, {"message": "no such agent"}, "knows no agent agent_1: no such agent"),
        (422, {"message": "sample_rate is odd"}, "does not accept sample_rate: sample_rate is odd"),
        (429, {}, "has too many requests or calls"),
    ],
)
async def test_what_the_server_refuses(program: Run, status: int, body: object, says: str) -> None:
    async with server(said(status, body)) as (api_url, _):
        result = await program("register", *AGENT, "--api-url", api_url, more=WITH_KEY)
    (problem, *hint) = complaint(result, 7)
    assert problem.startswith("retell-voice: server: 127.0.0.1:")
    assert says in problem
    assert result.stdout == ""
    if status == 401:
        assert hint[0].startswith("  it came from RETELL_API_KEY; check the key")


async def test_errors_as_json(register: Run, emulator: Emulator) -> None:
    emulator.refuse(404)
    result = await register("--json")
    shown = json.loads(result.stdout)
    assert (shown["event"], shown["type"], shown["exit_code"]) == ("error", "NotFound", 7)


async def test_a_server_that_asks_to_wait_is_waited_for(register: Run, emulator: Emulator) -> None:
    emulator.refuse(429, retry_after=0.2)
    result = await register()
    assert emulator.find(result.stdout.strip()) is not None
    (problem, hint) = complaint(result, 0)
    assert "too many requests or calls" in problem
    assert hint == "  trying again in 0 s"


async def test_but_not_for_minutes(register: Run, emulator: Emulator) -> None:
    emulator.refuse(429, retry_after=61)
    result = await register()
    assert complaint(result, 7)[1] == "  wait 61 s"


async def test_nor_for_ever(register: Run, emulator: Emulator) -> None:
    emulator.refuse(429, times=4, retry_after=0.01)
    result = await register()
    assert result.returncode == 7
    assert result.stderr.count("trying again in") == 2


async def test_a_server_that_is_not_there(program: Run) -> None:
    where = ("--api-url", "http://127.0.0.1:1")
    for command in (("register",), ("talk", *OLD, *QUICK)):
        result = await program(*command, *AGENT, *where, more=WITH_KEY)
        assert "network: 127.0.0.1:1 refused the connection" in complaint(result, 4)[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize("command", [("register",), ("talk", *OLD, *QUICK)])
async def test_ctrl_c_while_the_server_thinks(
    env: dict[str, str], command: tuple[str, ...]
) -> None:
    assert await interrupted(*command, *AGENT, env=env | WITH_KEY) == (130, b"", b"")


def test_a_signal_at_the_last_moment_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def register_call(*_: object, **__: object) -> Registration:
        signal.raise_signal(signal.SIGTERM)
        return Registration(call_id="call_1", agent_id="agent_1", audio=AudioFormat(), body={})

    monkeypatch.setattr("retell_voice.program.registration.register_call", register_call)
    settings = RegisterSettings(agent=Sourced("agent_1"), api_key=Sourced(KEY))
    with pytest.raises(SystemExit) as caught:
        registered(settings, CallFields())
    assert caught.value.code == 143
