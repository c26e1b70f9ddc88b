"""The program in an environment of its own: nothing of the user's is read or written."""

from __future__ import annotations

import gc
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from support import warm

from retell_voice.cli import main
from retell_voice.devices.portaudio import library

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOTHING: Mapping[str, str] = {}
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "COVERAGE_PROCESS_START")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty home."""
    return env_of(tmp_path)


def env_of(folder: Path) -> dict[str, str]:
    home = folder / "home"
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


@pytest.fixture(scope="session", autouse=True)
def warm_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[warm.WarmProcess | None]:
    """The program with its imports behind it, where processes can fork."""
    if not warm.AVAILABLE:
        yield None
        return
    env = env_of(tmp_path_factory.mktemp("warm"))
    with warm.WarmProcess(env) as process:
        process.run("--version", env=env, stdin="", timeout=60)  # before a test takes the time
        yield process


@pytest.fixture
def run(env: dict[str, str], warm_process: warm.WarmProcess | None) -> Run:
    """Run the program to its end, on pipes."""

    def run(
        *arguments: str, stdin: str = "", more: Mapping[str, str] = NOTHING
    ) -> subprocess.CompletedProcess[str]:
        of_start = any(name.startswith("PYTHON") for name in more)  # read by Python itself
        if warm_process is not None and not of_start:
            return warm_process.run(*arguments, env={**env, **more}, stdin=stdin, timeout=30)
        return subprocess.run(
            [sys.executable, "-m", "retell_voice", *arguments],
            env={**env, **more},
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
        monkeypatch.setattr(library, "_left_open", False)  # else all of this process would end
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
    collects = gc.get_threshold()
    yield refuse
    gc.set_threshold(*collects)
    logging.lastResort = last_resort
    signal.signal(signal.SIGINT, handler)
    sys.setswitchinterval(interval)
