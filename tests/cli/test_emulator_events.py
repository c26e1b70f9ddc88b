"""Server events of an emulator in this process reach the person talking."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from support.pipes import QUICK, complaint
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.cli.emulator_events import hint, is_warning
from retell_voice.cli.input_turns import HANG_UP_AFTER
from retell_voice.devices.files import WavWriter, read_wav
from retell_voice.emulator import (
    CALLER,
    AgentSpoke,
    LlmFailed,
    LlmLinkChanged,
    LlmMessageMalformed,
    LlmMessageUnknown,
    LlmRetrying,
    ResponseDropped,
    ResponseOverdue,
    ScenarioFailed,
    ServerEvent,
    SpeechLost,
    ToolCalled,
)

Run = Callable[..., "subprocess.CompletedProcess[str]"]

WITHOUT_ENGINES = {"RETELL_VOICE_EMULATOR_TTS": "mumble", "RETELL_VOICE_EMULATOR_ASR": "none"}
MISTAKES = [
    "message from the LLM server ignored: response: response_id is a string, must be a number: ",
    "message from the LLM server ignored: response: response_id is missing: ",
    "response 7 dropped: it was not requested; the newest response_id is 0",
    'unknown message from the LLM server: {"response_type": "respond"}',
]


@asynccontextmanager
async def llm_server() -> AsyncIterator[str]:
    """An LLM server that makes every mistake, greets, and hangs up; its URL."""

    def response(**more: Any) -> str:
        body = {"response_type": "response", "content": "Hello.", "content_complete": True}
        return json.dumps(body | more)

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(response(response_id="0"))
        await websocket.send(response())
        await websocket.send(response(response_id=7))
        await websocket.send('{"response_type": "respond"}')
        await websocket.send(response(response_id=0))

    async with serve(handler, "127.0.0.1", 0) as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/llm"


async def test_mistakes_of_the_llm_server_are_lines(run: Run) -> None:
    async with llm_server() as url:
        result = await asyncio.to_thread(run, "talk", "--llm", url, *QUICK, more=WITHOUT_ENGINES)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[2:4] == ["TTS: mumble, no words", "ASR: none, no words are recognised"]
    warnings = [line[7:] for line in lines if line[7:].startswith("warning: ")]
    # A call at twenty times the speed may lose some of the voice on a busy machine.
    warnings = [line for line in warnings if not line.endswith("it could not be sent in time")]
    assert len(warnings) == len(MISTAKES)
    for warning, mistake in zip(warnings, MISTAKES, strict=True):
        assert warning.startswith(f"warning: {mistake}")


async def test_and_on_standard_error_beside_json(run: Run) -> None:
    async with llm_server() as url:
        arguments = ("talk", "--json", "--llm", url, *QUICK)
        result = await asyncio.to_thread(run, *arguments, more=WITHOUT_ENGINES)
    assert result.returncode == 0
    assert [json.loads(line) for line in result.stdout.splitlines()][-1]["event"] == "ended"
    tts, asr, *warnings = result.stderr.splitlines()
    assert tts == "retell-voice: TTS: mumble, no words"
    assert asr == "retell-voice: ASR: none, no words are recognised"
    for warning, mistake in zip(warnings, MISTAKES, strict=True):
        assert warning.startswith("retell-voice: 00:0")
        assert f"  warning: {mistake}" in warning


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
async def test_and_on_the_screen_and_after_it(env: dict[str, str]) -> None:
    from support.terminal import Terminal  # noqa: PLC0415 - there is no termios on Windows

    def see(url: str) -> str:
        arguments = ("talk", "--llm", url, *QUICK[:4])
        with Terminal(*arguments, env=env | WITHOUT_ENGINES, size=(50, 200)) as terminal:
            terminal.wait_for("unknown message from the LLM server")
            assert terminal.wait() == 0
            return terminal.text

    async with llm_server() as url:
        left = await asyncio.to_thread(see, url)
    for line in ("ASR: none, no words are recognised", *(f"warning: {each}" for each in MISTAKES)):
        assert line in left


def test_an_llm_server_that_is_not_there_is_asked_after(run: Run) -> None:
    url = "ws://127.0.0.1:1/llm?key=secret"
    result = run("talk", "--llm", url, *QUICK, more=WITHOUT_ENGINES)
    problem, hint = complaint(result, 5)
    assert "error_llm_websocket_open: LLM server: 127.0.0.1:1 refused the connection" in problem
    where = "your LLM server at ws://127.0.0.1:1/llm"
    assert hint == f"  {where}: is the server running, and is that its port?"
    # Told when it is tried again, and as the error of the call; not a third time.
    assert "warning: LLM server: 127.0.0.1:1 refused the connection; retrying" in result.stdout
    assert result.stdout.count("refused the connection") == 1
    assert "last words" not in result.stdout


async def test_a_call_from_a_file_waits_for_the_answer_it_is_owed(run: Run, tmp_path: Any) -> None:
    """Longer than for an agent that has nothing more to say."""
    speed = 4
    delay = (HANG_UP_AFTER + 1.5) / speed
    samples, rate = read_wav(CALLER)
    question = tmp_path / "question.wav"
    with contextlib.closing(WavWriter(question, rate)) as file:
        file.write(samples[4 * rate : 8 * rate])

    async def handler(websocket: ServerConnection) -> None:
        async for text in websocket:
            asked = json.loads(text)
            if asked["interaction_type"] == "response_required":
                await asyncio.sleep(delay)
                said = {"content": "Hello.", "content_complete": True}
                response = {
                    "response_type": "response",
                    "response_id": asked["response_id"],
                    **said,
                }
                await websocket.send(json.dumps(response))
                await websocket.wait_closed()

    async with serve(handler, "127.0.0.1", 0) as running:
        url = f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/llm"
        files = ("--input-file", str(question), "--output-file", os.devnull)
        arguments = ("talk", "--json", "--llm", url, *files, "--speed", str(speed))
        energy = {"RETELL_VOICE_EMULATOR_DETECTOR": "energy"}
        result = await asyncio.to_thread(run, *arguments, more=WITHOUT_ENGINES | energy)
    assert result.returncode == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    transcript = [each for each in events if each["event"] == "transcript"][-1]["utterances"]
    assert [each["role"] for each in transcript] == ["user", "agent"]


def test_a_scenario_describes_its_tts_and_misses_no_asr(run: Run, tmp_path: Any) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[[step]]\nsay = 'Hello.'\n")
    result = run("talk", "--scenario", str(path), *QUICK, more=WITHOUT_ENGINES)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[2] == "TTS: mumble, no words"
    assert "ASR:" not in result.stdout


LATE = {"number": 1, "interrupt": False}


@pytest.mark.parametrize(
    ("kind", "details", "is_one"),
    [
        (LlmMessageMalformed, {"problem": "p", "excerpt": "e"}, True),
        (LlmMessageUnknown, {"message": "m"}, True),
        (LlmRetrying, {"why": "w"}, True),
        (LlmLinkChanged, {"state": "lost", "why": "w"}, True),
        (LlmLinkChanged, {"state": "back", "why": ""}, False),
        (LlmFailed, {"why": "error_llm_websocket_open", "words": "w", "hint": ""}, False),
        (LlmFailed, {"why": "agent_hangup", "words": "w", "hint": ""}, False),
        (ResponseDropped, {**LATE, "why": "w", "so_far": 1, "asked": False}, True),
        (ResponseDropped, {**LATE, "why": "it is outdated", "so_far": 1}, False),
        (ResponseOverdue, {**LATE, "begun": True, "seconds": 10.0}, True),
        (SpeechLost, {"part": "synthesis", "why": "w"}, True),
        (ScenarioFailed, {"number": "1", "why": "w"}, False),
        (AgentSpoke, {"duration": 1.0, "content": "c"}, False),
        (ToolCalled, {"tool_call_id": "t", "name": "n", "arguments": "{}"}, False),
    ],
)
def test_what_is_a_warning(kind: type[ServerEvent], details: dict[str, Any], is_one: bool) -> None:
    assert is_warning(kind(call="…", **details)) is is_one


def test_the_hint_is_about_the_part_that_failed() -> None:
    url = "ws://me:secret@localhost:8080/llm"
    where = "your LLM server at ws://localhost:8080/llm"
    failed = LlmFailed(call="c", why="error_llm_websocket_open", words="w", hint="start it")
    assert hint("error_llm_websocket_open: w", url, failed) == f"{where}: start it"
    failed = replace(failed, hint="")
    for told in (failed, None):
        words = hint("error_llm_websocket_runtime: w", url, told)
        assert words == f"the log of {where} may say more"
    assert hint("the agent failed", url) == ""
    assert hint("scenario, step 1: w", None) == ""
