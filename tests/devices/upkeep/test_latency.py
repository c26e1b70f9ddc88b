from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.devices.upkeep.latency import STEPS, GapMeter, LatencySteps

TICK = 0.02


class Call:
    """Looks in the rhythm of a call; remembers what was changed when."""

    def __init__(self) -> None:
        self.steps, self.now, self.gaps = LatencySteps(), 0.0, 0
        self.changes: list[tuple[float, float | str]] = []

    def go_on(self, seconds: float, every: float | None = None, *, pause: bool = True) -> None:
        """Let time pass, with a gap ``every`` so many seconds."""
        end, due = self.now + seconds, self.now + (every or seconds + 1)
        while self.now < end:
            self.now += TICK
            if self.now >= due:
                due += every or 0
                self.gaps += 1
            if self.steps.look(self.now, self.gaps, pause=pause):
                self.changes.append((round(self.now, 1), self.steps.suggested))
                self.gaps = 0


def test_without_gaps_nothing_changes() -> None:
    call = Call()
    call.go_on(300)
    assert (call.changes, call.steps.suggested) == ([], "low")


def test_a_gap_now_and_then_is_not_worth_a_change() -> None:
    call = Call()
    call.go_on(60, every=5.5)
    assert call.changes == []


def test_with_gaps_it_rises_every_two_seconds_to_its_bound() -> None:
    call = Call()
    call.go_on(30, every=0.4)
    assert [latency for _, latency in call.changes] == list(STEPS[1:])
    times = [at for at, _ in call.changes]
    assert all(later - earlier >= 2 for earlier, later in pairwise(times))
    assert times[-1] < 8


def test_with_many_gaps_it_rises_all_the_way_at_once() -> None:
    call = Call()
    call.go_on(30, every=0.2)
    assert call.changes == [(2.0, STEPS[-1])]


def test_a_start_that_stumbles_does_not_count() -> None:
    call = Call()
    call.go_on(0.9, every=0.1)
    call.go_on(30)
    assert call.changes == []


def rested(call: Call, seconds: float = 3600.0, gaps: int = 7) -> None:
    call.now += seconds
    call.gaps += gaps
    call.steps.resumed(call.now, call.gaps)


def test_gaps_of_a_rest_do_not_count_and_the_raised_latency_outlasts_it() -> None:
    call = Call()
    call.go_on(3.5, every=0.4)
    assert call.steps.raised
    call.go_on(5.0)
    rested(call)
    call.go_on(14.0)
    assert call.steps.raised, "a rest is no calm"
    call.go_on(2.0)
    assert not call.steps.raised


def test_short_calls_with_rests_between_them_see_a_raised_latency_lowered() -> None:
    call = Call()
    call.go_on(3.5, every=0.4)
    for _ in range(3):
        rested(call)
        call.go_on(8.0)
    assert not call.steps.raised


def test_a_gap_after_a_rest_has_calm_begin_anew() -> None:
    call = Call()
    call.go_on(3.5, every=0.4)
    call.go_on(15.0)
    rested(call)
    call.go_on(1.5)
    call.gaps += 1
    call.go_on(19.0)
    assert call.steps.raised
    call.go_on(2.0)
    assert not call.steps.raised


def test_it_comes_down_step_by_step_but_not_while_the_agent_speaks() -> None:
    call = Call()
    call.go_on(10, every=0.4)
    risen = len(call.changes)
    call.go_on(100, pause=False)
    assert len(call.changes) == risen
    call.go_on(300)
    assert [latency for _, latency in call.changes[risen:]] == [0.06, 0.03, "low"]
    at = [at for at, _ in call.changes[risen:]]
    assert at[1] - at[0] == pytest.approx(20, abs=0.1)


def test_each_relapse_doubles_the_wait_for_the_next_step_down_up_to_ten_minutes() -> None:
    call = Call()
    call.go_on(3, every=0.9)
    assert call.steps.suggested == 0.03
    waits = []
    for _ in range(7):
        begin = call.now
        while call.steps.suggested != "low":
            call.go_on(1)
        waits.append(call.now - begin)
        while call.steps.suggested == "low":
            call.go_on(1, every=0.4)
    assert waits == [pytest.approx(calm, abs=4) for calm in (20, 40, 80, 160, 320, 600, 600)]


