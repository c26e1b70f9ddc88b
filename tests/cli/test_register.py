"""Calls that the program registers by itself: how that goes, and where the API key comes from."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.pipes import FILES, QUICK, complaint, patched, searching
from support.program import Talk
from support.rest import answer, server
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.cli.register import registered
from retell_voice.cli.settle import settle
from retell_voice.emulator import Emulator, RegisteredCall, Session
from retell_voice.extras import how_to_install
from retell_voice.program.call_fields import CallFields
from retell_voice.rest import DEFAULT_API_URL, Registration
from retell_voice.settings.load import find_key
from retell_voice.settings.schema import Sourced, table
from retell_voice.settings.tables.call import RegisterSettings
from retell_voice.settings.tables.talk import TalkSettings

Result = subprocess.CompletedProcess[str]
Run = Callable[..., Awaitable[Result]]

KEY = "key_1234567890abcdef"
AGENT = ("--agent", "agent_1")
OLD = ("--transport", "websocket")
WITH_KEY = {"RETELL_API_KEY": KEY}


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


def said(status: int, body: object) -> bytes:
    """An answer of a REST API."""
    return answer(json.dumps(body).encode(), f"{status} X")


async def test_a_call_id_and_nothing_else_on_a_pipe(register: Run, emulator: Emulator) -> None:
    sound = ("--encoding", "mulaw", "--rate", "8000")
    pairs = ("--metadata", "order=17", "--metadata", "a=b=c", "--dynamic-variable", "name=Ann")
    result = await register(*sound, *pairs, more={**WITH_KEY, "RETELL_VOICE_JSON": "1"})
    assert (result.returncode, result.stderr) == (0, "")
    call = emulator.find(result.stdout.strip())
    assert call is not None
    assert (call.agent_id, call.audio) == ("agent_1", AudioFormat(Encoding.MULAW, 8000))
    assert (call.metadata, call.dynamic_variables) == ({"order": "17", "a": "b=c"}, {"name": "Ann"})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
async def test_on_a_terminal_it_says_what_next(env: dict[str, str], emulator: Emulator) -> None:
    from support.terminal import Terminal  # noqa: PLC0415 - there is no termios on Windows

    def see() -> str:
        arguments = ("register", *AGENT, "--api-url", emulator.api_url)
        with Terminal(*arguments, env={**env, **WITH_KEY}, size=(24, 120)) as terminal:
            terminal.wait_for(" --rate 24000 -")
            return terminal.text

    progress, call_id, what, command = (await asyncio.to_thread(see)).split("\n")[:4]
    assert progress == f"registering a call with agent_1 at {emulator.api_url}"
    assert emulator.find(call_id) is not None
    assert what == "talk with it:"
    assert command == f"  retell-voice talk --url {emulator.url} --encoding s16le --rate 24000 -"


async def test_all_of_it_as_json(register: Run, emulator: Emulator) -> None:
    result = await register("--json")
    shown = json.loads(result.stdout)
    assert shown["call_id"] == shown["body"]["call_id"]
    assert emulator.find(shown["call_id"]) is not None
    assert (shown["agent_id"], shown["encoding"], shown["rate"]) == ("agent_1", "s16le", 24000)
    assert shown["url"] == emulator.url


NAMED = {"agent_1": "Front desk", "desk": "Back office"}


@pytest.mark.parametrize(
    ("given", "agent_id"), [("front DESK", "agent_1"), ("desk", "desk"), ("agent_1", "agent_1")]
)
async def test_an_agent_is_named_or_given_by_id(program: Run, given: str, agent_id: str) -> None:
    async with Emulator(api_key=KEY, agents=NAMED) as emulator:
        where = ("--api-url", emulator.api_url)
        result = await program("register", "--agent", given, *where, more=WITH_KEY)
        assert result.returncode == 0, result.stderr
        call = emulator.find(result.stdout.strip())
        assert call is not None
        assert call.agent_id == agent_id


async def test_an_agent_that_is_none_is_told_with_names_like_it(program: Run) -> None:
    async with Emulator(api_key=KEY, agents=NAMED) as emulator:
        where = ("--api-url", emulator.api_url)
        result = await program("register", "--agent", "front dsk", *where, more=WITH_KEY)
        no_id = await program("register", "--agent", "agent_2", *where, more=WITH_KEY)
        listed = await program("agents", "front dsk", *where, more=WITH_KEY)
        as_json = await program("register", "--json", "--agent", "dsk", *where, more=WITH_KEY)
    assert result.returncode == 7
    assert json.loads(as_json.stdout)["type"] == "NotFound"
    assert result.stderr.splitlines() == [
        "retell-voice: no agent is named 'front dsk'",
        "  did you mean Front desk (agent_1)?",
    ]
    assert no_id.returncode == 7
    assert "agent_2" in no_id.stderr.splitlines()[0], "an id is no name"
    assert (listed.stdout, listed.stderr) == ("", "did you mean Front desk (agent_1)?\n")


async def test_a_server_that_cannot_list_its_agents_says_itself_what_is_wrong(
    program: Run,
) -> None:
    refusals = (said(422, {"message": "no such agent"}), answer(b"", "404 Not Found"))
    async with server(*refusals) as (url, heads):
        result = await program("register", "--agent", "desk", "--api-url", url, more=WITH_KEY)
    assert result.returncode == 7
    assert "no such agent" in result.stderr.splitlines()[0]
    assert len(heads) == 2


async def test_a_server_whose_list_is_a_web_page_says_itself_what_is_wrong(program: Run) -> None:
    page = answer(b"<html>Welcome</html>", "200 OK", "text/html")
    async with server(said(422, {"message": "no such agent"}), page) as (url, heads):
        result = await program("register", "--agent", "desk", "--api-url", url, more=WITH_KEY)
    assert result.returncode == 7
    assert "no such agent" in result.stderr.splitlines()[0]
    assert len(heads) == 2


async def test_names_like_it_that_cannot_be_listed_change_no_result(program: Run) -> None:
    none, busy = said(200, {"items": [], "has_more": False}), said(429, {"message": "slower"})
    async with server(none, busy, busy, busy) as (url, heads):
        listed = await program("agents", "xyz", "--api-url", url, more=WITH_KEY)
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "")
    assert len(heads) > 1


TOLD = (
    *("--agent-version", "7", "--direction", "inbound", "--from-number", "+15550001"),
    *("--to-number", "+15550002", "--end-call-after-silence-ms", "30000"),
    *("--dynamic-variable", "name=Ann", "--metadata", "order=17"),
)


def heard(call: RegisteredCall) -> tuple[object, ...]:
    """What a call was told."""
    numbers = (call.direction, call.from_number, call.to_number)
    pairs = (call.dynamic_variables, call.metadata)
    return (call.agent_version, *numbers, call.end_call_after_silence_ms, *pairs)


ALL = (7, "inbound", "+15550001", "+15550002", 30_000, {"name": "Ann"}, {"order": "17"})


async def test_a_new_call_is_told_all_there_is_to_tell(register: Run, emulator: Emulator) -> None:
    result = await register(*TOLD)
    call = emulator.find(result.stdout.strip())
    assert call is not None
    assert heard(call) == ALL
    result = await register("--agent-version", "staging")
    call = emulator.find(result.stdout.strip())
    assert call is not None
    assert call.agent_version == "staging"


async def test_so_is_the_call_that_talk_registers(
    program: Run, emulator: Emulator, joined: list[RegisteredCall]
) -> None:
    where = (*OLD, "--api-url", emulator.api_url)
    result = await program("talk", *AGENT, *where, *TOLD, *QUICK, "--json", more=WITH_KEY)
    assert (result.returncode, result.stderr) == (0, "")
    assert [heard(call) for call in joined] == [ALL]


async def test_and_the_emulators_own(program: Run, tmp_path: Path) -> None:
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


async def test_a_key_that_others_may_read_on_its_way_is_warned_of(program: Run) -> None:
    where = ("--api-url", "http://0.0.0.0:1")  # not loopback, and yet nobody is asked
    result = await program("register", *AGENT, *where, more=WITH_KEY)
    warning, problem, *_ = result.stderr.splitlines()
    assert result.returncode == 4
    assert warning.startswith("retell-voice: the API key goes to 0.0.0.0:1 unencrypted")
    assert problem.startswith("retell-voice: network: ")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize("command", [("register",), ("talk", *OLD, *QUICK)])
async def test_ctrl_c_while_the_server_thinks(
    env: dict[str, str], command: tuple[str, ...]
) -> None:
    async with server(None) as (api_url, heads):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "retell_voice", *command, *AGENT, "--api-url", api_url),
            env={**env, **WITH_KEY},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            await heads.asked.wait()
            process.send_signal(signal.SIGINT)
            out, errors = await process.communicate()
    assert (process.returncode, out, errors) == (130, b"", b"")


def test_a_signal_at_the_last_moment_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def register_call(*_: object, **__: object) -> Registration:
        signal.raise_signal(signal.SIGTERM)
        return Registration(call_id="call_1", agent_id="agent_1", audio=AudioFormat(), body={})

    monkeypatch.setattr("retell_voice.program.registration.register_call", register_call)
    settings = RegisterSettings(agent=Sourced("agent_1"), api_key=Sourced(KEY))
    with pytest.raises(SystemExit) as caught:
        registered(settings, CallFields())
    assert caught.value.code == 143


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("register",), "no agent to register a call with"),
        (("register", *AGENT), "no API key to register a call"),
        (("register", *AGENT, "--api-url", "http://"), "is not the URL of a REST API"),
        (("register", *AGENT, "--api-url", "http://[x"), "is not the URL of a REST API"),
        (("register", *AGENT, "--api-key", KEY), "no such option"),
        (("talk", *AGENT, "call_1"), "CALL_ID and --agent exclude each other"),
        (("talk", *AGENT, "--local"), "--local and --agent exclude each other"),
        (("talk", "--metadata", "a=b", "call_1"), "--metadata: only for a new call"),
        (
            ("talk", "--to-number", "+1", "--dynamic-variable", "a=b", "call_1"),
            "--dynamic-variable and --to-number: only for a new call",
        ),
        (("talk", "--local", "--agent-version", "-1"), "'-1' is not a version"),
        (("talk", "--local", "--agent-version", "new one"), "'new one' is not a version"),
        (("register", *AGENT, "--direction", "up"), "'up' is not one of inbound, outbound"),
        (("register", *AGENT, "--end-call-after-silence-ms", "9"), "is outside 10000–3600000 ms"),
        (("talk", "--llm", "ws://x", "--no-local"), "--llm and --no-local exclude each other"),
        (("talk", "--scenario", "x", "--no-local"), "--scenario and --no-local exclude each"),
    ],
)
def test_what_cannot_be(refuse: Callable[..., str], arguments: tuple[str, ...], says: str) -> None:
    assert says in " ".join(refuse(*arguments, code=2).split())


@pytest.mark.parametrize("pair", ["name", "=value", ""])
async def test_a_pair_that_is_none(program: Run, pair: str) -> None:
    result = await program("register", *AGENT, "--metadata", pair, more=WITH_KEY)
    assert complaint(result, 2) == [f"retell-voice: --metadata: {pair!r} is not NAME=VALUE"]


async def test_without_the_sdk(program: Run, tmp_path: Path) -> None:
    more = patched(tmp_path, "import sys\nsys.modules['retell'] = None\n")
    result = await program("register", *AGENT, more={**WITH_KEY, **more})
    assert complaint(result, 2)[1] == f"  {how_to_install('register')}"


# Which call


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


# The key


async def test_the_key_of_the_config_file(register: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"api_key = '{KEY}'\n")
    path.chmod(0o600)
    result = await register("--config", str(path), more={})
    assert (result.returncode, result.stderr) == (0, "")
    result = await register("--config", str(path), more={"RETELL_API_KEY": "another_key_of_mine"})
    assert complaint(result, 7)[1].startswith("  it came from RETELL_API_KEY;")


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
async def test_a_key_that_others_may_read_is_warned_of(register: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"api_key = '{KEY}'\n")
    path.chmod(0o644)
    result = await register("--config", str(path), more={})
    assert "chmod 600" in complaint(result, 0)[0]


@pytest.mark.parametrize(
    ("module", "shown"),
    [
        (f"def get_password(*key): return {{('retell-voice', 'api-key'): '{KEY}'}}[key]", True),
        ("def get_password(*key): return None", False),
        ("def get_password(*key): raise RuntimeError('no D-Bus')", False),
        ("raise ImportError('half installed')", False),
    ],
)
async def test_the_key_of_the_system_keyring(
    program: Run, tmp_path: Path, module: str, shown: bool
) -> None:
    (tmp_path / "keyring.py").write_text(module)
    more = searching(tmp_path)
    result = await program("config", "show", more=more)
    assert result.stderr == ""
    (line,) = (each for each in result.stdout.splitlines() if each.startswith("api_key"))
    assert (
        line.split()
        == ("api_key = …cdef # the system keyring" if shown else "api_key = # default").split()
    )
    result = await program("config", "show", more={**more, **WITH_KEY})
    assert "# RETELL_API_KEY" in result.stdout
    if not shown:
        result = await program("register", *AGENT, more=more)
        assert "no API key to register a call" in complaint(result, 2)[0]


def test_a_key_of_the_keyring_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyring:
        @staticmethod
        def get_password(service: str, name: str) -> str:
            return KEY

    monkeypatch.setitem(sys.modules, "keyring", Keyring)
    found = find_key(Sourced(None))
    assert found.value == KEY
    assert KEY not in repr(found)


def test_the_table_has_the_url_of_the_rest_api() -> None:
    assert table(RegisterSettings)["api_url"].default == DEFAULT_API_URL
