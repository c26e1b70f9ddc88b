"""What a sound server answers, and what is made of it."""

import json
import subprocess
from typing import Any

import pytest

from retell_voice.devices.portaudio import sound_server
from retell_voice.devices.portaudio.sound_server import ask
from retell_voice.echo.system import SoundDevice

INFO = {"default_sink_name": "bluez_output", "default_source_name": "alsa_input"}
SINKS = [
    {
        "name": "bluez_output",
        "description": "WH-1000XM4",
        "active_port": "headphone-output",
        "properties": {"device.form_factor": "headset"},
    },
    {"name": "alsa_output", "description": "Built-in", "active_port": None, "properties": {}},
]
SOURCES = [
    {"name": "alsa_input", "description": "Built-in", "active_port": "analog-input-mic"},
    {"name": "echo-cancel-source", "description": None},
]
ANSWERS = {"info": INFO, "sinks": SINKS, "sources": SOURCES}


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULSE_SINK", raising=False)
    monkeypatch.delenv("PULSE_SOURCE", raising=False)


def answers(command: list[str], seconds: float) -> str:
    assert command[:3] == ["pactl", "-f", "json"]
    assert 0 < seconds <= 1
    return json.dumps(ANSWERS[command[-1]])


def test_the_default_devices_are_those_of_the_server() -> None:
    server = ask(answers)
    assert server is not None
    assert server.speaker == SoundDevice(
        "bluez_output", "WH-1000XM4", form_factor="headset", port="headphone-output"
    )
    assert server.microphone == SoundDevice("alsa_input", "Built-in", port="analog-input-mic")
    assert [each.name for each in server.speakers] == ["bluez_output", "alsa_output"]
    assert server.microphones[1] == SoundDevice("echo-cancel-source")


def test_variables_choose_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SINK", "alsa_output")
    monkeypatch.setenv("PULSE_SOURCE", "unplugged")
    server = ask(answers)
    assert server is not None
    assert server.speaker is not None
    assert server.speaker.name == "alsa_output"
    assert server.microphone is None


@pytest.mark.parametrize(
    "answer",
    ["", "Connection refused", "[]", "{}", '{"default_sink_name": "a"}', "null", "3", '["a"]'],
)
def test_an_answer_that_is_none_is_no_server(answer: str) -> None:
    assert ask(lambda *_: answer) is None


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError("pactl"),
        subprocess.TimeoutExpired("pactl", 1),
        subprocess.CalledProcessError(1, "pactl"),
    ],
)
def test_a_server_that_does_not_answer_is_none(error: Exception) -> None:
    def fails(*_: Any) -> str:
        raise error

    assert ask(fails) is None


def test_a_tool_that_hangs_is_waited_for_for_a_second_at_most(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    pactl = tmp_path / "pactl"
    pactl.write_text("#!/bin/sh\nexec sleep 60\n")
    pactl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(sound_server, "_SECONDS", 0.1)
    monkeypatch.setattr("sys.platform", "linux")
    assert ask() is None


def test_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(sound_server, "_run", answers)
    assert ask() is None
