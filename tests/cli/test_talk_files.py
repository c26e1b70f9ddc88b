"""Calls without anybody at the microphone: files, pipes, typed lines."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pipes import CALL_ID, FILES, QUICK, complaint
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.cli import talk
from retell_voice.devices.files import WavWriter, read_wav
from retell_voice.emulator import CALLER

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = (sys.executable, "-m", "retell_voice", "talk", "--local")


def parts(folder: Path) -> list[str]:
    """Two things that the recorded caller says, as files."""
    samples, rate = read_wav(CALLER)
    paths = []
    for number, begin in enumerate((4, 10)):
        writer = WavWriter(path := folder / f"{number}.wav", rate)
        writer.write(samples[begin * rate : (begin + 2) * rate])
        writer.close()
        paths.append(str(path))
    return paths


def said(events: list[dict[str, Any]]) -> list[str]:
    transcript = [each for each in events if each["event"] == "transcript"][-1]
    return [each["role"] for each in transcript["utterances"]]


@pytest.mark.parametrize("how", [(), ("--dialect", "twilio")], ids=["web", "phone"])
def test_files_are_turns_of_a_conversation(run: Run, tmp_path: Path, how: tuple[str, ...]) -> None:
    files = [each for path in parts(tmp_path) for each in ("--input-file", path)]
    result = run(
        *("talk", "--local", "--json", "--no-levels", "--input-wait", "agent", *how, *files),
        *("--output-file", os.devnull, "--speed", "8"),
    )
    assert (result.returncode, result.stderr) == (0, "")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert not any(each["event"] == "levels" for each in events), "they are only listened to"
    assert events[0]["microphone"] == "0.wav and 1 more"
    heard = [each for each in events if each["event"] == "agent_stopped"]
    assert [each["interrupted"] for each in heard] == [False] * 3
    (over,) = (each["at"] for each in events if each["event"] == "input_finished")
    assert heard[1]["at"] < over < heard[2]["at"] < events[-1]["at"]
    assert events[-1]["by"] == "you"
    if not how:
        assert said(events) == ["agent", "user", "agent", "user", "agent"]


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
@pytest.mark.parametrize("raw", [False, True])
def test_a_call_between_two_pipes(env: dict[str, str], raw: bool) -> None:
    samples, rate = read_wav(CALLER)
    spoken = samples[4 * rate : 8 * rate]
    formats = ("--input-format", f"s16le:{rate}", "--output-format", "s16le:16000")
    command = [*PROGRAM, "--input-file", "-", "--output-file", "-", "--speed", "10"]
    done = subprocess.run(
        [*command, *(formats if raw else ())],
        input=spoken.tobytes() if raw else CALLER.read_bytes()[: 2 * len(spoken)],
        env=env,
        capture_output=True,
        timeout=30,
        check=False,
    )
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert "microphone: standard input; speaker: standard output" in lines
    assert any("you hung up" in line for line in lines)
    if raw:
        heard = np.frombuffer(done.stdout, "<i2")
        assert len(heard) > 16000
    else:
        assert done.stdout[:4] == b"RIFF"
        assert done.stdout[24:28] == (24000).to_bytes(4, "little")
        heard = np.frombuffer(done.stdout[44:], "<i2")
    assert np.abs(heard).max() > 1000


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_listener_that_has_heard_enough_ends_the_call_quietly(env: dict[str, str]) -> None:
    command = [*PROGRAM, *FILES[:2], "--output-file", "-"]
    with subprocess.Popen(command, env=env, stdout=-1, stderr=-1) as talk:
        assert talk.stdout is not None
        assert talk.stderr is not None
        talk.stdout.read(1000)
        talk.stdout.close()
        assert b"you hung up" in talk.stderr.read()
        assert talk.wait(10) == 0


def test_typed_lines_are_turns_of_a_conversation(run: Run) -> None:
    silent = ("--typed", "--output-file", os.devnull, "--speed", "8")
    result = run(
        *("talk", "--local", "--json", "--input-wait", "agent", *silent),
        stdin="hello there\n\nwho are you",
    )
    assert (result.returncode, result.stderr) == (0, "")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert said(events) == ["agent", "user", "agent", "user", "agent"]
    assert not any(each.get("interrupted") for each in events)


async def test_an_llm_server_is_tried_in_a_silent_room(run: Run) -> None:
    async def handler(websocket: ServerConnection) -> None:
        async def answer(number: int, content: str) -> None:
            words = {"content": content, "content_complete": True}
            body = {"response_type": "response", "response_id": number, **words}
            await websocket.send(json.dumps(body))

        await answer(0, "Hello.")
        async for text in websocket:
            asked = json.loads(text)
            if asked["interaction_type"] == "response_required":
                heard = asked["transcript"][-1]["content"]
                await answer(asked["response_id"], f"You said: {heard}.")

    async with serve(handler, "127.0.0.1", 0) as running:
        url = f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/llm"
        result = await asyncio.to_thread(
            run,
            *("talk", "--llm", url, "--typed", "--input-wait", "agent", "--speed", "2"),
            *("--output-file", os.devnull),
            stdin="one\ntwo\n",
            more={"RETELL_VOICE_EMULATOR_TTS": "mumble", "RETELL_VOICE_EMULATOR_ASR": "none"},
        )
    assert (result.returncode, result.stderr) == (0, "")
    lines = [line for line in result.stdout.splitlines() if re.match(r"\d\d:", line)]
    assert [line[7:] for line in lines if line[7:].startswith(("you: ", "agent: "))] == [
        "agent: Hello.",
        "you: one",
        "agent: You said: one.",
        "you: two",
        "agent: You said: two.",
    ]
    assert [line[:5] for line in lines] == sorted(line[:5] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--typed", CALL_ID), "this server takes no typed text; the emulator does"),
        (("--typed", "--scenario", "x.toml"), "a scenario takes no typed text"),
        (("--local", "--typed", "--input-file", "x.wav"), "exclude each other"),
        (("--local", "--input-file", "-", "--input-file", "-"), "both read standard input"),
        (("--input-file", "-", "-"), "both read standard input"),
        (("--local", "--input-wait", "agent"), "--input-wait goes with --input-file or --typed"),
        (("--local", "--input-loop"), "--input-loop goes with --input-file"),
        (("--local", "--input-format", "u8:8000"), "--input-format goes with --input-file"),
        (("--local", "--output-format", "wav:8000"), "--output-format goes with --output-file"),
        (("--local", "--record-minutes", "3"), "--record-minutes goes with --record"),
        (("--local", "--no-levels"), "--no-levels goes with --json"),
        (("--no-interruptible", CALL_ID), "--no-interruptible goes with --local"),
        (("--local", "--input-format", "s16le"), "is not ENCODING:RATE"),
        (("--local", "--output-format", "alaw:8000"), "is not ENCODING:RATE"),
        (("--local", *FILES[:2], "--output-file", "a.mp3"), "only WAV files are written"),
        (("--local", "--input-file", os.devnull, "--input-loop"), "can be read only once"),
    ],
)
def test_what_goes_with_nothing(
    refuse: Callable[..., str], arguments: tuple[str, ...], problem: str
) -> None:
    assert problem in refuse("talk", *arguments, code=2)


def test_what_means_nothing_here_may_be_set_for_other_calls(
    refuse: Callable[..., str], env: dict[str, str]
) -> None:
    env["RETELL_VOICE_INPUT_WAIT"] = "agent"
    assert "no call to join" in refuse("talk", code=2)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--scenario", "gone.toml"), "gone.toml: No such file"),
        (("--scenario", "broken.toml"), "broken.toml: not TOML"),
        (("--scenario", "unknown.toml"), "unknown kind of step: 'sayx'"),
        (("--llm", "ws://"), "--llm: 'ws://' is not the URL of an LLM server"),
        (("--local", "--dialect", "telnyx", "--codec", "MP3"), "--codec: there is no codec 'MP3'"),
        (("--local", "--dialect", "plivo", "--codec", "PCMU:L16/8000"), "one codec for both"),
        (("--dialect", "twilio", "--url", "ws:///x"), "--url: the URL cannot be used: no host"),
        (("--url", "ws:///x", CALL_ID), "--url: the URL cannot be used: no host"),
    ],
)
def test_what_is_wrong_is_told_before_devices_are_looked_for(
    refuse: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(talk, "find_devices", None)  # to be called, it would be a defect
    Path("broken.toml").write_text("x = [\n")
    Path("unknown.toml").write_text('[[step]]\nsayx = "hi"\n')
    assert problem in refuse("talk", *arguments, code=2)


def test_a_file_that_is_cut_off_is_told_of_once(run: Run, tmp_path: Path) -> None:
    (path := tmp_path / "cut.wav").write_bytes(CALLER.read_bytes()[: 4 * 24000])
    again = [each for _ in range(2) for each in ("--input-file", str(path))]
    result = run("talk", "--local", *again, *QUICK[2:])
    assert result.returncode == 0
    assert result.stderr.count("is cut off") == 2, "each of the two"
    assert complaint(run("talk", "--local", "--input-file", __file__), 2)[0].endswith(
        "not a sound file"
    )
