"""Quality of the connection, in one word. Pure."""

from __future__ import annotations

from typing import Literal

from retell_voice.cli.view import View

Quality = Literal["good", "fair", "poor"]
ROUND_TRIP = (0.15, 0.4)
"""Seconds up to which a round trip is good, and fair."""
JITTER = (0.1, 0.18)
"""The same for the depth that the jitter buffer has adapted to."""
RECENT = 10.0
"""Seconds for which a gap or a loss counts."""


def quality(view: View) -> Quality:
    """Return the worst of what is known: round trip, jitter, gaps, lost audio."""
    figures = view.statistics
    grades = [_grade(figures.playout_target, JITTER)]
    if figures.round_trip is not None:
        grades.append(_grade(figures.round_trip, ROUND_TRIP))
    grades.append(1 if _recently(view.at, view.gap_at) else 0)
    grades.append(2 if _recently(view.at, view.loss_at) else 0)
    words: tuple[Quality, ...] = ("good", "fair", "poor")
    return words[max(grades)]


def _grade(figure: float, limits: tuple[float, float]) -> int:
    return sum(figure > limit for limit in limits)


def _recently(now: float, at: float | None) -> bool:
    return at is not None and now - at <= RECENT
