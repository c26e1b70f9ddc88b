"""Figures that can be added up."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.swarm.figures import Figures, Times

SECONDS = st.lists(st.floats(0, 500), max_size=40)


@settings(max_examples=15, deadline=None)
@given(SECONDS, SECONDS)
def test_what_was_added_up_is_what_one_would_have_counted(
    one: list[float], other: list[float]
) -> None:
    here, there, all_ = Times(), Times(), Times()
    for times, values in ((here, one), (there, other), (all_, [*one, *other])):
        for value in values:
            times.add(value)
    here.merge(Times(there.encoded()))
    assert here.shown() == all_.shown()
    assert here.count == len(one) + len(other)


def test_percentiles_are_good_to_three_digits() -> None:
    times = Times()
    assert (times.count, times.percentile(50), times.highest) == (0, 0, 0)
    for millisecond in range(1, 1001):
        times.add(millisecond / 1000)
    for percent in (50, 90, 99):
        assert times.percentile(percent) == pytest.approx(percent / 100, rel=0.002)
    assert times.highest == pytest.approx(1.0, rel=0.002)


def test_what_is_shown_is_read_again() -> None:
    figures = Figures()
    figures.calls, figures.held, figures.left_out = 3, 2, 1
    figures.failures["a"] += 2
    figures.complaints["31951 b"] += 1
    figures.times["answer"].add(0.5)
    shown = json.loads(json.dumps(figures.shown()))
    assert Figures.read(shown).shown() == figures.shown()
    assert shown["answer"]["p50"] == pytest.approx(0.5, rel=0.002)
    both = Figures.read(shown)
    both.merge(figures)
    assert (both.calls, both.failures["a"], both.times["answer"].count) == (6, 4, 2)


def test_calls_that_were_left_out_are_no_success() -> None:
    figures = Figures()
    figures.calls = figures.held = 2
    assert figures.exit_code == 0
    figures.left_out = 1
    assert figures.exit_code == 6


def test_without_the_extra_it_is_said_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    with pytest.raises(ConfigError, match="HdrHistograms") as caught:
        Times()
    assert "[swarm]" in caught.value.hint
