"""A call as lines: in order, and over when nobody reads."""

from __future__ import annotations

import io
import sys
import threading
from typing import Any

import pytest

from retell_voice.cli.output import PlainOutput
from retell_voice.cli.view import View
from retell_voice.events import CallState, Ended, InputFinished, StateChanged
from retell_voice.program import stdout


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
