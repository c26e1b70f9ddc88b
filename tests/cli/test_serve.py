"""The emulator as a program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retell_voice.devices.files import WavWriter, read_wav
from retell_voice.emulator import CALLER

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
async def server(env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", "emulator", "--port", "0", "--rate", "16000"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    yield process
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def read(server: asyncio.subprocess.Process, until: str) -> str:
    assert server.stdout is not None
    text = ""
    async with asyncio.timeout(30):
        while until not in text:
            line = await server.stdout.readline()
            assert line, text
            text += line.decode()
    return text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
async def test_register_talk_and_stop(
    server: asyncio.subprocess.Process, run: Run, tmp_path: Path
) -> None:
    banner = await read(server, "CALL_ID")
    register, headers, body = await asyncio.to_thread(curl, banner)
    assert register.endswith("/register-call")
    call = await asyncio.to_thread(post, register, headers, body)
    assert call["sample_rate"] == 16000

    talk = re.search(r"retell-voice (talk --url \S+ --rate 16000) CALL_ID", banner)
    assert talk is not None
    files = ("--input-file", str(CALLER), "--output-file", str(tmp_path / "a.wav"))
    more = ("--speed", "5", call["call_id"])  # who interrupts must not be late
    result = await asyncio.to_thread(run, *talk[1].split(), *files, *more)
    assert result.returncode == 0, result.stderr

    happened = await read(server, "ended: ")
    masked = f"call …{call['call_id'][-4:]}"
    assert all(line.startswith(masked) for line in happened.splitlines() if line)
    for word in ("registered, s16le 16000 Hz", "joined", "agent says", "user spoke", "interrupts"):
        assert word in happened
    assert call["call_id"] not in happened

    server.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(server.wait(), 5) == 0
    assert server.stderr is not None
    assert await server.stderr.read() == b""


async def test_a_web_call(server: asyncio.subprocess.Process, run: Run, tmp_path: Path) -> None:
    banner = await read(server, "CALL_ID")
    talk = re.search(
        r"RETELL_API_KEY=any retell-voice (talk --agent parrot --api-url (\S+))", banner
    )
    assert talk is not None
    with contextlib.closing(WavWriter(tmp_path / "me.wav", 48000)) as file:
        file.write(np.zeros(48000 * 30, np.int16))
    files = ("--input-file", str(tmp_path / "me.wav"), "--output-file", str(tmp_path / "a.wav"))
    more = {"RETELL_API_KEY": "any"}
    talking = asyncio.create_task(asyncio.to_thread(run, *talk[1].split(), *files, more=more))
    happened = await read(server, "agent says")
    await asyncio.sleep(0.5)  # so much of the greeting is to be in the file: it plays in real time
    key = {"Authorization": "Bearer any"}
    (call,) = (await asyncio.to_thread(post, f"{talk[2]}/v3/list-calls", key, "{}"))["items"]
    await asyncio.to_thread(post, f"{talk[2]}/v2/stop-call/{call['call_id']}", key, "")
    result = await talking
    assert result.returncode == 0, result.stderr
    happened += await read(server, "ended: manual_stopped")
    for words in ("registered, WebRTC", "joined, WebRTC"):
        assert words in happened
    assert np.abs(read_wav(tmp_path / "a.wav")[0]).max() > 1000


def curl(banner: str) -> tuple[str, dict[str, str], str]:
    """Return URL, headers and body of the banner's curl line, as a shell would read it."""
    command = banner[banner.index("curl ") : banner.index("and talk")].replace("\\\n", " ")
    words = shlex.split(command)
    headers = dict(words[i + 1].split(": ") for i, word in enumerate(words) if word == "-H")
    return words[2], headers, words[words.index("-d") + 1]


def post(url: str, headers: dict[str, str], body: str) -> Any:
    request = urllib.request.Request(url, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read() or "null")


def test_a_port_that_is_taken(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("emulator", more={"RETELL_VOICE_EMULATOR_PORT": port})
    assert result.returncode == 2
    problem, hint = result.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1 port {port}" in problem
    assert "RETELL_VOICE_EMULATOR_PORT" in hint


async def test_a_caller_in_another_dialect_is_told_of_once(
    env: dict[str, str], run: Run, tmp_path: Path
) -> None:
    asked = "emulator --port 0 --accept-any --dialect twilio --encoding mulaw --rate 8000"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", *asked.split(), "--agents", "agent_1=Ann"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        banner = await read(process, "CALL_ID")
        assert '"agent_id":"agent_1"' in banner
        talk = re.search(r"retell-voice (talk --dialect twilio --url \S+/any)\n", banner)
        assert talk is not None
        files = ("--input-file", str(CALLER), "--output-file", str(tmp_path / "a.wav"))
        twilio = talk[1].split()
        vonage = ["vonage" if word == "twilio" else word for word in twilio]
        for words in (twilio, vonage):
            result = await asyncio.to_thread(run, *words, *files, "--speed", "20")
            assert result.returncode == 0, result.stderr
        happened = await read(process, "malformed")
        happened += await read(process, "ended: ")
    finally:
        process.terminate()
        await process.communicate()
    assert happened.count("agent says") >= 2
    assert happened.count("malformed") == 1


@pytest.mark.parametrize("dialect", ["twilio", "vonage"])
def test_a_format_that_a_dialect_does_not_carry(refuse: Callable[..., str], dialect: str) -> None:
    asked = ("--port", "0", "--accept-any", "--dialect", dialect, "--rate", "12000")
    told = refuse("emulator", *asked, code=2)
    assert re.search(r"for example --encoding (mulaw|s16le) --rate 8000", told)


LLM = ("--llm", "ws://localhost:1")
SCENARIO = ("--scenario", "x.toml")


@pytest.mark.parametrize(
    ("what", "agent"), [("tts", LLM), ("tts", SCENARIO), ("asr", LLM)], ids=str
)
def test_an_engine_that_does_not_exist(
    refuse: Callable[..., str], what: str, agent: tuple[str, ...]
) -> None:
    told = refuse("emulator", "--port", "0", f"--{what}", "nix", *agent, code=2)
    assert f"no {what.upper()} engine 'nix', and no such file" in told


@pytest.mark.parametrize(("what", "agent"), [("tts", ()), ("asr", ()), ("asr", SCENARIO)], ids=str)
def test_an_engine_that_the_agent_has_no_use_for(
    refuse: Callable[..., str], what: str, agent: tuple[str, ...]
) -> None:
    told = refuse("emulator", "--port", "0", f"--{what}", "nix", *agent, code=2)
    assert f"--{what} is for an agent of --llm" in told


def test_an_address_that_is_not_ours(run: Run) -> None:
    result = run("emulator", "--host", "no-such-host.invalid", "--port", "0")
    assert result.returncode == 2
    assert "no-such-host.invalid" in result.stderr
    assert "Traceback" not in result.stderr
