"""The program in an environment of its own: nothing of the user's is read or written."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retell_voice.cli import main

Run = Callable[..., "subprocess.CompletedProcess[str]"]
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "APPDATA": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_RUNTIME_DIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }


@pytest.fixture
def run(env: dict[str, str]) -> Run:
    """Run the program to its end, on pipes."""

    def run(
        *arguments: str, stdin: str = "", more: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "retell_voice", *arguments],
            env={**env, **(more or {})},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=False,
        )

    return run


@pytest.fixture
def refuse(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Run the program in this process, which is quicker, and return why it gave up."""

    def refuse(*arguments: str, code: int) -> str:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["retell-voice", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == code
        return capsys.readouterr().err

    interval, handler, last_resort = (
        sys.getswitchinterval(),
        signal.getsignal(signal.SIGINT),
        logging.lastResort,
    )
    yield refuse
    logging.lastResort = last_resort
    signal.signal(signal.SIGINT, handler)
    sys.setswitchinterval(interval)
