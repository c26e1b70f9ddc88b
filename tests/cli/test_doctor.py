"""``doctor`` as a user runs it: lines, JSON, exit codes."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pipes import complaint

from retell_voice.doctor.findings import PARTS, Finding, Verdict
from retell_voice.doctor.telling import line, summary

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL


def test_lines() -> None:
    assert line(Finding("network", "TCP", PASS, "answers")) == "pass  TCP: answers"
    warned = Finding("network", "TCP", WARN, "slow", "move nearer")
    assert line(warned) == "warn  TCP: slow\n      → move nearer"
    assert line(warned, colours=True).startswith("\x1b[33mwarn\x1b[0m  TCP")


def test_the_last_line() -> None:
    passed, warned, failed = (Finding("sound", "x", each, "") for each in (PASS, WARN, FAIL))
    assert summary([passed]) == "everything passed"
    assert summary([passed, warned]) == "nothing failed, 1 warning"
    assert summary([failed, warned, failed]) == "2 failed, 1 warning"


def test_parts_can_be_chosen(run: Run) -> None:
    result = run("doctor", "--only", "system", "--only", "config", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert {each["part"] for each in report["findings"]} == {"system", "config"}
    assert (report["ok"], report["exit_code"]) == (True, 0)


def test_a_part_that_there_is_not(refuse: Callable[..., str]) -> None:
    said = refuse("doctor", "--only", "netwrk", code=2)
    assert "did you mean network?" in said
    for part in PARTS:
        assert part in refuse("doctor", "--only", "zzzzzz", code=2)


def test_a_server_that_refuses_is_code_4(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
    result = run("doctor", "--only", "network", "--url", f"ws://127.0.0.1:{port}/x")
    assert result.returncode == 4
    assert "fail  TCP: " in result.stdout
    assert result.stderr == ""


def test_the_url_comes_from_the_settings(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
    more = {"RETELL_VOICE_URL": f"ws://127.0.0.1:{port}/x"}
    assert f"port {port}" in run("doctor", "--only", "network", more=more).stdout


def test_the_url_is_that_of_the_api_unless_it_is_given(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
    where = ("--api-url", f"http://127.0.0.1:{port}")
    assert f"port {port}" in run("doctor", "--only", "network", *where).stdout


def test_the_account_is_that_of_the_settings(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
    more = {"RETELL_API_KEY": "key_1234567890abcdef"}
    where = ("--api-url", f"http://127.0.0.1:{port}")
    result = run("doctor", "--only", "account", *where, more=more)
    assert result.returncode == 4
    assert f"fail  REST API: network: 127.0.0.1:{port}" in result.stdout
    result = run("doctor", "--only", "account", "--agent", "Ann")
    assert result.returncode == 2
    assert "fail  API key: none, and --agent needs one" in result.stdout


@pytest.mark.parametrize("part", ["config", "network"])
def test_a_broken_config_file(run: Run, tmp_path: Path, part: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text("rte = 5\n")
    result = run("doctor", "--only", part, "--config", str(path))
    if part == "config":
        assert result.returncode == 2
        assert "fail  config file: " in result.stdout
        assert "did you mean rate?" in result.stdout
    else:
        assert "line 1" in complaint(result, 2)[0]


def test_a_broken_variable_is_found_and_the_rest_is_examined(run: Run) -> None:
    more = {"RETELL_VOICE_RATE": "5"}
    result = run("doctor", "--only", "system", "--only", "config", more=more)
    assert result.returncode == 2
    assert "RETELL_VOICE_RATE: 5 is outside" in result.stdout
    assert "pass  Python" in result.stdout
