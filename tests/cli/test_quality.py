"""How good a connection is."""

from __future__ import annotations

from functools import reduce as fold

import pytest

from retell_voice.cli.quality import quality
from retell_voice.cli.view import View, reduce
from retell_voice.events import Levels, Statistics


@pytest.mark.parametrize(
    ("figures", "word"),
    [
        (Statistics(at=50), "good"),
        (Statistics(at=50, round_trip=0.15, playout_target=0.1), "good"),
        (Statistics(at=50, round_trip=0.16), "fair"),
        (Statistics(at=50, round_trip=0.41), "poor"),
        (Statistics(at=50, playout_target=0.11), "fair"),
        (Statistics(at=50, playout_target=0.19), "poor"),
        (Statistics(at=50, underruns=1), "fair"),
        (Statistics(at=50, playback_xruns=1), "fair"),
        (Statistics(at=50, concealed=0.02), "good"),
        (Statistics(at=50, concealed=0.06), "fair"),
        (Statistics(at=50, frames_dropped=1), "poor"),
        (Statistics(at=50, overflowed=1.0, round_trip=0.01), "poor"),
    ],
)
def test_the_worst_counts(figures: Statistics, word: str) -> None:
    assert quality(reduce(View(), figures)) == word


def test_a_gap_is_forgiven() -> None:
    events = [Statistics(at=50, underruns=1), Statistics(at=55, underruns=1)]
    view = fold(reduce, events, View())
    assert quality(view) == "fair"
    assert quality(reduce(view, Levels(at=60.1, near_end=-100, far_end=-100))) == "good"
