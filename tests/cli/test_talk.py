"""Calls on pipes: how they go, and every way in which they may not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pipes import CALL_ID, FILES, QUICK, complaint

from retell_voice.devices.files import WavWriter, read_wav
from retell_voice.emulator import CALLER, Emulator, Session

Run = Callable[..., "subprocess.CompletedProcess[str]"]


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
    # Five times real time, not twenty: an answer must outlast a stall of a busy machine.
    result = run("talk", "--local", "--json", *FILES, "--speed", "5")
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


@pytest.mark.parametrize("dbfs", [None, -55.0], ids=["zeros", "room"])
def test_silence_that_is_streamed_on_keeps_no_call_with_an_input_file(
    run: Run, tmp_path: Path, dbfs: float | None
) -> None:
    said = 8000 * np.sin(np.arange(24_000) / 10)
    level = 0 if dbfs is None else 32768 * 10 ** (dbfs / 20)
    after = np.random.default_rng(1).normal(0, level, 120 * 24_000)
    writer = WavWriter(tmp_path / "agent.wav", 24_000)
    writer.write(np.concatenate((said, after)).astype(np.int16))
    writer.close()
    (tmp_path / "s.toml").write_text(
        '[[step]]\nplay = "agent.wav"\n[[step]]\nwait = {caller_leaves = true}\n'
    )
    scenario = ("--scenario", str(tmp_path / "s.toml"))
    result = run("talk", "--local", "--json", *scenario, *QUICK)
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    (stopped,) = (each for each in events if each["event"] == "agent_stopped")
    assert not stopped["interrupted"]
    (over,) = (each for each in events if each["event"] == "input_finished")
    assert events[-1]["by"] == "you"
    assert events[-1]["at"] - over["at"] < 3.0, "the rest takes six seconds, at twenty times"
    assert events[-1]["statistics"]["discarded"] > 10


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
        return await asyncio.to_thread(run, "talk", *QUICK, *arguments, **more)

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
    assert "the server closed the call (4001)" in result.stdout
    assert "no such agent" not in result.stdout, "it is told once"


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
    result = run("talk", *QUICK, "--url", f"ws://127.0.0.1:{port}/x", CALL_ID)
    assert "refused" in complaint(result, 4)[0]


def test_a_call_is_joined_where_it_was_registered(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    result = run("talk", *QUICK, "--api-url", f"http://127.0.0.1:{port}", CALL_ID)
    assert f"127.0.0.1:{port} refused" in complaint(result, 4)[0]


def test_a_host_that_does_not_resolve(run: Run) -> None:
    result = run("talk", *QUICK, "--url", "ws://no-such-host.invalid/x", CALL_ID)
    assert "no-such-host.invalid" in complaint(result, 4)[0]


# Yours


@pytest.mark.parametrize(
    ("arguments", "device"),
    [
        (["--output-file", os.devnull, "--input", "no such"], "microphone"),
        (["--input-file", str(CALLER), "--output", "no such"], "speaker"),
    ],
)
def test_a_device_that_there_is_not(run: Run, arguments: list[str], device: str) -> None:
    problem, hint = complaint(run("talk", *arguments, CALL_ID), 3)
    assert f"no {device} 'no such'" in problem
    assert hint.strip(), "it lists what there is, or says how to do without"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_a_secret_others_may_read_is_warned_of(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"call_id = '{CALL_ID}'\nurl = 'ws://127.0.0.1:1'\n")
    path.chmod(0o644)
    result = run("talk", *QUICK, "--config", str(path))
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


def test_a_recording_is_not_overwritten_by_itself(run: Run, tmp_path: Path) -> None:
    wav = tmp_path / "mine.wav"
    wav.write_bytes(CALLER.read_bytes())
    same = tmp_path / "." / "mine.wav"
    result = run("talk", "--local", "--input-file", str(wav), "--output-file", str(same))
    assert result.returncode == 2
    assert "name the same file" in result.stderr
    assert wav.read_bytes() == CALLER.read_bytes()


def test_a_flag_goes_before_what_the_environment_says_of_its_opposite(run: Run) -> None:
    result = run("talk", "--local", "--plain", *QUICK, more={"RETELL_VOICE_JSON": "1"})
    assert result.returncode == 0
    assert result.stdout.startswith("call ")


@pytest.mark.parametrize("more", [{"RETELL_VOICE_JSON": "1"}, {"RETELL_VOICE_JSON": "true"}])
def test_errors_are_json_too_wherever_that_was_asked_for(run: Run, more: dict[str, str]) -> None:
    result = run("talk", "--local", "--rate", "5", more=more)
    assert result.returncode == 2
    assert json.loads(result.stdout)["exit_code"] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize("how", ["--json", "--plain"])
def test_output_that_cannot_be_written_is_no_success(env: dict[str, str], how: str) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "retell_voice", "talk", "--local", how, *QUICK]
        result = subprocess.run(
            command,
            check=False,
            env=env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    assert result.returncode == 2
    assert "the output could not be written: No space left on device" in result.stderr


def test_as_loud_as_one_likes(run: Run, tmp_path: Path) -> None:
    loudest = {}
    for volume in ("0", "50", "100"):
        files = ("--input-file", str(CALLER), "--output-file", str(tmp_path / "agent.wav"))
        run("talk", "--local", "--json", "--speed", "20", "--volume", volume, *files)
        samples, _ = read_wav(tmp_path / "agent.wav")
        loudest[volume] = np.abs(samples.astype(int)).max()
    assert loudest["0"] == 0
    assert loudest["50"] == pytest.approx(loudest["100"] / 2, abs=1)
    assert run("talk", "--local", "--volume", "201").returncode == 2


@pytest.mark.parametrize("given", ["40", "a:b", "200:40", "-1:40", "40:5001", "40:50:60"])
def test_a_jitter_range_that_is_none(run: Run, given: str) -> None:
    result = run("talk", "--local", "--jitter-ms", given)
    assert result.returncode == 2
    assert result.stderr.startswith("retell-voice: --jitter-ms: ")
