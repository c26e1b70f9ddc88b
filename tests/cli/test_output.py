"""Writing on a thread: bounded, in order, and over when nobody reads."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

import pytest

from retell_voice.cli import output
from retell_voice.cli.output import JsonOutput, PlainOutput
from retell_voice.cli.view import View
from retell_voice.events import AgentStarted, CallState, Ended, InputFinished, StateChanged
from retell_voice.program import stdout


class Blocked(io.StringIO):
    """Standard output that takes nothing until it is let go."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait()
        return super().write(text)


class Gone(io.StringIO):
    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise BrokenPipeError


def nobody() -> None:
    raise AssertionError


def test_lines_come_in_order_and_the_summary_last(capsys: pytest.CaptureFixture[str]) -> None:
    plain = PlainOutput()
    plain.open(View(call_id="…cdef"), nobody)
    plain.show(StateChanged(state=CallState.LIVE), View())
    ended = Ended(by="you", code=1000, reason="", at=61.0)
    plain.close(View(at=61.0, ended=ended))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("call …cdef")
    assert lines[2] == "00:00  connected"
    assert lines[3] == "01:01  you hung up (1000)"


def test_a_reader_that_stands_still_costs_lines_not_memory(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "MAX_LINES", 10)
    monkeypatch.setattr(sys, "stdout", blocked := Blocked())
    lines = JsonOutput({})
    lines.open(View(), nobody)
    for second in range(100):
        lines.show(AgentStarted(at=float(second)), View())
    blocked.go.set()
    lines.close(View())
    written = blocked.getvalue().splitlines()
    assert 10 <= len(written) <= 12
    assert '"at": 0.0' in written[1]
    assert f"{101 - len(written)} lines of output were dropped" in capsys.readouterr().err


def test_a_reader_that_is_gone_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Gone())
    silenced: list[Any] = []
    monkeypatch.setattr(stdout, "silence", lambda: silenced.append(1))
    told = threading.Event()
    plain = PlainOutput()
    plain.open(View(), told.set)
    assert told.wait(5)
    plain.show(InputFinished(), View())
    plain.close(View())
    assert silenced == [1]
