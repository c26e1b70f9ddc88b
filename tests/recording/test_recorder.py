"""A recorder on its own: what it writes, and what it does when it cannot."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.streams.tap import Tap
from retell_voice.engine.observer import Observed
from retell_voice.errors import ConfigError
from retell_voice.events import (
    CallState,
    Event,
    RecordingStopped,
    StateChanged,
    Transcript,
    Utterance,
)
from retell_voice.recording.recorder import Recorder

RATE = 8000


class Sides:
    """Two sides of a call in step, whatever the pace; ``said`` is heard on both."""

    def __init__(self) -> None:
        self.near, self.far = Tap(RATE), Tap(RATE)
        self.told: list[Event] = []
        self.changed = threading.Condition()
        self.looks = 0
        self.observed = Observed(
            at=0.25,
            audio=AudioFormat(Encoding.S16LE, RATE),
            microphone="mic",
            speaker="loud",
            near_end=self.near,
            far_end=self.far,
            moments=self.moments,
            tell=self.tell,
        )

    def moments(self) -> tuple[float, float]:
        with self.changed:
            self.looks += 1
            self.changed.notify_all()
        return 0.0, 0.0

    def tell(self, event: Event) -> None:
        with self.changed:
            self.told.append(event)
            self.changed.notify_all()

    def say(self, near: np.ndarray, far: np.ndarray) -> None:
        self.near.write_rt(near)
        self.far.write_rt(far)

    def until(self, true: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, 10)

    def settle(self) -> None:
        """Wait until two more looks were taken: what was there before the first is written."""
        until = max(self.looks, 20) + 2
        self.until(lambda: self.looks >= until)


def audio(path: Path) -> np.ndarray:
    with wave.open(str(path / "audio.wav")) as file:
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in (path / "events.jsonl").read_text().splitlines()]


def begun(recorder: Recorder, sides: Sides) -> Path:
    recorder.begin(sides.observed)
    assert recorder.path is not None
    return recorder.path


def test_a_call_is_written_as_it_goes(tmp_path: Path) -> None:
    sides, recorder = Sides(), Recorder(tmp_path / "calls")
    path = begun(recorder, sides)
    near, far = np.arange(1, 4001, dtype=np.int16), np.arange(-4000, 0, dtype=np.int16)
    sides.say(near, far)
    recorder.event(StateChanged(at=0.5, state=CallState.LIVE))
    recorder.event(Transcript(at=1.0, utterances=(Utterance("agent", "Grüße"),)))
    sides.settle()
    assert np.array_equal(audio(path), np.stack((near, far), 1))
    assert [each["event"] for each in events(path)] == ["recording", "state_changed", "transcript"]
    sides.say(near[:100], far[:150])
    recorder.event(Transcript(at=2.0, utterances=(Utterance("agent", "Grüße!"),)))
    recorder.end()
    assert len(audio(path)) == 4150
    assert events(path)[-1]["from"] == 0
    kept = json.loads((path / "transcript.json").read_text("utf-8"))
    assert kept["utterances"][0]["content"] == "Grüße!"
    assert "agent: Grüße!" in (path / "transcript.txt").read_text("utf-8")
    assert sides.told == []
    assert sorted(each.name for each in path.iterdir()) == [
        "audio.wav",
        "events.jsonl",
        "transcript.json",
        "transcript.txt",
    ]


def test_nobody_else_may_look(tmp_path: Path) -> None:
    sides, recorder = Sides(), Recorder(tmp_path / "calls")
    recorder.event(Transcript(utterances=(Utterance("user", "x"),)))
    path = begun(recorder, sides)
    recorder.end()
    for each in (tmp_path / "calls", path):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
    files = list(path.iterdir())
    assert len(files) == 4
    for each in files:
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


def test_two_calls_of_a_second_have_two_directories(tmp_path: Path) -> None:
    recorders = [Recorder(tmp_path) for _ in range(3)]
    paths = {begun(each, Sides()) for each in recorders}
    for each in recorders:
        each.end()
    assert len(paths) == 3


@pytest.mark.parametrize("limit", [0.25, 1.0])
def test_the_limit_ends_it_and_is_told_once(tmp_path: Path, limit: float) -> None:
    sides, recorder = Sides(), Recorder(tmp_path, limit=limit)
    path = begun(recorder, sides)
    for _ in range(4):
        sides.say(np.ones(4000, np.int16), np.ones(4000, np.int16))
    sides.until(lambda: bool(sides.told))
    recorder.event(StateChanged(state=CallState.LIVE))
    recorder.end()
    (stopped,) = sides.told
    assert isinstance(stopped, RecordingStopped)
    assert "limit" in stopped.why
    assert stopped.path == str(path)
    assert len(audio(path)) == limit * RATE
    assert events(path)[-1]["event"] == "recording_stopped"
    assert "state_changed" not in [each["event"] for each in events(path)]


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let every file of this process end there, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_once_and_what_was_written_stays(tmp_path: Path) -> None:
    sides, recorder = Sides(), Recorder(tmp_path)
    path = begun(recorder, sides)
    sides.say(np.ones(100, np.int16), np.ones(100, np.int16))
    sides.settle()
    with files_no_longer_than(2000):
        sides.say(np.ones(4000, np.int16), np.ones(4000, np.int16))
        sides.until(lambda: bool(sides.told))
        sides.say(np.ones(4000, np.int16), np.ones(4000, np.int16))
        recorder.event(StateChanged(state=CallState.LIVE))
        recorder.end()
    (stopped,) = sides.told
    assert isinstance(stopped, RecordingStopped)
    assert "too large" in stopped.why
    assert len(audio(path)) == 100


def test_a_directory_that_goes_away_is_told_and_not_raised(tmp_path: Path) -> None:
    sides, recorder = Sides(), Recorder(tmp_path / "calls")
    (tmp_path / "calls").rmdir()
    recorder.begin(sides.observed)
    recorder.end()
    (stopped,) = sides.told
    assert isinstance(stopped, RecordingStopped)


def test_a_defect_is_told_and_not_raised(tmp_path: Path) -> None:
    sides, recorder = Sides(), Recorder(tmp_path)
    begun(recorder, sides)
    recorder.event("no event")  # type: ignore[arg-type]
    sides.until(lambda: bool(sides.told))
    recorder.end()
    (stopped,) = sides.told
    assert isinstance(stopped, RecordingStopped)
    assert "defect" in stopped.why


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file"):
        Recorder(tmp_path / "file" / "calls")
    with pytest.raises(ConfigError):
        Recorder(tmp_path / "file")


def test_ending_what_never_began(tmp_path: Path) -> None:
    Recorder(tmp_path).end()
    assert os.listdir(tmp_path) == []
