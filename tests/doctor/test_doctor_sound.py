"""What is judged about sound, and how a round trip is measured, without a card."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat
from retell_voice.doctor import ends, sound
from retell_voice.doctor.acoustics import chime
from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.errors import DeviceError, DeviceNotFound

PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL
RATE, BLOCK = 16000, 160


def blocks_with(starts: list[float], *, lag: float, seconds: float = 4.0) -> list[Any]:
    """Return 10 ms blocks, from time 100 on, that hear a chime ``lag`` after each start."""
    heard = np.random.default_rng(3).normal(0, 30, round(seconds * RATE))
    bell = chime(RATE)
    for start in starts:
        at = round((start + lag - 100) * RATE)
        heard[at : at + len(bell)] += bell
    samples = heard.astype(np.int16)
    return [
        (100 + (at + BLOCK) / RATE, samples[at : at + BLOCK])
        for at in range(0, len(samples), BLOCK)
    ]


def test_round_trips_end_when_the_block_with_the_first_sample_comes() -> None:
    asked = [100.3, 101.2, 102.1]
    trips = ends.round_trips(asked, blocks_with(asked, lag=0.047), RATE)
    # The first sample stands somewhere in a block of 10 ms, which comes when it is full.
    assert trips == [pytest.approx(0.05, abs=0.001)] * 3


def test_a_chime_that_nobody_heard_is_none() -> None:
    asked = [100.3, 101.2]
    trips = ends.round_trips(asked, blocks_with(asked[:1], lag=0.02), RATE)
    assert trips[0] is not None
    assert trips[1] is None
    assert ends.round_trips(asked, [], RATE) == [None, None]


def test_echo_is_as_loud_as_the_chime_was_heard() -> None:
    asked = [100.3, 101.2]
    blocks = [(came, (each // 4).astype(np.int16)) for came, each in blocks_with(asked, lag=0.05)]
    levels = ends.echo_levels([*asked, 102.5], blocks, RATE)
    assert levels == [pytest.approx(-12, abs=0.2), pytest.approx(-12, abs=0.2), None]
    assert ends.echo_levels(asked, [], RATE) == [None, None]


def test_the_mouth_plays_three_chimes_and_says_when() -> None:
    mouth = ends.Mouth(RATE)
    played = []
    while not mouth.over.is_set():
        out = np.ones(BLOCK, np.int16)
        mouth.fill_rt(out)
        played.append(out)
    assert len(mouth.asked) == 3
    assert mouth.asked == sorted(mouth.asked)
    heard = np.concatenate(played)
    bell = chime(RATE)
    assert np.array_equal(heard[4800 : 4800 + len(bell)], bell)
    out = np.ones(BLOCK, np.int16)
    mouth.fill_rt(out)
    assert not out.any()


def test_sound_servers_are_those_that_answer(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert sound.server_sockets(environ) == []
    assert sound.judge_server([]).verdict is WARN
    (tmp_path / "pulse").mkdir()
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "pulse" / "native"))
        assert sound.server_sockets(environ) == []  # a file that was left behind
        end.listen()
        assert sound.server_sockets(environ) == ["PulseAudio"]
        elsewhere = {"PULSE_SERVER": f"unix:{tmp_path}/pulse/native"}
        assert sound.server_sockets(elsewhere) == ["PulseAudio"]
    assert sound.server_sockets({"PULSE_SERVER": "tcp:box:4713"}) == ["PulseAudio at tcp:box:4713"]
    assert sound.judge_server(["PipeWire"]).verdict is PASS


def test_permissions(tmp_path: Path) -> None:
    assert sound.judge_permissions(tmp_path / "none", os.access).verdict is PASS
    (tmp_path / "pcmC0D0p").touch()
    assert sound.judge_permissions(tmp_path, lambda path, mode: True).verdict is PASS
    denied = sound.judge_permissions(tmp_path, lambda path, mode: False)
    assert denied.verdict is WARN
    assert "audio" in denied.hint


def test_a_device_that_resamples_says_so() -> None:
    assert "resampled" in sound.judge_device("speaker", "usb", "default", 48000, 24000).says
    assert "resampled" not in sound.judge_device("speaker", "usb", "", 24000, 24000).says


def look(
    monkeypatch: pytest.MonkeyPatch,
    *,
    chimes: bool = True,
    output_name: str | None = None,
    **fakes: object,
) -> list[Finding]:
    for name, fake in fakes.items():
        monkeypatch.setattr(sound, name, fake)
    return list(
        sound.examine(
            AudioFormat(),
            None,
            output_name,
            echo="auto",
            seconds=0.1,
            chimes=chimes,
            ask=lambda: None,
            meter=lambda level, left: None,
        )
    )


def test_without_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise DeviceError("the PortAudio library was not found", "install it")

    (only,) = look(monkeypatch, portaudio=missing)
    assert (only.check, only.verdict, only.hint) == ("PortAudio", FAIL, "install it")
    assert only.exit_code == 3
    (only,) = look(monkeypatch, portaudio=missing, chimes=False)
    assert (only.check, only.verdict, only.hint) == ("PortAudio", WARN, "install it")


def test_without_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise DeviceNotFound("there is no microphone", "plug one in")

    *_, last = look(monkeypatch, _find=missing)
    assert (last.check, last.verdict, last.hint) == ("devices", FAIL, "plug one in")
    *_, last = look(monkeypatch, _find=missing, chimes=False)
    assert (last.check, last.verdict, last.hint) == ("devices", WARN, "plug one in")
    *_, last = look(monkeypatch, _find=missing, chimes=False, output_name="USB")
    assert last.verdict is FAIL, "who names a device wants that one"


class Device:
    """A microphone or speaker that does what is asked of it."""

    name, rate, latency, why = "fake", RATE, None, ""

    def __init__(self, start: object = lambda end: None) -> None:
        self.start = start

    def stop(self) -> None:
        pass


def busy(end: object) -> None:
    raise DeviceError("microphone 'fake' failed to open: busy", "close what holds it")


@pytest.mark.parametrize(
    ("microphone", "says"),
    [
        (Device(), "no sound comes from it"),
        (Device(busy), "busy"),
        (Device(lambda end: end.lost("it was unplugged")), "it was unplugged"),
    ],
)
def test_a_microphone_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch, microphone: Device, says: str
) -> None:
    monkeypatch.setattr(sound, "_FIRST_BLOCK", 0.1)
    found = look(
        monkeypatch,
        _find=lambda *_: (microphone, Device(busy)),
        _rates=lambda *_: Finding("sound", "rates", PASS, ""),
    )
    (failed,) = [f for f in found if f.check == "microphone" and f.verdict is FAIL]
    assert says in failed.says
    assert "round trip" not in [each.check for each in found]


@pytest.mark.parametrize(
    ("speaker", "says"),
    [
        (Device(busy), "busy"),
        (Device(lambda end: end.lost("it was unplugged")), "it was unplugged"),
    ],
)
def test_a_speaker_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch, speaker: Device, says: str
) -> None:
    def speak(end: ends.Ear) -> None:
        end.write_rt(np.full(BLOCK, 1000, np.int16))

    *_, last = look(
        monkeypatch,
        _find=lambda *_: (Device(speak), speaker),
        _rates=lambda *_: Finding("sound", "rates", PASS, ""),
    )
    assert (last.check, last.verdict) == ("speaker", FAIL)
    assert says in last.says
