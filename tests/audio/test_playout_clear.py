"""What is cleared from the jitter buffer fades away and is counted; what follows is whole."""

import numpy as np
import pytest
from support.playout import FADE, RATE, pull, speech

from retell_voice.audio.playout import Playout
from retell_voice.audio.playout_reports import Started, Stopped


def test_clear_in_a_stream_of_silence_interrupts_nobody() -> None:
    playout = Playout(RATE)
    playout.push(np.append(np.full(100, 5000), np.zeros(5000)).astype(np.int16))
    pull(playout, 2000)
    playout.clear()
    assert [type(report) for report in playout.reports] == [Started, Stopped]
    stopped = playout.reports[-1]
    assert isinstance(stopped, Stopped)
    assert not stopped.interrupted
    pull(playout, 10)
    assert playout.silent
    playout.push(np.full(100, 5000, np.int16))
    pull(playout, 100)
    assert [type(report) for report in playout.reports] == [Started, Stopped, Started]


def test_clear_fades_and_then_is_silent() -> None:
    playout = Playout(RATE)
    playout.push(np.full(1000, 10000, np.int16))
    assert pull(playout, 50) == [10000] * 50
    playout.clear()
    heard = pull(playout, 20)
    assert heard[0] == 10000
    assert heard[:FADE] == sorted(heard[:FADE], reverse=True)
    assert heard[FADE:] == [0] * (20 - FADE)
    assert list(playout.reports) == [Started(0), Stopped(56, interrupted=True, discarded=944)]
    assert playout.silent


def test_clear_counts_what_was_thrown_away_elsewhere() -> None:
    playout = Playout(RATE)
    playout.push(speech(50))
    pull(playout, 10)
    playout.clear(elsewhere=1000)
    assert playout.reports[-1] == Stopped(16, interrupted=True, discarded=1034)
    assert playout.discarded == 1034


def test_clear_before_anything_was_heard_says_nothing() -> None:
    playout = Playout(RATE)
    playout.push(speech(10))
    playout.clear()
    assert pull(playout, 400) == [0] * 400
    assert not playout.reports
    assert playout.discarded == 10


def test_clear_after_the_agent_has_finished_interrupts_nobody() -> None:
    playout = Playout(RATE)
    playout.push(speech(100))
    pull(playout, 200)  # its end is not told yet
    playout.clear()
    assert list(playout.reports) == [Started(0), Stopped(100)]


def test_a_turn_right_after_clear_is_heard_from_its_first_sample() -> None:
    playout = Playout(RATE)
    playout.push(np.full(500, -9000, np.int16))
    pull(playout, 100)
    playout.clear()
    playout.push(speech(100))
    heard = pull(playout, 110)
    assert all(sample < 0 for sample in heard[: FADE - 1])
    assert heard[FADE : FADE + 100] == list(range(1, 101))
    assert playout.reports[-1] == Started(106)


def test_clears_in_a_row_do_not_click() -> None:
    playout = Playout(RATE)
    playout.push(np.full(500, 10000, np.int16))
    pull(playout, 50, block=2)
    heard = []
    for _ in range(3):
        playout.clear()
        playout.push(np.full(500, 10000, np.int16))
        heard += pull(playout, 2, block=2)
    assert heard == sorted(heard, reverse=True)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_the_fade_lasts_between_5_and_8_ms_at_any_rate(rate: int) -> None:
    playout = Playout(rate)
    playout.push(np.full(rate, 10000, np.int16))
    out = np.zeros(rate // 100, np.int16)
    for _ in range(5):
        playout.pull(out)
    playout.clear()
    playout.pull(out)
    assert 0.005 <= np.count_nonzero(out) / rate <= 0.008
    assert np.max(np.abs(np.diff(out.astype(int)))) < 10000 * 0.4 * 8000 / rate
