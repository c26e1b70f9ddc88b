"""``report`` as a user runs it."""

from __future__ import annotations

import stat
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pipes import complaint

from retell_voice import events
from retell_voice.cli.report import report
from retell_voice.recording import jsonl

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PNG = b"\x89PNG\r\n"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "2026-01-31T12-00-00"
    path.mkdir()
    told = [
        events.StateChanged(at=0.2, state=events.CallState.LIVE),
        events.Statistics(at=1.0),
        events.Ended(at=2.0, by="you", code=1000, reason=""),
    ]
    (path / "events.jsonl").write_text("".join(f"{jsonl.line(each)}\n" for each in told))
    with wave.open(str(path / "audio.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\x40\0\0" * 16000)
    return path


@pytest.mark.parametrize("file", ["", "events.jsonl"])
def test_a_directory_or_the_events_in_it(run: Run, recording: Path, file: str) -> None:
    result = run("report", str(recording / file))
    assert result.returncode == 0, result.stderr
    page = recording / "report.html"
    assert result.stdout == f"{page}\n"
    assert "Call 2026-01-31T12-00-00" in page.read_text("utf-8")
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_a_file_and_a_picture(run: Run, recording: Path, tmp_path: Path) -> None:
    page, png = tmp_path / "page.html", tmp_path / "page.png"
    where = ("--output", str(page), "--png", str(png))
    result = run("report", str(recording / "events.jsonl"), *where)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [str(page), str(png)]
    assert png.read_bytes().startswith(PNG)
    assert stat.S_IMODE(png.stat().st_mode) == 0o600
    assert "<svg" in page.read_text("utf-8")


def test_what_json_printed(run: Run, recording: Path, tmp_path: Path) -> None:
    lines = tmp_path / "call.json"
    lines.write_text((recording / "events.jsonl").read_text())
    assert run("report", str(lines)).stdout == f"{tmp_path / 'call.html'}\n"


def test_a_recording_cut_off(run: Run, recording: Path) -> None:
    lines = recording / "events.jsonl"
    lines.write_bytes(lines.read_bytes()[:-40])
    assert run("report", str(recording)).returncode == 0
    assert "is incomplete" in (recording / "report.html").read_text("utf-8")


def test_what_cannot_be_read(run: Run, recording: Path, tmp_path: Path) -> None:
    why, hint = complaint(run("report", str(tmp_path / "gone")), 2)
    assert "No such file" in why
    assert hint.endswith(f"calls in {tmp_path}; the latest is {recording}")
    (recording / "events.jsonl").write_text("hello\nworld\n")
    assert "line 1: 'hello' is not JSON" in complaint(run("report", str(recording)), 2)[0]
    why, hint = complaint(run("report", str(tmp_path)), 2)  # as given to --record
    assert "No such file" in why
    assert hint.endswith(f"the latest is {recording}")


def test_where_nothing_can_be_written(run: Run, recording: Path) -> None:
    nowhere = str(recording / "no" / "page.html")
    assert "No such file" in complaint(run("report", str(recording), "--output", nowhere), 2)[0]
    result = run("report", str(recording), "--png", str(recording / "no" / "page.png"))
    lines = complaint(result, 2)
    assert "No such file" in lines[0]
    assert lines[1].endswith(f"the page is written: {recording / 'report.html'}")


def test_two_calls_are_shown_beside_each_other(run: Run, recording: Path, tmp_path: Path) -> None:
    lines = tmp_path / "call.json"
    lines.write_text((recording / "events.jsonl").read_text())
    result = run("report", str(lines), str(recording))
    assert result.stdout == f"{tmp_path / f'call-with-{recording.name}.html'}\n"
    assert run("report", str(recording), str(lines)).stdout.endswith("report-with-call.html\n")
    three = complaint(run("report", *[str(recording)] * 3), 2)
    assert "one call, or two side by side, not 3" in three[0]


def test_a_page_without_sound(run: Run, recording: Path) -> None:
    assert run("report", str(recording)).returncode == 0
    assert "<audio" in (recording / "report.html").read_text("utf-8")
    assert run("report", "--no-sound", str(recording)).returncode == 0
    assert "<audio" not in (recording / "report.html").read_text("utf-8")


@pytest.mark.parametrize("found", [True, False])
def test_a_page_is_opened(
    recording: Path,
    found: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []

    def open_(url: str) -> bool:
        opened.append(url)
        return found

    monkeypatch.setattr("webbrowser.open", open_)
    assert report([recording], None, None, opens=True) == 0
    assert opened == [(recording / "report.html").as_uri()]
    assert ("no browser was found" in capsys.readouterr().err) is not found
