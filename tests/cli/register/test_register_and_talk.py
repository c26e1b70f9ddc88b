"""Calls that ``talk`` registers by itself, and which call it is where more than one is named."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.pipes import FILES, QUICK, complaint, patched
from support.program import Talk
from support.registering import AGENT, HEARD, KEY, OLD, TOLD, WITH_KEY, Run, heard, said
from support.rest import server
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat
from retell_voice.cli.settle import settle
from retell_voice.emulator import Emulator, RegisteredCall
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.talk import TalkSettings


async def test_a_call_that_talk_registers_is_told_all_there_is_to_tell(
    program: Run, emulator: Emulator, joined: list[RegisteredCall]
) -> None:
    where = (*OLD, "--api-url", emulator.api_url)
    result = await program("talk", *AGENT, *where, *TOLD, *QUICK, "--json", more=WITH_KEY)
    assert (result.returncode, result.stderr) == (0, "")
    assert [heard(call) for call in joined] == [HEARD]


async def test_so_is_the_emulators_own(program: Run, tmp_path: Path) -> None:
    asked = asyncio.Queue[Any]()

    async def llm(websocket: ServerConnection) -> None:
        await websocket.send(
            json.dumps({"response_type": "config", "config": {"call_details": True}})
        )
        async for message in websocket:
            body = json.loads(message)
            if body["interaction_type"] == "call_details":
                asked.put_nowait(body["call"])
                await websocket.send(
                    json.dumps(
                        {
                            "response_type": "response",
                            "response_id": 0,
                            "content": "",
                            "content_complete": True,
                            "end_call": True,
                        }
                    )
                )

    async with serve(llm, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        mumbling = {"RETELL_VOICE_EMULATOR_TTS": "mumble", "RETELL_VOICE_EMULATOR_ASR": "none"}
        result = await program(
            "talk", "--llm", f"ws://127.0.0.1:{port}", *TOLD, *QUICK, more=mumbling
        )
    assert result.returncode == 0, result.stderr
    call = asked.get_nowait()
    assert call["retell_llm_dynamic_variables"] == {"name": "Ann"}
    assert (call["from_number"], call["direction"], call["agent_version"]) == (
        "+15550001",
        "inbound",
        7,
    )


async def test_registered_and_talked_in_one(
    program: Run, emulator: Emulator, joined: list[RegisteredCall]
) -> None:
    sound = ("--encoding", "mulaw", "--rate", "8000")
    where = (*OLD, "--api-url", f"{emulator.api_url}/", "--dynamic-variable", "name=Ann")
    result = await program("talk", *AGENT, *where, *sound, *QUICK, "--json", more=WITH_KEY)
    assert (result.returncode, result.stderr) == (0, "")
    first, *_, ended, details = map(json.loads, result.stdout.splitlines())
    assert (first["encoding"], first["rate"]) == ("mulaw", 8000)
    assert ended["event"] == "ended"
    (call,) = joined
    assert call.call_id not in result.stdout
    assert call.dynamic_variables == {"name": "Ann"}
    assert (details["event"], details["error"]) == ("call_details", None)
    assert (details["status"], details["call_id"]) == ("ended", f"…{call.call_id[-4:]}")
    assert details["disconnection_reason"] == "agent_hangup"


async def test_a_file_that_is_not_there_costs_no_call(program: Run, tmp_path: Path) -> None:
    files = ("--input-file", str(tmp_path / "none.wav"), "--output-file", os.devnull)
    nowhere = (*OLD, "--api-url", "http://127.0.0.1:1")  # asked, it would be exit code 4
    result = await program("talk", *AGENT, *nowhere, *files, more=WITH_KEY)
    assert "none.wav" in complaint(result, 2)[0]


NOWHERE = "http://127.0.0.1:1"
"""Asked there for a call, it would be exit code 4."""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--output-file", "taken"), "taken is a directory"),
        (("--output-file", "locked/a.wav"), "locked/a.wav: Permission denied"),
        (("--output-file", "a.wav", "--record", "file"), "file: a file, and recordings need"),
        (("--output-file", "a.wav", "--echo", "system"), "is a file, which has no echo"),
        (("--output-file", "a.wav", "--push-to-talk"), "no keys without the live screen"),
    ],
)
@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
async def test_what_cannot_be_written_or_had_costs_no_call(
    program: Run, tmp_path: Path, options: tuple[str, ...], says: str, transport: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "file").touch()
    # Root may write everywhere.
    locked = (
        "import os; allowed = os.access\n"
        "os.access = lambda path, mode: 'locked' not in str(path) and allowed(path, mode)\n"
    )
    given = [
        str(tmp_path / each) if before in ("--output-file", "--record") else each
        for before, each in zip(("", *options), options, strict=False)
    ]
    where = ("--transport", transport, "--api-url", NOWHERE)
    more = {**WITH_KEY, **patched(tmp_path, locked)}
    result = await program("talk", *AGENT, *where, *FILES[:2], *given, more=more)
    assert says in complaint(result, 2)[0]
    assert not (tmp_path / "a.wav").exists()


async def test_a_pipe_is_no_reason_not_to_look_at_the_output(program: Run, tmp_path: Path) -> None:
    files = ("--input-file", "-", "--output-file", str(tmp_path))
    result = await program("talk", *AGENT, *OLD, "--api-url", NOWHERE, *files, more=WITH_KEY)
    assert f"{tmp_path} is a directory" in complaint(result, 2)[0]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
async def test_a_call_that_ctrl_c_hung_up_is_looked_up_too(env: dict[str, str]) -> None:
    async with Emulator(api_key=KEY) as emulator:
        where = (*OLD, "--api-url", emulator.api_url)
        async with Talk(*AGENT, *where, *FILES, env={**env, **WITH_KEY}) as talk:
            await talk.live()
            assert await talk.hang_up() == 0
    assert talk.errors == ""
    (details,) = talk.having("call_details")
    assert (details["status"], details["disconnection_reason"]) == ("ended", "user_hangup")


async def test_the_server_has_the_last_word_on_encoding_and_rate(
    program: Run, emulator: Emulator
) -> None:
    call = emulator.register(AudioFormat(rate=16000))
    body = {"call_id": call.call_id, "audio_encoding": "s16le", "sample_rate": 16000}
    async with server(said(201, body), said(404, {}), said(404, {})) as (api_url, _):
        where = ("--api-url", api_url, "--url", emulator.url)
        result = await program("talk", *AGENT, *where, *QUICK, more=WITH_KEY)
    assert result.stdout.startswith(f"call …{call.call_id[-4:]} on 127.0.0.1:")
    assert "s16le 16000 Hz" in result.stdout.splitlines()[0]
    assert "the server closed the call (1000)" in result.stdout
    (problem, _) = complaint(result, 0)
    assert problem.startswith("retell-voice: no details of the call: server: 127.0.0.1:")


def settled(**given: tuple[Any, str]) -> TalkSettings:
    return settle(TalkSettings(**{name: Sourced(*each) for name, each in given.items()}))


@pytest.mark.parametrize(
    ("given", "stays"),
    [
        ({"call_id": ("c", "CALL_ID"), "agent": ("a", "c.toml line 1")}, "call_id"),
        ({"call_id": ("c", "RETELL_VOICE_CALL_ID"), "agent": ("a", "c.toml line 1")}, "call_id"),
        ({"call_id": ("c", "RETELL_VOICE_CALL_ID"), "agent": ("a", "--agent")}, "agent"),
        ({"local": (True, "c.toml line 1"), "agent": ("a", "--agent")}, "agent"),
        ({"local": (True, "--local"), "agent": ("a", "c.toml line 1")}, "local"),
        ({"llm": ("ws://x", "--llm"), "agent": ("a", "c.toml line 1")}, "local"),
    ],
)
def test_the_nearer_one_is_called(given: dict[str, tuple[object, str]], stays: str) -> None:
    settings = settled(**given)
    names = [name for name in ("call_id", "agent", "local") if getattr(settings, name).value]
    assert names == [stays]
