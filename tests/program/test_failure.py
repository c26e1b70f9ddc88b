"""Errors become a message and an exit code, in one place."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from retell_voice import errors
from retell_voice.errors import DeviceNotFound, RetellVoiceError
from retell_voice.program.failure import EXIT_CODES, complain, progress, remark, reported

KINDS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, RetellVoiceError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_exit_code_is_documented(kind: type[RetellVoiceError]) -> None:
    assert kind.exit_code in EXIT_CODES


def test_an_error_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, reported(as_json=lambda: True):
        raise DeviceNotFound("no microphone", "plug one in")
    assert caught.value.code == 3
    shown = capsys.readouterr()
    assert shown.err == "retell-voice: no microphone\n  plug one in\n"
    assert json.loads(shown.out) == {
        "event": "error",
        "type": "DeviceNotFound",
        "message": "no microphone",
        "hint": "plug one in",
        "exit_code": 3,
    }


def test_a_defect(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETELL_VOICE_DEBUG", "0")
    with pytest.raises(SystemExit) as caught, reported():
        raise KeyError("x")
    assert caught.value.code == 1
    assert "KeyError: 'x'\n  --debug" in capsys.readouterr().err
    monkeypatch.setenv("RETELL_VOICE_DEBUG", "1")
    with pytest.raises(SystemExit), reported():
        raise KeyError("x")
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_outside_a_call() -> None:
    with pytest.raises(SystemExit) as caught, reported():
        raise KeyboardInterrupt
    assert caught.value.code == 130


def test_an_exit_passes() -> None:
    with pytest.raises(SystemExit) as caught, reported():
        raise SystemExit(7)
    assert caught.value.code == 7
    with reported():
        pass


def test_a_message_without_hint(capsys: pytest.CaptureFixture[str]) -> None:
    complain("careful")
    assert capsys.readouterr().err == "retell-voice: careful\n"


def test_nothing_follows_a_piece_that_a_stalled_reader_did_not_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = iter([True, False, True])
    monkeypatch.setattr("retell_voice.program.stdout.takes_more", lambda *_: next(takes))
    remark("a" * 1000 + "b" * 1000 + "c")
    assert capsys.readouterr().err == "a" * 1000


def test_progress_is_left_out_while_the_terminal_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    termios = pytest.importorskip("termios")
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        termios.tcflow(slave, termios.TCOOFF)  # Ctrl-S
        progress("one")
        termios.tcflow(slave, termios.TCOON)
        progress("two\x1b[31m")
        assert os.read(master, 100) == b"\r\x1b[Ktwo[31m"
    os.close(master)


LEFT_OPEN = """
import atexit
from retell_voice.devices.portaudio import library
from retell_voice.program.failure import ending

atexit.register(print, "torn down beneath it")
library._left_open = {left_open}
with ending():
    print("said")
    raise SystemExit(3)
"""


@pytest.mark.parametrize("left_open", [True, False])
def test_nothing_is_torn_down_beneath_threads_that_nothing_can_end(left_open: bool) -> None:
    command = [sys.executable, "-c", LEFT_OPEN.format(left_open=left_open)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    later = [] if left_open else ["torn down beneath it"]
    assert (done.returncode, done.stdout.splitlines()) == (3, ["said", *later])
