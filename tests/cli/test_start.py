"""Without a command, the program says which step comes next."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from retell_voice.cli import start
from retell_voice.cli.start import Situation, next_step
from retell_voice.emulator import CALLER
from retell_voice.extras import how_to_install
from retell_voice.shown import as_argument

LOCAL = "retell-voice talk --local"
KEY = Situation(has_key=True)


@pytest.mark.parametrize(
    ("found", "commands"),
    [
        (Situation(), [LOCAL, "export RETELL_API_KEY=…", "retell-voice agents"]),
        (
            Situation(agent="Front desk", by="c.toml line 1"),
            [LOCAL, "export RETELL_API_KEY=…", "retell-voice talk"],
        ),
        (KEY, ["retell-voice agents", "retell-voice talk --agent NAME"]),
        (replace(KEY, has_web_calls=False), [how_to_install("retell")]),
        (replace(KEY, agent="Front desk", by="c.toml line 1"), ["retell-voice talk"]),
        (Situation(by="RETELL_VOICE_LLM"), ["retell-voice talk"]),
        (
            replace(KEY, no_sound=("None", "retell-voice doctor", "says why")),
            [
                "retell-voice doctor",
                f"{LOCAL} --output-file agent.wav --input-file {as_argument(str(CALLER))}",
                f"{LOCAL} --output-file agent.wav --input-file me.wav",
            ],
        ),
    ],
)
def test_the_next_step_is_what_is_missing(found: Situation, commands: list[str]) -> None:
    lines = next_step(found)
    assert [line.strip().partition("   ")[0] for line in lines if line[:1] == " "] == [
        each.partition("   ")[0] for each in commands
    ]
    for named in (found.agent, found.by):
        assert named is None or named in "\n".join(lines)


def test_the_recorded_caller_is_the_emulators() -> None:
    assert start.CALLER == CALLER


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bring sound along")
def test_sound_takes_a_library_and_a_card_or_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: None)
    nowhere = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    cards = tmp_path / "proc/asound/pcm"
    cards.parent.mkdir(parents=True)
    cards.write_text("")
    assert start.no_sound(nowhere, tmp_path)[1:2] == ("retell-voice doctor --only sound",)
    assert start.no_sound(nowhere | {"PULSE_SERVER": "tcp:host"}, tmp_path) == ()
    cards.write_text("00-00: USB Audio : USB Audio : playback 1 : capture 1\n")
    assert start.no_sound(nowhere, tmp_path) == ()
    cards.write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/pipewire-0").touch()
    assert start.no_sound(nowhere, tmp_path) == ()

    def missing(_: str) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert "libportaudio2" in " ".join(start.no_sound(nowhere, tmp_path))


def test_it_reads_the_settings_and_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import atexit, sys; heavy = {'numpy', 'sounddevice', 'asyncio', 'websockets', 'retell'};"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules))));"
        "from retell_voice.cli import main; sys.argv = ['retell-voice']; main()"
    )
    environment = {"HOME": str(tmp_path), "RETELL_VOICE_AGENT": "Desk", "PULSE_SERVER": "x"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\n[]\n")
    if "PortAudio" not in done.stdout:
        assert "retell-voice talk" in done.stdout
        assert "Desk (RETELL_VOICE_AGENT)" in done.stdout
