"""Whether a kiosk is alive: samples flow both ways, and its states keep their limits.

That the event loop runs is shown by being asked on it. Devices that are away have stand-ins, whose
samples flow, too: what does not flow is what no reopening will cure.
"""

from __future__ import annotations

from collections.abc import Callable


class Vitals:
    """Looks now and then.

    Args:
        positions: returns the sample counters of near end and far end; None while no devices are
            open.
        is_stuck: whether the state machine is.
        fault: returns what has ended a thread that carries sound, if anything has.
    """

    def __init__(
        self,
        positions: Callable[[], tuple[int, int] | None],
        is_stuck: Callable[[], bool],
        fault: Callable[[], Exception | None] = lambda: None,
    ) -> None:
        self.trouble = ""
        """What does not move, one line; empty while all does."""
        self.misses = 0
        """Looks in a row at which something did not."""
        self._positions = positions
        self._is_stuck = is_stuck
        self._fault = fault
        self._seen: tuple[int, int] | None = None

    def look(self) -> bool:
        """Return whether everything has moved since the last look."""
        now, before = self._positions(), self._seen
        self._seen = now
        still = []
        if now is not None and before is not None:
            sides = zip(("the microphone", "the speaker"), now, before, strict=True)
            still = [name for name, new, old in sides if new == old]
        if self._is_stuck():
            still.append("the state machine")
        self.trouble = f"{' and '.join(still)} stood still" if still else ""
        if (fault := self._fault()) is not None:
            self.trouble = f"a thread that carries sound has failed: {fault!r}"
        self.misses = self.misses + 1 if self.trouble else 0
        return not self.trouble
