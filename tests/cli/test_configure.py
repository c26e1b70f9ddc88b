"""``config init`` and ``config path``, and completion in a shell."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pipes import complaint

from retell_voice.cli.reference import example

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_init_writes_the_example_where_it_is_looked_for(run: Run) -> None:
    path = Path(run("config", "path").stdout.strip())
    assert path.name == "config.toml"
    result = run("config", "init")
    assert (result.returncode, result.stdout) == (0, f"{path}\n")
    assert path.read_text("utf-8") == example()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shown = run("config", "show")
    assert shown.stdout.startswith(f"# config file: {path}\n")
    assert shown.stderr == ""


def test_show_names_the_file_that_it_read(run: Run, tmp_path: Path) -> None:
    default = run("config", "path").stdout.strip()
    first = f"# config file: none, {default} does not exist"
    assert run("config", "show").stdout.splitlines()[0] == first
    path = tmp_path / "mine.toml"
    path.write_text("rate = 16000\n")
    lines = run("config", "show", "--config", str(path)).stdout.splitlines()
    assert lines[0] == f"# config file: {path}"


def test_show_shows_the_kiosks_settings_and_no_secret(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "kiosk.toml"
    path.write_text(
        '[kiosk]\ncall_url = "https://example.org/call?token=abcdefghijklmnop"\n'
        'button = "GPIO17"\nmqtt_password = "a-password-of-mine"\n'
    )
    path.chmod(0o600)
    shown = run("config", "show", "--config", str(path)).stdout
    assert f"kiosk.button = GPIO17  # {path}" in re.sub(" +", " ", shown).replace(" #", "  #")
    assert "kiosk.call_url = https://example.org/call" in shown
    assert "abcdefghijklmnop" not in shown
    assert "a-password" not in shown
    keys = [line.split(" = ")[0] for line in shown.splitlines()]
    assert len(keys) == len(set(keys))


def test_settings_as_json_have_the_same_rows(run: Run) -> None:
    more = {"RETELL_VOICE_RATE": "8000"}
    rows = json.loads(run("config", "show", "--json", more=more).stdout)
    assert {"key": "rate", "value": "8000", "source": "RETELL_VOICE_RATE"} in rows
    lines = run("config", "show", more=more).stdout.splitlines()[1:]
    assert [row["key"] for row in rows] == [line.split(" = ")[0] for line in lines]


def test_init_keeps_a_file_that_is_there(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("rate = 16000\n")
    path.chmod(0o644)
    assert "already exists" in complaint(run("config", "init", str(path)), 2)[0]
    assert path.read_text() == "rate = 16000\n"
    assert run("config", "init", str(path), "--force").returncode == 0
    assert path.read_text("utf-8") == example()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_init_does_not_offer_to_replace_a_directory(run: Run, tmp_path: Path) -> None:
    for more in ((), ("--force",)):
        assert complaint(run("config", "init", str(tmp_path), *more), 2) == [
            f"retell-voice: {tmp_path} is a directory",
            f"  name a file: {tmp_path / 'config.toml'}",
        ]


def test_init_where_nothing_can_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lines = complaint(run("config", "init", str(tmp_path / "file" / "c.toml")), 2)
    assert "file" in lines[0]


def complete(env: dict[str, str], more: dict[str, str]) -> str:
    """Run the program as a shell that asks for completion does."""
    # The variable is named after the program.
    code = "import sys; sys.argv[0] = 'retell-voice'; from retell_voice.cli import main; main()"
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, env={**env, **more}, capture_output=True, text=True, timeout=30, check=False
    )
    assert "Traceback" not in result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("retell-voice ta", {"talk"}),
        ("retell-voice config ", {"show", "path", "init"}),
        ("retell-voice talk --encod", {"--encoding"}),
        ("retell-voice doctor --no-", {"--no-sound"}),
    ],
)
def test_bash_completes(env: dict[str, str], words: str, completed: set[str]) -> None:
    more = {
        "_RETELL_VOICE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    assert completed <= set(complete(env, more).split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(env: dict[str, str], shell: str) -> None:
    script = complete(env, {"_RETELL_VOICE_COMPLETE": f"source_{shell}"})
    assert "_RETELL_VOICE_COMPLETE" in script
