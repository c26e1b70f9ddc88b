"""What is judged about the machine, the packages and the config file."""

from __future__ import annotations

import os
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from retell_voice.doctor import system
from retell_voice.doctor.findings import Verdict
from retell_voice.errors import ConfigError

PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL
NOW = 1_800_000_000.0


def test_this_machine() -> None:
    found = list(system.examine(0.0005))
    assert [each.check for each in found] == ["Python", "packages", "GIL", "timers", "clock"]
    assert all(each.verdict is not FAIL for each in found)


def test_python() -> None:
    assert system.judge_python((3, 11, 0), "x").verdict is PASS
    assert system.judge_python((3, 10, 9), "x").verdict is FAIL


def test_packages() -> None:
    assert system.judge_packages({"a": "1", "b": "2"}).says == "a 1, b 2"
    missing = system.judge_packages({"a": "1", "b": None, "c": None})
    assert missing.verdict == FAIL
    assert missing.hint.endswith(" b c")


def test_the_packages_are_those_that_the_project_needs() -> None:
    needed = {
        line.split(">")[0] for line in requires("retell-voice") or () if "extra" not in line
    } - {"audioop-lts"}
    assert needed == set(system.PACKAGES)


def test_the_switch_interval() -> None:
    assert system.judge_switch_interval(0.0005, 0.0005).hint == ""
    assert "sys.setswitchinterval(0.0005)" in system.judge_switch_interval(0.005, 0.0005).hint


def test_naps() -> None:
    assert system.judge_naps([0.0001] * 60).verdict is PASS
    assert system.judge_naps([0.0001] * 50 + [0.05] * 10).verdict is WARN
    assert system.judge_naps([0.0001] * 59 + [0.05]).figures["late_max_ms"] == 50.0


def test_the_wall_clock() -> None:
    assert system.judge_wall_clock(NOW, 0.0001).verdict is PASS
    assert system.judge_wall_clock(NOW, 3.0).verdict is WARN
    unset = system.judge_wall_clock(3600.0, 0.0)
    assert unset.verdict is FAIL
    assert "1970-01-01" in unset.says


def config(path: Path, warnings: tuple[str, ...] = (), *, named: bool = False) -> list[Any]:
    return list(system.examine_config(path, named=named, read=lambda: warnings))


def test_no_config_file_is_well(tmp_path: Path) -> None:
    (only,) = config(tmp_path / "none.toml")
    assert only.verdict is PASS
    assert "using defaults" in only.says


def test_a_config_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("rate = 16000\n")
    path.chmod(0o600)
    found = config(path)
    assert all(each.verdict is PASS for each in found)
    assert "0600" in found[-1].says or os.name != "posix"


def test_a_secret_that_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    found = config(path, (f"{path} contains a secret, and others may read it: chmod 600",))
    assert (found[-1].verdict, found[-1].hint) == (WARN, "chmod 600")


def test_a_config_file_that_cannot_be_used(tmp_path: Path) -> None:
    def read() -> tuple[str, ...]:
        raise ConfigError("line 3: unknown key", "did you mean rate?")

    (only,) = system.examine_config(tmp_path / "c.toml", named=True, read=read)
    assert (only.verdict, only.hint, only.exit_code) == (FAIL, "did you mean rate?", 2)
