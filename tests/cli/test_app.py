"""The program on pipes, and every way in which it may not work."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import retell_voice
from retell_voice.cli import main
from retell_voice.cli.app import app
from retell_voice.cli.failure import EXIT_CODES
from retell_voice.emulator import CALLER, Emulator, Session
from retell_voice.settings import SECTIONS, table

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CALL_ID = "call_0123456789abcdef"
FILES = ("--input-file", str(CALLER), "--output-file", os.devnull)
NULL = (*FILES, "--speed", "20")


def complaint(result: subprocess.CompletedProcess[str], code: int) -> list[str]:
    """Return the lines on stderr; checks that there are one or two, and no traceback."""
    assert result.returncode == code, result.stderr
    lines = result.stderr.splitlines()
    assert lines[0].startswith("retell-voice: ")
    assert len(lines) <= 2
    assert CALL_ID not in result.stderr + result.stdout
    return lines


# Help and start-up


def help_of(*arguments: str) -> str:
    return CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "200"}).output


def test_help() -> None:
    shown = help_of()
    for word in ("talk", "emulator", "devices", "settings", "Exit codes:", "--local"):
        assert word in shown
    for code in EXIT_CODES:
        assert re.search(rf"^\s+{code}  ", shown, re.MULTILINE)


@pytest.mark.parametrize(("command", "section"), [("talk", ""), ("emulator", "emulator")])
def test_help_has_every_setting(command: str, section: str) -> None:
    shown = help_of(command)
    for row in table(SECTIONS[section]).values():
        assert row.flag in shown


def test_version_starts_quickly_and_imports_nothing_heavy(run: Run, env: dict[str, str]) -> None:
    assert run("--version").stdout == f"retell-voice {retell_voice.__version__}\n"
    code = (
        "import sys\nsys.argv = ['retell-voice', '--version']\nfrom retell_voice.cli import main\n"
        "try: main()\nexcept SystemExit: print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    heavy = {"numpy", "sounddevice", "websockets", "rich.live", "retell_voice.emulator", "asyncio"}
    assert heavy.isdisjoint(loaded.split())


# A call on pipes


def test_a_conversation_in_lines(run: Run, tmp_path: Path) -> None:
    agent = tmp_path / "agent.wav"
    files = ("--input-file", str(CALLER), "--output-file", str(agent), "--speed", "20")
    result = run("talk", "--local", "--alignment", *files)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"call ….{4} on the emulator, s16le 24000 Hz", lines[0])
    assert lines[1] == "microphone: caller.wav; speaker: agent.wav"
    said = [line[7:] for line in lines if line[7:].startswith(("agent: ", "you: "))]
    assert said[0].startswith("agent: Hello!")
    assert [line.split(":")[0] for line in said] == ["agent", "you"] * 3 + ["agent"]
    assert len(set(said)) == len(said), "nothing is said twice"
    assert any("heard: Hello!" in line for line in lines)
    assert any("you hung up (1000)" in line for line in lines)
    with wave.open(str(agent)) as file:
        assert file.getframerate() == 24000
        assert file.getnframes() > 20 * 24000


def test_a_conversation_in_json(run: Run) -> None:
    result = run("talk", "--local", "--json", *NULL)
    assert (result.returncode, result.stderr) == (0, "")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "call"
    assert events[0]["call_id"].startswith("…")
    assert names[-1] == "ended"
    assert events[-1]["error"] is None
    expected = {"state_changed", "transcript", "turn", "agent_started", "agent_stopped"}
    assert expected | {"levels", "statistics", "metadata", "input_finished"} <= set(names)
    cut = [each for each in events if each["event"] == "agent_stopped" and each["interrupted"]]
    assert len(cut) == 1
    assert all(isinstance(event["at"], int | float) for event in events[1:])


def test_a_reader_that_has_seen_enough_ends_the_call_quietly(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "retell_voice", "talk", "--local", "--json"]
    begun = time.monotonic()
    with subprocess.Popen(
        [*command, *FILES], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as talk:
        assert talk.stdout is not None
        assert talk.stderr is not None
        assert talk.stdout.readline()
        talk.stdout.close()
        assert talk.stderr.read() == b""
        assert talk.wait(10) == 0
    assert time.monotonic() - begun < 10


# The server does not play along


@asynccontextmanager
async def emulator(agent: Callable[[Session], Awaitable[None]]) -> AsyncIterator[tuple[str, str]]:
    async with Emulator(agent=agent) as server:
        yield server.url, server.register().call_id


@pytest.fixture
def talk(run: Run) -> Callable[..., Awaitable[subprocess.CompletedProcess[str]]]:
    async def talk(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(run, "talk", *NULL, *arguments, **more)

    return talk


Talk = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


async def test_the_server_closes_without_an_error(talk: Talk) -> None:
    async def agent(session: Session) -> None:
        await session.metadata({})

    async with emulator(agent) as (url, call_id):
        result = await talk("--url", f"{url}/", call_id, more={"PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"call ?{call_id[-4:]} on 127.0.0.1:")
    assert "the server closed the call (1000)" in result.stdout
    assert call_id not in result.stdout


async def test_a_call_id_from_standard_input_and_from_the_environment(talk: Talk) -> None:
    async def agent(session: Session) -> None:
        await session.metadata({})

    async with emulator(agent) as (url, call_id):
        result = await talk("--url", url, "-", stdin=f"{call_id}\n")
        assert f"call …{call_id[-4:]}" in result.stdout
        assert result.returncode == 0
    async with emulator(agent) as (url, call_id):
        more = {"RETELL_VOICE_URL": url, "RETELL_VOICE_CALL_ID": call_id}
        result = await talk(more=more)
        assert result.returncode == 0
        assert f"call …{call_id[-4:]}" in result.stdout


async def test_a_close_before_the_call(talk: Talk) -> None:
    async def agent(session: Session) -> None:
        await session.close(4001, "no such agent")

    async with emulator(agent) as (url, call_id):
        result = await talk("--url", url, call_id)
    assert "4001 no such agent" in complaint(result, 5)[0]
    assert "the server closed the call (4001: no such agent)" in result.stdout


async def test_a_close_with_an_error_during_the_call(talk: Talk) -> None:
    async def agent(session: Session) -> None:
        await session.metadata({})
        await session.close(1011, "agent crashed")

    async with emulator(agent) as (url, call_id):
        result = await talk("--json", "--url", url, call_id)
    assert "1011 agent crashed" in complaint(result, 6)[0]
    ended = json.loads(result.stdout.splitlines()[-1])
    assert (ended["event"], ended["code"], ended["reason"]) == ("ended", 1011, "agent crashed")
    assert ended["error"]["type"] == "CallFailed"


async def test_an_http_status_instead_of_a_websocket(talk: Talk) -> None:
    async with Emulator() as server:
        result = await talk("--json", "--url", server.url, CALL_ID)
    (problem, *_) = complaint(result, 5)
    assert "404" in problem
    error = json.loads(result.stdout.splitlines()[-1])
    assert (error["event"], error["type"], error["exit_code"]) == ("error", "Rejected", 5)
    assert f"retell-voice: {error['message']}" == problem


async def test_a_tls_failure(talk: Talk) -> None:
    async with Emulator() as server:
        result = await talk("--url", server.url.replace("ws://", "wss://"), CALL_ID)
    assert "TLS" in complaint(result, 4)[0]


def test_a_refused_connection(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = run("talk", *NULL, "--url", f"ws://127.0.0.1:{port}/x", CALL_ID)
    assert "refused" in complaint(result, 4)[0]


def test_a_host_that_does_not_resolve(run: Run) -> None:
    result = run("talk", *NULL, "--url", "ws://no-such-host.invalid/x", CALL_ID)
    assert "no-such-host.invalid" in complaint(result, 4)[0]


# Yours


@pytest.fixture
def refuse(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Run the program in this process, which is quicker, and return why it gave up."""

    def refuse(*arguments: str, code: int) -> str:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["retell-voice", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == code
        return capsys.readouterr().err

    interval = sys.getswitchinterval()
    yield refuse
    sys.setswitchinterval(interval)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no call to join"),
        (["-"], "no call to join"),
        (["--local", CALL_ID], "leave CALL_ID out"),
        (["--local", "--url", "ws://x"], "--url and --local exclude each other"),
        (["--json", "--plain", CALL_ID], "--json and --plain exclude each other"),
        (["--input", "x", "--input-file", "y", CALL_ID], "exclude each other"),
        (["--output", "x", "--output-file", "y", CALL_ID], "exclude each other"),
        (["--rate", "7999", CALL_ID], "--rate: 7999 is outside 8000–48000 Hz"),
        (["--rate", "fast", CALL_ID], "--rate must be a whole number, not 'fast'"),
        (["--encoding", "opus", CALL_ID], "--encoding: 'opus' is not one of s16le, mulaw"),
        (["--frame-ms", "19", CALL_ID], "--frame-ms: 19 is outside 20–250 ms"),
        (["--frame-ms", "251", CALL_ID], "--frame-ms: 251 is outside 20–250 ms"),
        (["--url", "http://x", CALL_ID], "--url: 'http://x' does not begin with ws://"),
        (["--url", "ws://[::1/x", *NULL, CALL_ID], "--url: the URL cannot be used"),
        (["--url", "ws://h:99999", *NULL, CALL_ID], "--url: the URL cannot be used"),
        (["--url", "ws:///x", *NULL, CALL_ID], "--url: the URL cannot be used"),
        (["--config", "gone.toml", CALL_ID], "gone.toml: there is no such file"),
    ],
)
def test_bad_options(refuse: Callable[..., str], arguments: list[str], words: str) -> None:
    said = refuse("talk", *arguments, code=2)
    assert said.startswith("retell-voice: ")
    assert words in said.splitlines()[0]
    assert CALL_ID not in said


