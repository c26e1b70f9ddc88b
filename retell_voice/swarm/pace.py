"""One clock for all callers: when which of them sends its next frame.

::

    join ─▶ heap of (due, caller) ─▶ one timer of the event loop ─▶ tick, once a frame each
                                                                      └─ how late it was

Callers begin at different places within a frame, as people do, so that not all of them send in the
same millisecond.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable

from retell_voice.swarm.figures import Times

LATE = 0.02
"""Seconds; a loop that is later than that with more than a twentieth of its frames is too slow:
what it measures of the server would be its own delay."""
_WINDOW = 1.0
_LEAST = 20  # frames by which it can be judged
_MOST_AT_ONCE = 50  # frames, before others have their turn on the loop
_GOLDEN = 0.618034

Tick = Callable[[], bool]
"""Sends a frame; returns whether another one follows."""


class Pace:
    """Calls every caller once a frame.

    Args:
        frame: seconds that a frame lasts.
        late: gets how late each frame was sent.
    """

    def __init__(self, frame: float, late: Times) -> None:
        self._frame = frame
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._due: list[tuple[float, int, Tick, float]] = []
        self._joined = 0
        self._timer: asyncio.Handle | None = None
        self._lateness: deque[tuple[float, bool]] = deque()

    def join(self, tick: Tick, at: float | None = None) -> float:
        """Call this from a time on, which is returned; None: soon.

        A time that has passed is no lateness of ours: the caller had to wait for the server.
        """
        self._joined += 1
        now = self._loop.time()
        if at is None:
            at = now + self._joined * _GOLDEN % 1 * self._frame
        heapq.heappush(self._due, (at, self._joined, tick, now))
        self._set()
        return at

    def leave(self, tick: Tick) -> None:
        """Call this no more."""
        self._due = [each for each in self._due if each[2] != tick]
        heapq.heapify(self._due)
        self._set()

    def late_share(self) -> float:
        """Return the share of the last second's frames that were late; 0 of a few."""
        self._forget(self._loop.time())
        if len(self._lateness) < _LEAST:
            return 0.0
        return sum(late for _, late in self._lateness) / len(self._lateness)

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due[0][0], self._run) if self._due else None

    def _run(self) -> None:
        self._timer = None
        for _ in range(_MOST_AT_ONCE):
            if not self._due:
                return
            now = self._loop.time()
            due, number, tick, joined = self._due[0]
            if due > now:
                break
            # Before the call, which may take others out.
            heapq.heapreplace(self._due, (due + self._frame, number, tick, joined))
            self._note(now, now - max(due, joined))
            goes_on = False
            try:
                goes_on = tick()
            finally:  # one caller's defect is not to stop the others
                if not goes_on:
                    self.leave(tick)
        self._set()

    def _note(self, now: float, late: float) -> None:
        self._late.add(late)
        self._lateness.append((now, late > LATE))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._lateness and self._lateness[0][0] < now - _WINDOW:
            self._lateness.popleft()
