"""Text from outside, made harmless, and all the places where it leaves."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from retell_voice.cli.live import _encoded
from retell_voice.errors import ConfigError, RetellVoiceError
from retell_voice.shown import CleanStderr, as_argument, clean, clean_lines, escape_json, logger

PACKAGE = Path(__file__).parent.parent / "retell_voice"
HOSTILE = "\x1b]0;owned\x07\x9b31m\u202edesrever\u061c\u2069\ud800\x00\x7f"
OUTLETS = {
    "program/stdout.py",  # lines to standard output
    "program/failure.py",  # and to standard error
    "cli/doctor.py",  # a meter of our own characters
    "kiosk/journal.py",  # log records, which are clean
    "emulator/speech/worker.py",  # its standard error is no terminal
    "shown.py",
}
"""The files that may write to a standard stream themselves."""


@pytest.mark.parametrize(
    ("text", "posix", "windows"),
    [
        ("calls/one", "calls/one", "calls/one"),
        ("retell-voice[files]", "'retell-voice[files]'", '"retell-voice[files]"'),
        (r"C:\My calls\a.m4a", r"'C:\My calls\a.m4a'", r'"C:\My calls\a.m4a"'),
        (r"C:\calls\a.m4a", r"'C:\calls\a.m4a'", r"C:\calls\a.m4a"),
    ],
)
def test_an_argument_is_quoted_as_its_shell_wants(text: str, posix: str, windows: str) -> None:
    assert as_argument(text, windows=False) == posix
    assert as_argument(text, windows=True) == windows


def steers(text: str) -> bool:
    """Whether a terminal would do something else than show it, or a reader read it backwards."""
    return any(
        unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(each) in ("LRE", "RLE", "LRO", "RLO", "PDF")
        or unicodedata.bidirectional(each) in ("LRI", "RLI", "FSI", "PDI")
        for each in text
    )


@given(st.text())
def test_clean_texts_steer_nothing(text: str) -> None:
    assert not steers(clean(text))
    assert clean(clean(text)) == clean(text)
    assert not steers(clean_lines(text).replace("\n", ""))
    assert clean_lines(text).count("\n") == text.count("\n")
    clean(text).encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_can_be_read_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_joined_emoji_and_marks_of_scripts_stay() -> None:
    for text in ("👩\u200d🚀", "क्\u200dष", "e\u0301"):
        assert clean(text) == text


@given(st.recursive(st.text() | st.integers(), st.lists))
def test_escaped_json_says_the_same_and_steers_nothing(value: object) -> None:
    for ascii_only in (True, False):
        text = escape_json(json.dumps(value, ensure_ascii=ascii_only))
        assert json.loads(text) == value
        assert not steers(text)


def test_an_error_is_one_line_that_steers_nothing() -> None:
    error = ConfigError(f"file {HOSTILE}\nsecond", f"try {HOSTILE}")
    assert str(error) == "file ]0;owned31mdesrever second"
    assert error.hint == error.__notes__[0] == "try ]0;owned31mdesrever"


@pytest.mark.parametrize(
    "name", ["retell_voice.websocket", "retell_voice.llm", "retell_voice.rest"]
)
def test_what_is_logged_steers_nothing_whatever_handles_it(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = logger(name)
    try:
        raise RetellVoiceError("x") from ValueError(HOSTILE)
    except RetellVoiceError:
        log.exception("it said %s", HOSTILE)
    assert "it said ]0;owned" in caplog.text
    assert "ValueError" in caplog.text
    assert not steers(caplog.text.replace("\n", ""))


def test_what_libraries_log_in_a_program_steers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", said := io.StringIO())
    record = logging.LogRecord("asyncio", logging.ERROR, "", 1, "said %s", (HOSTILE,), None)
    CleanStderr().handle(record)
    assert said.getvalue() == "said ]0;owned31mdesrever\n"
    monkeypatch.setattr("sys.stderr", None)
    CleanStderr().handle(record)


def test_a_standard_stream_is_written_to_in_one_place() -> None:
    """Whatever else prints goes past what makes text harmless."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            prints = isinstance(node, ast.Call) and ast.unparse(node.func) in (
                *("print", "sys.stdout.write", "sys.stderr.write", "traceback.print_exc"),
                *("os.write", "sys.stdout.buffer.write", "logging.getLogger"),
            )
            if prints:
                found.add(str(path.relative_to(PACKAGE)))
    pipes = {"cli/terminal.py"}  # the screen, whose lines are cleaned in cli/live.py
    pipes |= {"emulator/speech/workers/child.py", "threads/relay.py"}
    quiet = {"net/http.py"}  # takes away what others log
    assert found - pipes - quiet <= OUTLETS, found


def test_what_the_screen_shows_has_no_sequences_but_its_own() -> None:
    console = Console(force_terminal=True, color_system="truecolor", file=io.StringIO())
    coloured, plain = _encoded(console, [Segment(HOSTILE, Style(color="red")), Segment(HOSTILE)])
    assert plain == "]0;owned31mdesrever" * 2
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
