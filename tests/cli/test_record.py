"""``talk --record``: the real program, also when it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.pipes import FILES, QUICK, complaint
from support.program import Talk

from retell_voice.report.account import read

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def frames(path: Path) -> np.ndarray:
    with wave.open(str(path / "audio.wav")) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 24000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def test_a_call_is_recorded_and_where_is_said(run: Run, tmp_path: Path) -> None:
    result = run("talk", "--local", *QUICK, "--plain", "--record", str(tmp_path / "calls"))
    assert result.returncode == 0, result.stderr
    (path,) = (tmp_path / "calls").iterdir()
    assert f"recorded in {path}\n" in result.stdout
    assert f"retell-voice report --open {path}\n" in result.stdout
    both = frames(path)
    assert np.count_nonzero(both[:, 0]) > 24000
    assert np.count_nonzero(both[:, 1]) > 24000
    account = read((path / "events.jsonl").read_text("utf-8"), "x")
    assert not account.truncated
    assert account.clears
    assert "parrot" in (path / "transcript.txt").read_text("utf-8")
    assert json.loads((path / "transcript.json").read_text("utf-8"))["utterances"]
    assert run("report", str(path)).returncode == 0


def test_a_program_is_told_where(run: Run, tmp_path: Path) -> None:
    result = run("talk", "--local", *QUICK, "--json", "--record", str(tmp_path / "calls"))
    (path,) = (tmp_path / "calls").iterdir()
    last = json.loads(result.stdout.splitlines()[-1])
    assert last == {"event": "recorded", "path": str(path)}


async def test_what_was_recorded_outlives_a_kill(env: dict[str, str], tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    async with Talk("--local", *FILES, "--record", str(calls), env=env) as talk:
        await talk.live()
        await talk.until("statistics", count=4)
        talk.kill()
        assert await talk.wait() == -signal.SIGKILL
    (path,) = (calls / name for name in os.listdir(calls))
    both = frames(path)
    # Three seconds have passed; what came in the last moment may be missing.
    assert len(both) > 2 * 24000
    assert np.count_nonzero(both[:, 1]) > 24000
    account = read((path / "events.jsonl").read_text("utf-8", "replace"), "x")
    assert account.truncated
    assert account.end > 2
    assert json.loads((path / "transcript.json").read_text("utf-8"))["utterances"]


def test_where_nothing_can_be_recorded_nothing_is_called(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("talk", "--local", *QUICK, "--record", str(tmp_path / "file" / "calls"))
    assert "file" in complaint(result, 2)[0]
    result = run("talk", "--local", *QUICK, "--record", str(tmp_path / "file"))
    assert "a file, and recordings need a directory" in complaint(result, 2)[0]


@pytest.mark.parametrize("minutes", ["0", "1441"])
def test_limits(run: Run, tmp_path: Path, minutes: str) -> None:
    where = ("--record", str(tmp_path), "--record-minutes", minutes)
    assert "outside 1–1440 min" in complaint(run("talk", "--local", *QUICK, *where), 2)[0]
