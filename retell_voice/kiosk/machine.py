"""Keeps the table of states going: events in, steps done, limits kept."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping

from retell_voice.kiosk.states import TABLE, Action, Event, Say, Standing, State, limit, step

_LATE = 5.0
"""Seconds past a limit after which the machine counts as stuck."""


class Machine:
    """How a kiosk stands, and what comes of what happens. All of it on one event loop.

    Args:
        do: does one step; may tell ``happen`` of something at once.
        changed: called after each event that has changed how it stands.
        limits: seconds of each state; read anew each time one begins.
        draw: gives numbers from 0 to 1, see ``limit``.
    """

    def __init__(
        self,
        do: Callable[[Action | Say], None],
        changed: Callable[[], None],
        limits: Callable[[], Mapping[State, float]],
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.standing = Standing()
        self._do = do
        self._changed = changed
        self._limits = limits
        self._draw = draw
        self._waiting: deque[tuple[Event, float]] = deque()
        self._is_working = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.standing.state

    @property
    def is_stuck(self) -> bool:
        """Whether a limit has passed and nothing has come of it."""
        if self._timer is None:
            return True
        return asyncio.get_running_loop().time() > self._timer.when() + _LATE

    def start(self) -> None:
        """Begin to count the first state's time."""
        self._arm(0.0)

    def stop(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def happen(self, event: Event, at_least: float = 0.0) -> None:
        """Take an event; what comes of it is done before this returns.

        ``at_least``: seconds for which the state that it leads to must last.
        """
        self._waiting.append((event, at_least))
        if self._is_working:  # a step has told of it: after the others
            return
        self._is_working = True
        try:
            while self._waiting:
                self._take(*self._waiting.popleft())
        finally:
            self._is_working = False

    def _take(self, event: Event, at_least: float) -> None:
        before = self.standing
        self.standing, steps = step(before, event)
        if (before.state, event) in TABLE:
            self._arm(at_least)
        for each in steps:
            self._do(each)
        if self.standing != before:
            self._changed()

    def _arm(self, at_least: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        seconds = max(at_least, limit(self.standing, self._limits(), self._draw))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self.happen, Event.LIMIT)
