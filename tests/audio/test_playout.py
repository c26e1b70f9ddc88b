"""The jitter buffer: when it begins to play, when an utterance ends, what its target learns."""

import numpy as np
import pytest
from support.playout import END, FADE, FADE_IN, RATE, pull, speech

from retell_voice.audio.playout import Playout
from retell_voice.audio.playout_reports import Started, Stopped


def test_with_nothing_queued_it_plays_silence() -> None:
    playout = Playout(RATE)
    assert pull(playout, 50) == [0] * 50
    assert playout.silent
    assert not playout.reports
    assert playout.position == 50


def test_audio_starts_at_once_when_the_target_is_reached() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(39))
    assert pull(playout, 10) == [0] * 10
    playout.push(speech(1, 40))
    assert pull(playout, 40) == list(range(1, 41))
    assert list(playout.reports) == [Started(10)]


def test_a_word_shorter_than_the_target_is_played_when_the_stream_pauses() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(10))
    assert pull(playout, 70) == [0] * 60 + list(range(1, 11))


def test_when_nothing_more_will_come_it_plays_at_once_and_tells_the_end_at_once() -> None:
    playout = Playout(RATE)
    playout.push(speech(5))
    playout.finishing = True
    assert pull(playout, 10) == [1, 2, 3, 4, 5, 0, 0, 0, 0, 0]
    assert list(playout.reports) == [Started(0), Stopped(5)]
    assert playout.silent


def test_the_end_is_told_when_no_more_has_come_for_a_while_and_dated_back() -> None:
    playout = Playout(RATE)
    playout.push(speech(100))
    pull(playout, 100 + END - 10)
    assert list(playout.reports) == [Started(0)]
    assert not playout.silent
    pull(playout, 20)
    assert list(playout.reports) == [Started(0), Stopped(100)]
    assert playout.silent


def room(count: int, dbfs: float = -54.0) -> np.ndarray:
    noise = np.random.default_rng(7).normal(0, 32768 * 10 ** (dbfs / 20), count)
    return noise.round().astype(np.int16)


@pytest.mark.parametrize("between", [np.zeros(2000, np.int16), room(2000)], ids=["zeros", "room"])
@pytest.mark.parametrize("block", [1, 10, 441])
@pytest.mark.parametrize("rate", [RATE, 8000, 48000])
def test_an_utterance_ends_when_a_listener_would_say_so(
    between: np.ndarray, block: int, rate: int
) -> None:
    """Its stream goes on for seconds."""
    times = rate // RATE
    loud, between = np.full(1000 * times, 5000, np.int16), np.repeat(between, times)
    playout = Playout(rate)
    pushed = np.concatenate((loud, between, loud, between))
    for part in (loud, between, loud, between):
        playout.push(part)
    heard = np.full(len(pushed) + block, -1, np.int16)
    told: list[tuple[int, object]] = []
    while playout.position < len(pushed):
        playout.pull(heard[playout.position : playout.position + block])
        while playout.reports:
            told.append((playout.position, playout.reports.popleft()))
    assert np.array_equal(heard[: len(pushed)], pushed), "it is played all the same"
    assert [type(report) for _, report in told] == [Started, Stopped, Started, Stopped]
    for (at, report), position in zip(told, (0, 1000, 3000, 4000), strict=True):
        assert isinstance(report, Started | Stopped)
        assert abs(report.position - position * times) <= 20 * times
        if isinstance(report, Stopped):
            assert at - report.position <= 0.82 * rate + block
            assert not report.interrupted
    pull(playout, END * times + block, block)
    assert playout.silent
    assert not playout.reports
    assert (playout.underruns, playout.heard) == (0, 6_000 * times)


def test_a_pause_between_sentences_ends_no_utterance() -> None:
    playout = Playout(RATE)
    for part in (np.full(500, 5000), np.zeros(700), np.full(500, 5000)):
        playout.push(part.astype(np.int16))
    pull(playout, 1700 + END)
    assert list(playout.reports) == [Started(0), Stopped(1700)]


def test_zeros_begin_no_utterance() -> None:
    playout = Playout(RATE)
    for _ in range(100):
        playout.push(np.zeros(20, np.int16))
        pull(playout, 20)
    assert not playout.reports
    playout.push(np.full(100, 5000, np.int16))
    pull(playout, 200)
    assert [type(report) for report in playout.reports] == [Started]


def test_a_stream_of_silence_that_runs_dry_is_no_underrun_and_what_follows_begins_anew() -> None:
    playout = Playout(RATE)
    playout.push(np.append(np.full(100, 5000), np.zeros(2000)).astype(np.int16))
    pull(playout, 2150)
    playout.push(np.zeros(100, np.int16))  # 50 too late
    assert (playout.underruns, playout.target) == (0, 40)
    pull(playout, 200 + END)
    assert playout.silent
    playout.push(speech(50))  # quieter than any noise, and yet said
    pull(playout, 100)
    kinds = [type(report) for report in playout.reports]
    assert kinds == [Started, Stopped, Started]


def test_an_underrun_is_counted_and_learnt_from() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(40))
    pull(playout, 140)  # 100 ms late
    playout.push(speech(40))
    assert playout.underruns == 1
    assert playout.target == 40 + 100 + 20
    assert pull(playout, 10) == [0] * 10  # waits for the new target
    playout.push(speech(120, 41))
    heard = pull(playout, 160)
    assert heard[FADE:] == list(range(1 + FADE, 161))
    assert heard[:FADE] == (speech(FADE) * FADE_IN).astype(int).tolist()
    assert [type(report) for report in playout.reports] == [Started]


def test_the_target_stays_within_its_bounds() -> None:
    playout = Playout(RATE, target=(0.04, 0.1))
    playout.push(speech(40))
    pull(playout, 300)
    playout.push(speech(40))
    assert playout.target == 100


def test_the_target_comes_down_when_there_is_depth_to_spare() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(40))
    pull(playout, 200)
    playout.push(speech(200))
    pull(playout, 200 + END)
    assert playout.target == 200
    for _ in range(20):
        playout.push(speech(1000))
        pull(playout, 100)
        playout.push(speech(1000))
        pull(playout, 1900 + END + 10)
    assert playout.target == 40
    assert playout.underruns == 1


def test_eight_utterances_that_each_stall_once_have_two_gaps_at_the_most() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    for _ in range(8):
        stalled_until = 680  # what is due from 500 on comes 180 late, then all at once
        arrivals = [max(20 * frame, stalled_until if frame >= 25 else 0) for frame in range(75)]
        now = 0
        for due in arrivals:
            pull(playout, max(0, due - now) // 10 * 10)
            now += max(0, due - now) // 10 * 10
            playout.push(speech(20))
        pull(playout, 1000)
    assert playout.underruns <= 2
    assert playout.target <= 200
    assert sum(isinstance(report, Stopped) for report in playout.reports) == 8
