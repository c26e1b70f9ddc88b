"""The file is a WAV after every write, and nobody else's business."""

from __future__ import annotations

import os
import resource
import signal
import stat
import wave
from pathlib import Path

import numpy as np
import pytest

from retell_voice.recording.wav import HEADER, StereoWav


def read(path: Path) -> tuple[int, int, np.ndarray]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        data = file.readframes(file.getnframes())
        return file.getframerate(), file.getnframes(), np.frombuffer(data, "<i2").reshape(-1, 2)


def test_it_is_whole_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    wav = StereoWav(path, 24000)
    assert read(path)[:2] == (24000, 0)
    frames = np.arange(20, dtype=np.int16).reshape(-1, 2)
    for count in range(1, 6):
        wav.write(frames)
        rate, total, samples = read(path)
        assert (rate, total) == (24000, 10 * count)
        assert np.array_equal(samples[-10:], frames)
    wav.close()
    wav.close()
    assert path.stat().st_size == HEADER + 200
    assert os.name != "posix" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "audio.wav").write_text("mine")
    with pytest.raises(FileExistsError):
        StereoWav(tmp_path / "audio.wav", 8000)


def test_what_did_not_fit_is_not_told_of(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    wav = StereoWav(path, 8000)
    wav.write(np.ones((5, 2), np.int16))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            wav.write(np.ones((50, 2), np.int16))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    wav.close()
    assert read(path)[1] == 5
