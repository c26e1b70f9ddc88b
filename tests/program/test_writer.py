"""Writing on a thread: in order, bounded in lines and bytes, and over when nobody reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import pytest

from retell_voice.events import Metadata, Transcript, Utterance, Word
from retell_voice.program import stdout, writer
from retell_voice.program.writer import LineWriter, size_of


class Slow(io.StringIO):
    """Standard output that takes nothing until it is let go."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait()
        return super().write(text)


def nobody() -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("bound", "value", "kept"), [("MAX_LINES", 10, 10), ("MAX_BYTES", 2000, 10)]
)
def test_a_reader_that_stands_still_costs_lines_not_memory(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bound: str,
    value: int,
    kept: int,
) -> None:
    monkeypatch.setattr(writer, bound, value)
    monkeypatch.setattr(sys, "stdout", slow := Slow())
    lines = LineWriter()
    lines.open(nobody)
    for number in range(100):
        lines.put(f"{number:099}")
    slow.go.set()
    lines.close()
    written = [int(line) for line in slow.getvalue().splitlines()]
    assert kept <= len(written) <= kept + 2
    assert written == list(range(len(written))), "what had waited longest is kept"
    assert f"{100 - len(written)} lines of output were dropped" in capsys.readouterr().err


def test_one_line_may_be_larger_than_all_that_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_BYTES", 1000)
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    lines = LineWriter()
    lines.open(nobody)
    lines.put("x" * 100_000)
    lines.close()
    assert out.getvalue() == "x" * 100_000 + "\n"


def test_a_reader_that_never_reads_is_left_alone_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writer, "DRAIN_TIMEOUT", 0.05)
    monkeypatch.setattr(stdout, "_abandoned", False)
    monkeypatch.setattr(sys, "stdout", slow := Slow())
    lines = LineWriter()
    lines.open(nobody)
    for _ in range(7):
        lines.put("")
    lines.close()
    assert stdout.is_abandoned()
    assert sys.stdout is not slow
    sys.stdout.close()
    assert "7 lines of output were dropped" in capsys.readouterr().err
    slow.go.set()


@pytest.mark.parametrize(
    ("value", "least"),
    [
        ("x" * 5000, 5000),
        (
            Transcript(utterances=(Utterance("user", "x" * 900, (Word("a", 0, 1),) * 9),) * 9),
            32_000,
        ),
        (Metadata(metadata={"a": ["x" * 1000, {"y" * 1000: None}]}), 2000),
    ],
)
def test_the_size_of_what_waits(value: object, least: int) -> None:
    assert least <= size_of(value) <= least + 2000


COMBINATIONS = [number for number in range(8) if number]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no descriptors to close")
@pytest.mark.parametrize(
    "closed", COMBINATIONS, ids=lambda n: "".join("012"[b] for b in range(3) if n >> b & 1)
)
def test_what_is_closed_from_the_start_is_opened_on_nothing(closed: int) -> None:
    """Else a socket would get number 1 or 2, and what is printed would go to the server."""
    code = (
        "import os, sys\n"
        "from retell_voice.program import stdout\n"
        "stdout.open_all()\n"
        "number = os.open('/', os.O_RDONLY)\n"
        "print('out'); print('err', file=sys.stderr); sys.stdin.read()\n"
        "os.write(int(sys.argv[1]), str(number).encode())\n"
    )
    redirect = "".join(f" {n}{'<' if n == 0 else '>'}&-" for n in range(3) if closed >> n & 1)
    reader, told = os.pipe()
    try:
        command = f'exec "$0" -c "$1" {told}{redirect}'
        done = subprocess.run(
            ["sh", "-c", command, sys.executable, code],
            pass_fds=(told,),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert int(os.read(reader, 9)) > 2
        assert done.stdout == (b"" if closed & 2 else b"out\n")
        assert done.stderr == (b"" if closed & 4 else b"err\n")
    finally:
        os.close(reader)
        os.close(told)
