"""The pure parts of ``scripts/bench gil``: what both sides of a call suffer from busy threads."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_parts.busy import told
from bench_parts.gil import Frames, Heard, gaps_arrived, gaps_row, judge, latency_row, tone_arrived
from bench_parts.latency import chunks, tone
from bench_parts.server import RATE

from retell_voice import LatencyChanged, Statistics
from retell_voice.events import Event


def frames(seconds: float, *, lost: tuple[int, ...] = ()) -> Frames:
    """A tone as it arrives from 100 s on, 20 ms a frame, but for the frames that are lost."""
    return [
        (100 + number / 50, samples)
        for number, samples in enumerate(chunks(tone(seconds), 20))
        if number not in lost
    ]


def heard(*rises: float, before: int = 0, after: int = 0, latency: float = 0.01) -> Heard:
    return Heard(before, after, list(rises), 4.0, latency)


def test_a_whole_tone_has_no_gap_at_the_server() -> None:
    assert gaps_arrived(frames(3.0), 100, 103) == 0
    assert tone_arrived(frames(3.0)) == pytest.approx(3.0, abs=0.002)


def test_lost_frames_are_a_gap_in_the_time_in_which_they_were_due() -> None:
    arrived = frames(3.0, lost=(50, 51, 52, 75))
    assert gaps_arrived(arrived, 100, 103) == 2
    assert gaps_arrived(arrived, 100, 101.3) == 1
    assert gaps_arrived(arrived, 101.3, 103) == 1
    assert gaps_arrived(arrived, 101.8, 103) == 0
    assert tone_arrived(arrived) == pytest.approx(3.0 - 4 * 0.02, abs=0.002)


def test_silence_is_no_tone_that_arrived() -> None:
    silence = np.zeros(RATE // 50, np.int16)
    quiet = [(99 + number / 50, silence) for number in range(50)]
    assert tone_arrived([*quiet, *frames(1.0)]) == pytest.approx(1.0, abs=0.002)
    assert tone_arrived(quiet) == 0
    assert tone_arrived([]) == 0
    assert gaps_arrived([], 0, 1) == 0


def test_gaps_are_parted_a_second_after_the_last_rise() -> None:
    seen = [100.2, 100.9, 103.5, 106.0]
    judged = judge(
        lambda begin, end: sum(begin <= at < end for at in seen),
        [100.5, 103.0],
        0.06,
        began=100,
        ended=110,
    )
    assert judged == Heard(before=3, after=1, rises=[0.5, 3.0], watched=6.0, latency=0.06)


@pytest.mark.parametrize(("rises", "watched"), [([], 10.0), ([109.5], 0.0)])
def test_without_a_rise_or_after_a_late_one_all_gaps_come_before(
    rises: list[float], watched: float
) -> None:
    judged = judge(lambda begin, end: round(end - begin), rises, 0.01, began=100, ended=110)
    assert (judged.before, judged.after, judged.watched) == (10, 0, watched)


@pytest.mark.parametrize(
    ("side", "figures", "missed"),
    [
        (heard(), "0 in 4 s", False),
        (heard(before=44), "44 in 4 s", True),
        (heard(0.4, 2.44, before=9), "9 until it rose at 0.4, 2.4 s, 0 in 4 s after", False),
        (heard(0.4, before=9, after=1), "9 until it rose at 0.4 s, 1 in 4 s after", True),
    ],
)
def test_gaps_miss_their_target_where_the_latency_does_not_help(
    side: Heard, figures: str, missed: bool
) -> None:
    row = gaps_row("", side)
    assert (row.figures, row.missed) == (figures, missed)


@pytest.mark.parametrize(
    ("sides", "later", "figures", "missed"),
    [
        ((heard(), heard()), (0.01, 0.03), "10, 10 ms", False),
        (
            (heard(1, latency=0.12), heard()),
            (0.03, 0.01),
            "120, 10 ms; 60 s later 30, 10 ms",
            False,
        ),
        ((heard(), heard(1, latency=0.06)), (0.01, 0.06), "10, 60 ms; 60 s later 10, 60 ms", True),
    ],
)
def test_latency_that_rose_must_come_down(
    sides: tuple[Heard, Heard], later: tuple[float, float], figures: str, missed: bool
) -> None:
    row = latency_row(sides, later, 60.0)
    assert (row.figures, row.missed) == (figures, missed)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            LatencyChanged(side="near_end", why="gaps", old=0.01, new=0.03),
            {"side": "near_end", "why": "gaps", "near_end": 0.03},
        ),
        (
            Statistics(capture_latency=0.02, playback_latency=None),
            {"far_end": None, "near_end": 0.02},
        ),
        (Event(), None),
    ],
)
def test_the_busy_process_tells_latency_and_nothing_else(
    event: Event, line: dict[str, object] | None
) -> None:
    assert told(event) == line