@pytest.mark.parametrize(
    ("arguments", "device"),
    [
        (["--output-file", os.devnull, "--input", "no such"], "microphone"),
        (["--input-file", str(CALLER), "--output", "no such"], "speaker"),
    ],
)
def test_a_device_that_there_is_not(run: Run, arguments: list[str], device: str) -> None:
    problem, hint = complaint(run("talk", *arguments, CALL_ID), 3)
    assert f"there is no {device} 'no such'" in problem
    assert hint.strip(), "it lists what there is, or says how to do without"


def test_an_option_that_there_is_not(run: Run) -> None:
    result = run("talk", "--ratee", "8000")
    assert result.returncode == 2
    assert "--ratee" in result.stderr


def test_a_bad_variable(run: Run) -> None:
    result = run("talk", CALL_ID, more={"RETELL_VOICE_RATE": "5"})
    assert complaint(result, 2) == ["retell-voice: RETELL_VOICE_RATE: 5 is outside 8000–48000 Hz"]


def test_a_bad_config_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("# mine\nrate = 24000\nencodng = 'mulaw'\n")
    assert complaint(run("talk", "--config", str(path), CALL_ID), 2) == [
        f"retell-voice: {path} line 3: unknown key 'encodng'",
        "  did you mean encoding?",
    ]
    path.write_text("rate = \n")
    (problem, *_) = complaint(run("talk", "--json", "--config", str(path), CALL_ID), 2)
    assert "line 1" in problem


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_a_secret_others_may_read_is_warned_of(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"call_id = '{CALL_ID}'\nurl = 'ws://127.0.0.1:1'\n")
    path.chmod(0o644)
    result = run("talk", *NULL, "--config", str(path))
    assert "chmod 600" in result.stderr.splitlines()[0]
    assert CALL_ID not in result.stderr + result.stdout
    assert result.returncode == 4


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a WAV file at all", b"RIFF" + b"\0" * 99])
def test_a_wav_of_the_wrong_shape(
    refuse: Callable[..., str], tmp_path: Path, content: bytes
) -> None:
    (path := tmp_path / "odd.wav").write_bytes(content)
    files = ("--input-file", str(path), "--output-file", os.devnull)
    assert str(path) in refuse("talk", *files, CALL_ID, code=2).splitlines()[0]


