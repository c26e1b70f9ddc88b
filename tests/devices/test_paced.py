"""Hardware without a clock, paced by a base: on time, in blocks of the right lengths, and lost."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from retell_voice.devices import paced
from retell_voice.devices.paced import PacedMicrophone, PacedSpeaker
from retell_voice.devices.ports import Microphone, Speaker, check_device

TIMEOUT = 5.0


class End:
    """A sink and a source that keep what they are told."""

    def __init__(self, enough: int = 10) -> None:
        self.blocks: list[int] = []
        self.xruns: list[bool] = []
        self.why = ""
        self.ends = 0
        self.enough, self.full = enough, threading.Event()

    def write_rt(self, samples: np.ndarray, delay: float = 0.0, xrun: bool = False) -> None:
        self.blocks.append(len(samples))
        self.xruns.append(xrun)
        if len(self.blocks) >= self.enough:
            self.full.set()

    def fill_rt(self, out: np.ndarray, delay: float = 0.0, xrun: bool = False) -> None:
        out[:] = len(self.blocks) + 1
        self.write_rt(out, delay, xrun)

    def finished(self) -> None:
        self.ends += 1

    def lost(self, why: str, final: bool = False) -> None:
        self.why = why
        self.full.set()


class Board(PacedMicrophone):
    name, rate = "board", 11025

    def __init__(self, words: int = 1 << 30) -> None:
        super().__init__()
        self.words = words
        self.steps: list[str] = []

    def open(self) -> None:
        self.steps.append("open")

    def close(self) -> None:
        self.steps.append("close")

    def hear(self, count: int) -> np.ndarray | None:
        self.words -= 1
        return np.zeros(count, np.int16) if self.words >= 0 else None


class Loud(PacedSpeaker):
    rate = 8000

    def __init__(self) -> None:
        super().__init__()
        self.played: list[int] = []

    def play(self, samples: np.ndarray) -> None:
        self.played.append(int(samples[0]))


def test_they_are_devices() -> None:
    assert isinstance(Board(), Microphone)
    assert isinstance(Loud(), Speaker)
    check_device(Board(), "microphone")


def test_a_microphone_is_asked_at_the_pace_of_its_rate() -> None:
    board, end = Board(), End(25)
    began = time.monotonic()
    board.start(end)
    assert end.full.wait(TIMEOUT)
    board.stop()
    board.stop()
    assert 0.4 < time.monotonic() - began < 2.0
    assert set(end.blocks[:25]) == {220, 221}
    assert sum(end.blocks[:20]) == 4410
    assert not any(end.xruns) or time.monotonic() - began > 0.6
    assert board.steps == ["close", "open", "close", "close"]
    assert end.ends == 0


def test_a_speaker_is_given_what_to_play_and_a_board_with_nothing_to_say_is_over() -> None:
    speaker, end = Loud(), End()
    speaker.start(end)
    assert end.full.wait(TIMEOUT)
    speaker.stop()
    assert speaker.played[:9] == list(range(1, 10))
    board, end = Board(words=3), End(6)
    board.start(end)
    assert end.full.wait(TIMEOUT)
    board.stop()
    assert end.ends >= 3


@pytest.mark.parametrize(
    ("error", "why"),
    [(OSError(5, "I/O error"), "[Errno 5] I/O error"), (KeyError("x"), "KeyError('x')")],
)
def test_what_the_board_raises_is_its_loss(error: Exception, why: str) -> None:
    class Broken(Loud):
        def play(self, samples: np.ndarray) -> None:
            raise error

    speaker, end = Broken(), End()
    speaker.start(end)
    assert end.full.wait(TIMEOUT)
    assert end.why == why
    speaker.stop()


def test_a_board_that_stood_still_is_not_asked_for_all_of_that_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paced, "_LATE", 0.05)

    class Slow(Board):
        def hear(self, count: int) -> np.ndarray | None:
            if len(end.blocks) == 2:
                stood.wait(0.3)
            return super().hear(count)

    stood = threading.Event()
    board, end = Slow(), End(5)
    board.start(end)
    assert end.full.wait(TIMEOUT)
    board.stop()
    assert any(end.xruns[3:])


def test_a_stop_from_the_boards_own_thread_waits_for_nobody() -> None:
    class Leaves(Board):
        def hear(self, count: int) -> np.ndarray | None:
            self.stop()
            end.full.set()
            return None

    board, end = Leaves(), End()
    board.start(end)
    assert end.full.wait(TIMEOUT)
