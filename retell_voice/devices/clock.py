"""One thread that keeps time for all devices of a process that have no clock themselves.

::

    begin(period, tick) ──▶ beat of that period ─┐
    begin(period, tick) ──▶      "               ├─▶ clock thread: tick, tick, … sleep
    begin(period, tick) ──▶ beat of another ─────┘

Devices with the same period tick together, so hundreds of them cost a few wake-ups a period, not
one each. A few rather than one, so that their frames do not all come in one burst. A late tick is
caught up, so none is ever skipped, but those that all of a beat can do without: a tick may return
how many of the next ones are needless. The thread runs only while anything ticks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from operator import attrgetter

WATCH_SECONDS = 0.2
"""From one look at devices to the next: one for all who look, so that they share a wake-up."""
LEFT_OUT = 4
"""How many looks in a row each of them does without while there is nothing to see."""

_STOP_SECONDS = 1.0
_POLL_SECONDS = 0.0005
_PHASES = 4
"""Beats of one period, evenly spaced."""
_CROWD = 16
"""Devices in one beat before the next beat gets any, in turn."""


Tick = Callable[[], int | None]
"""Returns how many of the next ticks are needless, if any."""


class Ticking:
    """Something that ticks, until it is ended; made by ``Clock.begin``."""

    __slots__ = ("beat", "busy", "failed", "running", "tick_rt")

    def __init__(self, beat: _Beat, tick_rt: Tick, failed: Callable[[Exception], None]) -> None:
        self.beat = beat
        self.tick_rt = tick_rt
        self.failed = failed
        self.running = True
        self.busy = False


class _Beat:
    """Everything of one period and phase, 0 <= phase < 1. ``members`` is replaced, never mutated:
    the thread reads it."""

    def __init__(self, period: float, phase: float) -> None:
        self.period = period
        now = time.monotonic()
        self.due = now + (phase * period - now) % period
        self.members: tuple[Ticking, ...] = ()


class Clock:
    """Calls functions periodically, all on one thread.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()  # never held during a tick
        self._beats: dict[tuple[float, int], _Beat] = {}
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, period: float, tick_rt: Tick, failed: Callable[[Exception], None]) -> Ticking:
        """Begin to call ``tick_rt`` every ``period`` seconds; the first time within one period.

        ``failed`` is called instead, once, if it raised.
        """
        with self._lock:
            beat = self._least_crowded(period)
            ticking = Ticking(beat, tick_rt, failed)
            beat.members += (ticking,)
            self._hasten(beat)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        return ticking

    def end(self, ticking: Ticking) -> None:
        """Stop calling; when this returns, the last call has returned, too. Safe to call twice, and
        from the tick itself."""
        ticking.running = False
        with self._lock:
            beat = ticking.beat
            if ticking in beat.members:
                beat.members = tuple(each for each in beat.members if each is not ticking)
                if not beat.members:
                    self._beats = {k: each for k, each in self._beats.items() if each is not beat}
                    self._changed.set()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        deadline = time.monotonic() + _STOP_SECONDS
        # The thread sets busy, then checks running: one of the two is always seen.
        while ticking.busy and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        while not self._beats and thread.is_alive() and time.monotonic() < deadline:
            thread.join(_POLL_SECONDS)

    def hasten(self, ticking: Ticking) -> None:
        """Take back what was needless: it ticks within one period."""
        with self._lock:
            self._hasten(ticking.beat)

    def _hasten(self, beat: _Beat) -> None:
        while beat.due > time.monotonic() + beat.period:
            beat.due -= beat.period
            self._changed.set()

    def _least_crowded(self, period: float) -> _Beat:
        def crowds(phase: int) -> int:
            beat = self._beats.get((period, phase))
            return len(beat.members) // _CROWD if beat else 0

        phase = min(range(_PHASES), key=crowds)
        beat = self._beats.get((period, phase))
        if beat is None:
            beat = self._beats[period, phase] = _Beat(period, phase / _PHASES)
            self._changed.set()
        return beat

    def _run(self) -> None:
        while True:
            self._changed.clear()
            with self._lock:
                if not self._beats:
                    self._thread = None
                    return
                beat = min(self._beats.values(), key=attrgetter("due"))
            early = beat.due - time.monotonic()
            if early > 0 and self._changed.wait(early):
                continue
            needless: list[int] = []
            members = beat.members
            for ticking in members:
                ticking.busy = True
                if ticking.running:
                    try:
                        needless.append(ticking.tick_rt() or 0)
                    except Exception as error:
                        ticking.running = False
                        ticking.failed(error)
                ticking.busy = False
            with self._lock:
                skipped = min(needless, default=0) if beat.members is members else 0
                beat.due += beat.period * (1 + skipped)


CLOCK = Clock("retell-voice clock")
"""The clock of this process."""
WATCH = Clock("retell-voice watch")
"""Another, for looks at devices, which may take a while; those of one period cost one wake-up."""