def test_an_output_file_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "none" / "out.wav"
    result = run("talk", "--local", "--input-file", str(CALLER), "--output-file", str(path))
    assert str(path) in complaint(result, 2)[0]


def test_a_defect_is_one_line_unless_debugged(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import retell_voice.settings as s\ndef load(*a): raise ZeroDivisionError('x')\n"
        "import retell_voice.config as c\nc.load = load\n"
    )
    more = {"PYTHONPATH": str(tmp_path)}
    result = run("talk", CALL_ID, more=more)
    lines = complaint(result, 1)
    assert "this is a defect" in lines[0]
    assert "ZeroDivisionError" in lines[0]
    assert "--debug" in lines[1]
    for shown in (
        run("talk", "--debug", CALL_ID, more=more),
        run("talk", CALL_ID, more={**more, "RETELL_VOICE_DEBUG": "1"}),
    ):
        assert "Traceback" in shown.stderr
        assert shown.returncode == 1


# settings and devices


def test_settings_say_whence(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("rate = 8000\n")
    result = run("settings", "--config", str(path), "--plain", more={"RETELL_VOICE_JSON": "no"})
    lines = result.stdout.splitlines()
    assert f"rate = 8000\t# {path} line 1" in lines
    assert "plain = true\t# --plain" in lines
    assert "json = false\t# RETELL_VOICE_JSON" in lines
    assert "frame_ms = 20\t# default" in lines


def test_devices(run: Run) -> None:
    listed = run("devices", "--json")
    assert listed.returncode == 0
    for device in json.loads(listed.stdout):
        assert device["direction"] in ("input", "output")
    if not json.loads(listed.stdout):
        assert "no sound device" in complaint(run("devices"), 3)[0]