periods = st.tuples(
    st.sampled_from([0.5, 1.0, 4.0, 7.0, 19.5, 21.0, 45.0, 200.0, 700.0]), st.integers(0, 5)
)


@given(st.lists(periods, max_size=40))
def test_steps_keep_their_rules_whatever_gaps_there_are(call: list[tuple[float, int]]) -> None:
    """A call is periods of (seconds, gaps at their end), looked at twice a second."""
    steps, now, gaps = LatencySteps(), 0.0, 0
    seen: list[float] = []  # times of the gaps that count
    changed, level, calm, lowered = 0.5, 0, 20.0, False
    for seconds, news in call:
        end = now + seconds
        while now < end:
            now += 0.5
            if now == end:
                gaps += news
                seen += [now] * news * (now - changed >= 1.0)
            if not steps.look(now, gaps, pause=True):
                continue
            before, level = level, STEPS.index(steps.suggested)
            if level > before:
                assert sum(now - gap <= 5.0 for gap in seen) >= 2
                assert now - changed >= 2.0
                calm = min(2 * calm, 600.0) if lowered else calm
            else:
                assert level == before - 1
                assert now - max([changed, *seen[-1:]]) >= calm
            assert steps.went_down is (level < before)
            changed, gaps, lowered = now, 0, level < before


def test_another_start_counts_from_nothing() -> None:
    steps = LatencySteps()
    steps.look(0.0, 0, pause=True)
    steps.look(1.5, 1, pause=True)
    steps.restarted(2.0)
    assert not steps.look(5.0, 0, pause=True)
    assert not steps.look(5.1, 1, pause=True)


def gaps(steps: list[float], lead: float = 0.03, length: float = 0.01) -> int:
    """Return how many gaps are seen where blocks are heard so far apart."""
    meter = GapMeter()
    return sum(meter.note_rt(heard, lead, length, 0.02) for heard in accumulate(steps, initial=5.0))


def test_a_rhythm_that_jitters_and_drifts_has_no_gaps() -> None:
    assert gaps([0.01] * 1000) == 0
    assert gaps([0.012, 0.008, 0.007, 0.013] * 250) == 0
    assert gaps([0.0101] * 1000) == 0  # 1 % off
    assert gaps([0.0099] * 1000) == 0
    random = np.random.default_rng(1)
    for sigma in (0.0003, 0.001, 0.003):  # around a clock that keeps time
        times = 0.01 * np.arange(2000) + random.normal(0, sigma, 2000)
        assert gaps(list(np.diff(times))) == 0


def test_a_short_gap_is_seen_where_times_are_exact() -> None:
    """PulseAudio corrects its times by as much now and then, and is off in between."""
    for sigma, seen in ((0.00003, 2), (0.0003, 0)):
        times = 0.01 * np.arange(300) + np.random.default_rng(2).normal(0, sigma, 300)
        steps = np.diff(times)
        steps[[100, 200]] += 0.003
        assert gaps(list(steps)) == seen


@pytest.mark.parametrize("gap", [0.004, 0.02, 0.3])
def test_what_is_heard_later_for_good_was_a_gap(gap: float) -> None:
    assert gaps([0.01] * 100 + [0.01 + gap] + [0.01] * 100) == 1
    assert gaps(([0.01] * 50 + [0.01 + gap]) * 5 + [0.01] * 9) == 5
    assert gaps([0.01] * 100 + [0.01 + gap, 0.01 - gap] + [0.01] * 100) == 0, "it came back"


def test_a_stream_whose_first_blocks_come_just_in_time_has_no_gap() -> None:
    """Before them, there was nothing to be interrupted."""
    meter = GapMeter()
    leads = [0.004, 0.006, 0.015, 0.03, 0.001]
    seen = [meter.note_rt(5 + 0.01 * n, lead, 0.01, 0.02) for n, lead in enumerate(leads)]
    assert seen == [False, False, False, False, True]


def test_a_block_that_comes_just_in_time_is_a_gap_once() -> None:
    meter = GapMeter()
    leads = [0.03, 0.001, 0.001, 0.03, 0.002, 0.03]
    seen = [meter.note_rt(5 + 0.01 * n, lead, 0.01, 0.02) for n, lead in enumerate(leads)]
    assert seen == [False, True, False, False, True, False]
