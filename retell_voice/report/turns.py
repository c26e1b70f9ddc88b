"""When each part of a transcript was spoken. Pure.

A server says *what* was said, and about when it knew; the sound says when somebody spoke. What you
say stands in the transcript once it is understood, what the agent says before it is heard, or while
it is::

    you      ▂▅▃▂ ▃▅▂·················      the speech that leads up to it
                      ^ in the transcript
    agent    ·····················▃▅▇▅▃     the first speech that is not over by then
                        ^
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any

from retell_voice.report.account import Account, Spans, words

_PAUSE = 2.0
"""Seconds of quiet within what you say."""
_EARLY = 0.3
"""Seconds by which speech may seem to begin after its text has come."""
_LATEST = 10.0
"""Seconds after its text within which the agent is heard."""
_CLOSE = 0.3
_SHORTEST = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the transcript: ``role``, ``text``, when it was spoken.

    Attributes:
        delay: how long the agent took to answer, None where that is not known.
        interrupted: whether it was cut short.
    """

    role: str
    text: str
    begin: float
    end: float
    delay: float | None = None
    interrupted: bool = False


def lines(account: Account) -> list[Line]:
    """Return the transcript, each line with the time at which it was spoken."""
    spoken = {"agent": account.agent, "user": account.you}
    begins = {role: [begin for begin, _ in spans] for role, spans in spoken.items()}
    found: list[tuple[str, str, float, float]] = []
    after = {"agent": 0.0, "user": 0.0}  # what begins earlier was said in an earlier line
    for utterance, seen in zip(account.utterances, account.seen, strict=True):
        role = words(utterance.get("role"))
        span = None
        if role in spoken:
            place = _yours if role == "user" else _agents
            known = _known(utterance, seen, account.end) if role == "user" else seen
            span = place(spoken[role], begins[role], known, after[role])
        begin, end = span or (seen, seen)
        if found:
            begin = max(begin, found[-1][2])
        end = min(max(end, begin + _SHORTEST), max(account.end, begin))
        if span is not None:
            after[role] = end
        found.append((role, words(utterance.get("content")), begin, end))
    return [_told(account, *each) for each in found]


def _yours(
    spans: Spans, begins: list[float], seen: float, after: float
) -> tuple[float, float] | None:
    last = bisect_right(begins, seen + _EARLY) - 1
    if last < 0 or begins[last] < after:
        return None
    first = last
    while first and begins[first - 1] >= after and begins[first] - spans[first - 1][1] < _PAUSE:
        first -= 1
    return begins[first], spans[last][1]


def _agents(
    spans: Spans, begins: list[float], seen: float, after: float
) -> tuple[float, float] | None:
    number = max(bisect_right(begins, seen) - 1, bisect_left(begins, after))
    # Over by the time its text came: unless that is all there is, it was another line.
    if number + 1 < len(spans) and spans[number][1] < seen and begins[number + 1] - seen < _LATEST:
        number += 1
    if number >= len(spans) or begins[number] > seen + _LATEST:
        return None
    return spans[number]


def _known(utterance: dict[str, Any], seen: float, end: float) -> float:
    """Return when an utterance was over: by its words if they have times, else by its text."""
    try:
        said = float(utterance["words"][-1]["end"])
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return seen
    return min(seen, said) if math.isfinite(said) and 0 < said <= end else seen


def _told(account: Account, role: str, text: str, begin: float, end: float) -> Line:
    if role != "agent":
        return Line(role, text, begin, end)
    delays = (delay for at, delay in account.responses if abs(at - begin) < _CLOSE)
    cut = any(begin <= at <= end + _CLOSE for at in account.clears)
    return Line(role, text, begin, end, next(delays, None), cut)
