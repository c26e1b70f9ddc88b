"""Devices as lines; as a table where there is a terminal."""

from __future__ import annotations

import dataclasses
import json

import pytest

from retell_voice.cli import listing
from retell_voice.devices.portaudio.devices import DeviceInfo
from retell_voice.errors import DeviceNotFound

MICROPHONE = DeviceInfo(
    name="USB [Mic]",
    host_api="ALSA",
    direction="input",
    channels=1,
    default_rate=48000,
    rates=(16000, 48000),
    is_default=True,
    why="the system says so",
)
SPEAKER = dataclasses.replace(
    MICROPHONE, name="HDMI", direction="output", rates=(), is_default=False, why=""
)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[DeviceInfo]:
    found = [MICROPHONE, SPEAKER]
    monkeypatch.setattr(listing, "list_devices", lambda: found)
    return found


def test_lines(devices: list[DeviceInfo], capsys: pytest.CaptureFixture[str]) -> None:
    assert listing.list_all(as_json=False) == 0
    assert capsys.readouterr().out.splitlines() == [
        "input\tUSB [Mic]\tALSA\t1 channel\t16000 48000 Hz\tdefault: the system says so",
        "output\tHDMI\tALSA\t1 channel\tbusy or broken",
    ]


def test_a_table(
    devices: list[DeviceInfo], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    listing.list_all(as_json=False)
    shown = capsys.readouterr().out
    assert "Microphones" in shown
    assert "│ * │ USB [Mic] │ ALSA" in shown
    assert "* USB [Mic]: default, the system says so" in shown
    assert "busy or broken" in shown


def test_json(devices: list[DeviceInfo], capsys: pytest.CaptureFixture[str]) -> None:
    listing.list_all(as_json=True)
    read = json.loads(capsys.readouterr().out)
    assert read[0]["name"] == "USB [Mic]"
    assert read[0]["rates"] == [16000, 48000]
    assert [each["is_default"] for each in read] == [True, False]


def test_nothing_at_all(devices: list[DeviceInfo], capsys: pytest.CaptureFixture[str]) -> None:
    devices.clear()
    with pytest.raises(DeviceNotFound):
        listing.list_all(as_json=False)
    assert listing.list_all(as_json=True) == DeviceNotFound.exit_code
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "no sound device" in said.err
