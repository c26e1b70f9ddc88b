"""The sound of a recording: levels, and a copy for a page."""

from __future__ import annotations

import io
import os
import sys
import wave
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retell_voice.report.sound import RATE, hear, sound_for


def write(path: Path, frames: np.ndarray, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((frames.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes(frames.astype("<i2").tobytes())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audio.wav"


def test_levels_are_heard(path: Path) -> None:
    frames = np.zeros((8000, 2), np.int16)
    frames[4000:, 0] = 16384
    frames[:4000, 1] = -32768
    write(path, frames)
    sides = hear(path, 2.0)
    assert sides is not None
    near, far = sides
    assert near[0] == (pytest.approx(2.01), -100.0)
    assert near[-1] == (pytest.approx(2.99), pytest.approx(-6.02, abs=0.01))
    assert far[0][1] == pytest.approx(0.0)
    assert far[-1][1] == -100.0


def test_hours_are_heard_in_few_points(path: Path) -> None:
    write(path, np.zeros((8000 * 600, 2), np.int16))
    sides = hear(path, 0.0)
    assert sides is not None
    assert len(sides[0]) <= 4001


def tones(rate: int, seconds: float) -> np.ndarray:
    times = np.arange(round(rate * seconds)) / rate
    return np.stack([8000 * np.sin(2 * np.pi * hz * times) for hz in (440, 700)], 1)


def copy_of(path: Path) -> tuple[str, bytes]:
    sound = sound_for(path, path.with_name("report.html"))
    assert sound is not None
    assert sound.embedded
    head, data = sound.url.split(",")
    return head, b64decode(data)


@pytest.mark.parametrize("rate", [1000, 8000, 16000, 24000, 48000])
def test_a_page_has_a_copy_as_wav_without_soundfile(
    path: Path, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    write(path, tones(rate, 1.5), rate)
    head, data = copy_of(path)
    assert head == "data:audio/wav;base64"
    with wave.open(io.BytesIO(data)) as file:
        to = file.getframerate()
        assert to == min(max(rate, 8000), RATE)
        frames = np.frombuffer(file.readframes(10**6), "<i2").reshape(-1, 2)
    assert len(frames) == pytest.approx(1.5 * to, abs=2)
    if rate >= 8000:
        middle = slice(to // 4, -to // 4)
        assert np.abs(frames - tones(to, 1.5)[: len(frames)])[middle].max() < 40


def test_a_page_has_a_copy_as_flac(path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    write(path, tones(RATE, 1.5), RATE)
    head, data = copy_of(path)
    assert head == "data:audio/flac;base64"
    frames, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate == RATE
    assert np.array_equal(frames, tones(RATE, 1.5).astype(np.int16))


def test_what_is_too_large_is_played_from_where_it_is(tmp_path: Path) -> None:
    # A name of Linux need not be text.
    odd, written = ("\udcff", "%FF") if sys.platform == "linux" else ("", "")
    path = tmp_path / f"a call?{odd}" / "audio.wav"
    path.parent.mkdir()
    write(path, np.random.default_rng(1).integers(-9999, 9999, (80_000, 2)))
    for page, url in (
        (path.with_name("x.html"), "audio.wav"),
        (tmp_path / "x", f"a%20call%3F{written}/audio.wav"),
    ):
        sound = sound_for(path, page, 100_000)
        assert sound is not None
        assert (sound.url, sound.embedded) == (url, False)


def test_no_sound_is_no_error(path: Path) -> None:
    def is_silent() -> bool:
        return hear(path, 0.0) is None and sound_for(path, path) is None

    assert is_silent()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert is_silent()
        path.unlink()
    path.write_bytes(b"RIFF")
    assert is_silent()
    write(path, np.zeros((10, 1), np.int16))
    assert is_silent()
    write(path, np.zeros((0, 2), np.int16))
    assert is_silent()


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=4))), st.integers(0))
def test_any_damage_is_survived(path: Path, damage: list[tuple[int, bytes]], kept: int) -> None:
    write(path, tones(8000, 0.2))
    data = bytearray(path.read_bytes())
    for at, bytes_ in damage:
        data[at : at + len(bytes_)] = bytes_
    path.write_bytes(data[: kept % len(data) + 1])
    hear(path, 0.0)
    sound_for(path, path, 10**6)
