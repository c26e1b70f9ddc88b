"""When the next input file, or typed line, is said, and when all has been said and answered.

Both are judged by what is heard, so that a conversation needs no timing by hand. Pure, but for the
input it drives; times are those of the view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from retell_voice.cli.view import View
from retell_voice.events import CallState

HANG_UP_AFTER = 3.0
"""Seconds of the agent's silence after which a call whose input is over is hung up."""
ANSWER_WITHIN = 10.0
"""The same while the agent owes an answer; after it, the next file is said all the same."""
GREETED_WITHIN = 5.0
"""Seconds in which an agent that speaks first has begun."""
PAUSE = 0.7
"""Seconds of the agent's silence after which it is your turn: between sentences it is shorter."""


class Input(Protocol):
    """What is said, turn by turn."""

    @property
    def is_waiting(self) -> bool:
        """Whether a turn waits for ``go_on``."""

    @property
    def is_speaking(self) -> bool:
        """Whether one is being said."""

    def go_on(self) -> None:
        """Say the next turn."""


class InputTurns:
    """Follows a call and says what is to be said.

    Args:
        source: of what is said.
        waits: each turn waits for the agent.
        speed: of time, relative to real time.
        is_over: tells, beside ``InputFinished``, that all has been said.
    """

    def __init__(
        self,
        source: Input,
        *,
        waits: bool = False,
        speed: float = 1.0,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._source = source
        self._waits = waits
        self._speed = speed
        self._is_over = is_over
        self._live_at: float | None = None
        self._went_on_at: float | None = None
        self._was_speaking = False
        self._over_at: float | None = None  # when the last turn ended, or the last line was said
        self._ended_at: float | None = None
        self._agent_began = -1.0

    def look(self, view: View) -> bool:
        """Say the next turn if it is time; return whether all has been said and answered."""
        if view.state is not CallState.LIVE:
            return False
        at = view.at
        if self._live_at is None:
            self._live_at = at
        if view.agent.since is not None:
            self._agent_began = view.agent.since
        source = self._source
        if self._was_speaking and not source.is_speaking:
            self._over_at = at
        self._was_speaking = source.is_speaking
        if source.is_waiting and self._may_go_on(view):
            self._went_on_at = self._over_at = at
            source.go_on()
            self._was_speaking = source.is_speaking
        if self._ended_at is None and self._is_over():
            self._ended_at = at
        finished = self._ended_at if view.input_finished_at is None else view.input_finished_at
        return finished is not None and self._is_answered(view, finished)

    def _may_go_on(self, view: View) -> bool:
        if not self._waits:
            return True
        if view.agent_speaking:
            return False
        said_at, live_at = self._said_at(view), self._live_at or 0.0
        if self._agent_began > said_at:
            return self._quiet(view, 0.0) >= PAUSE
        within = GREETED_WITHIN if self._went_on_at is None else ANSWER_WITHIN
        return self._quiet(view, max(said_at, live_at)) >= within

    def _is_answered(self, view: View, finished: float) -> bool:
        if view.agent_speaking:
            return False
        said_at = self._said_at(view)
        owes = said_at > max(self._agent_began, 0.0)
        limit = ANSWER_WITHIN if owes else HANG_UP_AFTER
        return self._quiet(view, max(said_at, finished)) >= limit

    def _said_at(self, view: View) -> float:
        """Return when the last turn ended; −1 before any."""
        heard = view.you.until if view.you.until > 0 else -1.0
        if self._went_on_at is None or self._over_at is None or heard > self._went_on_at:
            return heard  # without the silence at the end of a file
        return self._over_at

    def _quiet(self, view: View, since: float) -> float:
        """Return for how long the agent has been silent, in seconds of what is said."""
        return (view.at - max(view.agent.until, since)) * self._speed
