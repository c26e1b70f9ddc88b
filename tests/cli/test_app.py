"""The commands: help, start-up, options, and how errors end them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from support.pipes import CALL_ID, QUICK, complaint, patched
from typer.testing import CliRunner

import retell_voice
from retell_voice.cli.app import program
from retell_voice.program.failure import EXIT_CODES
from retell_voice.settings.schema import table
from retell_voice.settings.sections import SECTIONS

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def help_of(*arguments: str, columns: int = 200) -> str:
    environ = {"COLUMNS": str(columns)}
    return CliRunner().invoke(program(), [*arguments, "--help"], env=environ).output


def test_help() -> None:
    shown = help_of()
    for word in ("talk", "emulator", "devices", "config", "Exit codes:", "--local"):
        assert word in shown
    for code in EXIT_CODES:
        assert re.search(rf"^\s+{code}  ", shown, re.MULTILINE)


@pytest.mark.parametrize(("command", "section"), [("talk", ""), ("emulator", "emulator")])
def test_help_has_every_setting(command: str, section: str) -> None:
    shown = help_of(command)
    for row in table(SECTIONS[section]).values():
        both = f"--[no-]{row.flag[2:]}"  # of a switch
        assert (row.env if not row.is_option else both if row.kind is bool else row.flag) in shown


@pytest.mark.parametrize(
    "command",
    [
        *("talk", "register", "agents", "calls", "call", "monitor", "listen", "take-over", "stop"),
        *("emulator", "devices", "doctor", "report", "config show", "config init"),
    ],
)
def test_help_is_a_whole_page(command: str) -> None:
    shown = help_of(*command.split())
    assert re.search(r"^\s+2  .*cannot be used", shown, re.MULTILINE)
    assert not re.search(r"--(debug|json|no-json|force) .*<bool>", shown), "flags take no value"
    examples = re.findall(rf"^   retell-voice {command}.*", shown, re.MULTILINE)
    assert examples
    assert all(len(each.rstrip()) < 80 for each in examples), "nothing to copy is wrapped"
    assert "under ." not in shown, "what stands in brackets is shown"


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize(
    "command", ["", "talk", "swarm", "calls", "report", "kiosk run", "config show"]
)
def test_help_cuts_nothing_off_and_breaks_no_names(command: str, columns: int) -> None:
    shown = help_of(*command.split(), columns=columns)
    assert all(len(line) <= columns for line in shown.splitlines())
    assert not re.search(r"<\w+(\[\w+\])?>", shown), "types of Python tell nobody anything"
    assert not re.search(r"\w…\w*\.? *│", shown)
    if command in ("talk", "kiosk run"):
        assert "│ --[no-]noise-suppression " in shown
        assert "wss://api.retellai.com/audio-websocket" in shown


@pytest.mark.parametrize("command", ["register", "agents", "calls", "call", "stop"])
def test_help_tells_how_asking_the_rest_api_may_end(command: str) -> None:
    codes = re.findall(r"^ +(\d+)  ", help_of(command), re.MULTILINE)
    assert codes == ["0", "1", "2", "4", "7", "130"]


def test_version_starts_quickly_and_imports_nothing_heavy(run: Run, env: dict[str, str]) -> None:
    assert run("--version").stdout == f"retell-voice {retell_voice.__version__}\n"
    code = (
        "import sys\nsys.argv = ['retell-voice', '--version']\nfrom retell_voice.cli import main\n"
        "try: main()\nexcept SystemExit: print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    heavy = {"numpy", "sounddevice", "websockets", "rich.live", "asyncio"}
    heavy |= {"retell_voice.emulator", "retell_voice.events"}
    assert heavy.isdisjoint(loaded.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no call to join"),
        (["--agent", ""], "--agent is empty"),
        (["-"], "standard input was empty"),
        (["--local", CALL_ID], "leave CALL_ID out"),
        (["--local", "--url", "ws://x"], "--local and --url exclude each other"),
        (["--json", "--plain", CALL_ID], "--json and --plain exclude each other"),
        (["--input", "x", "--input-file", "y", CALL_ID], "exclude each other"),
        (["--output", "x", "--output-file", "y", CALL_ID], "exclude each other"),
        (["--rate", "7999", CALL_ID], "--rate: 7999 is outside 8000–48000 Hz"),
        (["--rate", "fast", CALL_ID], "--rate must be a whole number, not 'fast'"),
        (["--encoding", "opus", CALL_ID], "--encoding: 'opus' is not one of s16le, mulaw"),
        (["--frame-ms", "19", CALL_ID], "--frame-ms: 19 is outside 20–250 ms"),
        (["--frame-ms", "251", CALL_ID], "--frame-ms: 251 is outside 20–250 ms"),
        (["--url", "http://x", CALL_ID], "--url: 'http://x' does not begin with ws://"),
        (["--url", "ws://[::1/x", *QUICK, CALL_ID], "--url: the URL cannot be used"),
        (["--url", "ws://h:99999", *QUICK, CALL_ID], "--url: the URL cannot be used"),
        (["--url", "ws:///x", *QUICK, CALL_ID], "--url: the URL cannot be used"),
        (["--config", "gone.toml", CALL_ID], "gone.toml: no such file"),
    ],
)
def test_bad_options(refuse: Callable[..., str], arguments: list[str], words: str) -> None:
    said = refuse("talk", *arguments, code=2)
    assert said.startswith("retell-voice: ")
    assert words in said.splitlines()[0]
    assert CALL_ID not in said


def test_an_option_that_there_is_not(run: Run) -> None:
    result = run("talk", "--ratee", "8000")
    assert result.returncode == 2
    assert "--ratee" in result.stderr


def test_a_bad_variable(run: Run) -> None:
    result = run("talk", CALL_ID, more={"RETELL_VOICE_RATE": "5"})
    assert complaint(result, 2) == ["retell-voice: RETELL_VOICE_RATE: 5 is outside 8000–48000 Hz"]


def test_a_variable_that_there_is_not_is_told_once(run: Run) -> None:
    result = run("config", "show", more={"RETELL_VOICE_FOO": "5"})
    assert result.returncode == 0
    assert result.stderr == "retell-voice: RETELL_VOICE_FOO is unknown\n"


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


def test_a_defect_is_one_line_unless_debugged(run: Run, tmp_path: Path) -> None:
    more = patched(
        tmp_path,
        "def load(*a): raise ZeroDivisionError('x')\n"
        "import retell_voice.settings.load as c\nc.load = load\n",
    )
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


def test_settings_say_whence(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("rate = 8000\n")
    more = {"RETELL_VOICE_JSON": "no", "RETELL_VOICE_EMULATOR_PORT": "9"}
    options = ("--plain", "--url", "ws://me:hunter2@host/x")
    result = run("config", "show", "--config", str(path), *options, more=more)
    lines = result.stdout.splitlines()
    said = {tuple(line.split("  # ")) for line in lines[1:]}
    shown = {(value.rstrip(), source) for value, source in said}
    assert ("rate = 8000", f"{path} line 1") in shown
    assert ("plain = true", "--plain") in shown
    assert ("json = false", "RETELL_VOICE_JSON") in shown
    assert ("frame_ms = 20", "default") in shown
    assert ("emulator.port = 9", "RETELL_VOICE_EMULATOR_PORT") in shown
    assert "hunter2" not in result.stdout


def test_devices(run: Run) -> None:
    listed = run("devices", "--json")
    found = json.loads(listed.stdout)
    for device in found:
        assert device["direction"] in ("input", "output")
    if found:
        assert listed.returncode == 0
    else:
        assert complaint(listed, 3) == complaint(run("devices"), 3)


@pytest.mark.parametrize("option", ["--speedy", "--spee"])
def test_an_option_that_help_does_not_show_is_not_suggested(run: Run, option: str) -> None:
    result = run("talk", option, "2", more={"COLUMNS": "200"})
    assert "no such option" in complaint(result, 2)[0]
    assert "--speed " not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "no such command 'nonsense'"),
        (["talk", "--rate"], "option '--rate' requires an argument"),
        (["report"], "missing argument 'FILE'"),
        (["swarm", "--calls", "many"], "invalid value for '--calls': must be a whole number"),
        (["swarm", "--calls", "0"], "invalid value for '--calls': must be at least 1"),
        (["talk", "--local", "--echo"], "option '--echo' requires an argument"),
        (["swarm", "--ramp", "soon"], "invalid value for '--ramp': must be a number"),
    ],
)
def test_the_parser_complains_as_everything_else_does(
    run: Run, arguments: list[str], says: str
) -> None:
    lines = complaint(run(*arguments), 2)
    assert says in lines[0]
    assert lines[1].startswith("  see ")
    command = "" if arguments == ["nonsense"] else f" {arguments[0]}"
    assert lines[1].endswith(f"{command} --help")


@pytest.mark.parametrize(
    ("arguments", "says", "hint"),
    [
        (["tlak"], "no such command 'tlak'", "did you mean talk?"),
        (["cal"], "no such command 'cal'", "did you mean call or calls?"),
        (["config", "shwo"], "no such command 'shwo'", "did you mean show?"),
        (["talk", "--agnt", "x"], "no such option: --agnt", "did you mean --agent?"),
        (["talk", "--asr", "x"], "no such option: --asr", "see "),
        (["kiosk", "run", "--local"], "no such option: --local", "see "),
    ],
)
def test_what_was_mistyped_is_answered_with_what_is_like_it(
    run: Run, arguments: list[str], says: str, hint: str
) -> None:
    lines = complaint(run(*arguments), 2)
    assert lines[0] == f"retell-voice: {says}"
    assert lines[1].strip().startswith(hint)


def test_the_parser_complains_as_json(run: Run) -> None:
    result = run("talk", "--json", "--nope")
    line = json.loads(result.stdout)
    assert (line["event"], line["type"], line["exit_code"]) == ("error", "ConfigError", 2)
    assert "no such option: --nope" in complaint(result, 2)[0]


# Standard output that cannot be written

COMMANDS = [["--version"], ["talk", "--help"], ["config", "show"], ["config", "path"]]


@pytest.mark.parametrize("arguments", [*COMMANDS, ["emulator", "--port", "0"]])
def test_a_reader_that_is_gone_is_no_failure(env: dict[str, str], arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        result = run_into(gone, env, arguments)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize("arguments", [*COMMANDS, ["emulator", "--port", "0"]])
def test_a_disk_that_is_full_is_one(env: dict[str, str], arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        result = run_into(full, env, arguments)
    problem = "retell-voice: the output could not be written: No space left on device\n"
    assert (result.returncode, result.stderr) == (2, problem)


def run_into(
    file: BinaryIO, env: dict[str, str], arguments: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run the program with a file for its standard output."""
    return subprocess.run(
        [sys.executable, "-m", "retell_voice", *arguments],
        env=env,
        stdout=file,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )
