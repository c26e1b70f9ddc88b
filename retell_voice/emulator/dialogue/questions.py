"""What the LLM server was asked in a call, and how quickly it answered. Pure."""

from __future__ import annotations

from math import ceil

from retell_voice.emulator.actions import Action, Report
from retell_voice.emulator.llm.server_events import LlmStatistics

_MOST_IDS = 5  # wrong ids that are kept


class Questions:
    """The ``response_required`` and ``reminder_required`` of a call; times are samples.

    Args:
        rate: samples per second.

    Attributes:
        newest: the newest response_id; 0 before the first question.
    """

    def __init__(self, rate: int) -> None:
        self.newest = 0
        self._rate = rate
        self._asked_at = 0
        self._wrong_ids: dict[int, None] = {}
        self._answered: set[int] = set()
        self._times: dict[int, float] = {}  # from question to first words, ms, by response_id

    @property
    def wrong_ids(self) -> tuple[int, ...]:
        """Other response_ids that came since the newest question, in order, each once."""
        return tuple(self._wrong_ids)

    def ask(self, now: int) -> int:
        """Return the response_id of a new question."""
        self.newest += 1
        self._asked_at = now
        self._wrong_ids.clear()
        return self.newest

    def wrong_id(self, number: int) -> None:
        """Note a response with another response_id than the newest."""
        if len(self._wrong_ids) < _MOST_IDS:
            self._wrong_ids[number] = None

    def answered(self, now: int, number: int, *, words: bool) -> float | None:
        """Note a message of a response; return how long its first words took, ms."""
        if not number:  # the begin message answers no question
            return None
        self._answered.add(number)
        if not words or number in self._times:
            return None
        self._times[number] = (now - self._asked_at) / self._rate * 1000
        return self._times[number]

    def summary(self) -> list[Action]:
        """Return the report of the whole call; none if nothing was asked."""
        if not self.newest:
            return []
        times = sorted(self._times.values())
        details = {
            "asked": self.newest,
            "answered": len(self._answered),
            "median_ms": _percentile(times, 50),
            "p95_ms": _percentile(times, 95),
        }
        return [Report(LlmStatistics, details)]


def _percentile(values: list[float], percent: int) -> float | None:
    """Return the smallest value that so many percent do not exceed."""
    return values[max(0, ceil(len(values) * percent / 100) - 1)] if values else None
