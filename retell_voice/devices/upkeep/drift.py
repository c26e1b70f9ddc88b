"""How fast a device's clock runs."""

from __future__ import annotations

_WARM_UP = 2.0
_LEAST = 60.0


class ClockDrift:
    """Compares samples passed with time elapsed.

    Args:
        rate: the device's nominal samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._began: float | None = None
        self._first: tuple[float, int] | None = None
        self.ppm: float | None = None
        """How fast the device is, parts per million; None until known."""

    def look(self, now: float, samples: int) -> None:
        """Note that ``samples`` have passed in total at time ``now``, seconds."""
        if self._began is None:
            self._began = now
        if self._first is None:
            if now - self._began >= _WARM_UP and samples:  # devices start with a burst
                self._first = now, samples
            return
        elapsed = now - self._first[0]
        if elapsed >= _LEAST:
            passed = (samples - self._first[1]) / self._rate
            self.ppm = (passed / elapsed - 1) * 1e6
