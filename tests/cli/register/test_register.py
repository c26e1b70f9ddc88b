"""The command that registers a call: what it prints, what the call is told, what cannot be."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pipes import complaint, patched
from support.registering import AGENT, HEARD, KEY, TOLD, WITH_KEY, Run, heard

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import Emulator
from retell_voice.extras import how_to_install
from retell_voice.rest import DEFAULT_API_URL
from retell_voice.settings.schema import table
from retell_voice.settings.tables.call import RegisterSettings


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


async def test_a_new_call_is_told_all_there_is_to_tell(register: Run, emulator: Emulator) -> None:
    result = await register(*TOLD)
    call = emulator.find(result.stdout.strip())
    assert call is not None
    assert heard(call) == HEARD
    result = await register("--agent-version", "staging")
    call = emulator.find(result.stdout.strip())
    assert call is not None
    assert call.agent_version == "staging"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("register",), "no agent to register a call with"),
        (("register", *AGENT), "no API key to register a call"),
        (("register", *AGENT, "--api-url", "http://127.0.0.1:1"), "RETELL_API_KEY=any"),
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


def test_the_table_has_the_url_of_the_rest_api() -> None:
    assert table(RegisterSettings)["api_url"].default == DEFAULT_API_URL
