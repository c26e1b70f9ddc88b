"""How long packets have to wait so that nearly all of them are there when their turn comes.

::

    arrival − timestamp ─▶ relative delay: against the fastest packet of the last 2 s
                        ─▶ its maximum in each half second
                        ─▶ a histogram that forgets ─▶ 95th percentile ─▶ target

Arrivals are counted in samples pulled, so the target covers what the device's blocks add, and a
sender whose clock runs fast or slow is followed. One stall weighs 2 %: it does not raise the
target, but the third within half a minute does.
"""

from __future__ import annotations

from collections import deque

import numpy as np

_WINDOW = 2.0
"""Seconds in which the fastest packet is looked for."""
_INTERVAL = 0.5
_BUCKETS = 100
_BUCKET = 0.005
_PERCENTILE = 0.95
_FORGET = 0.98
"""What an interval leaves of those before it."""
_JUMP = 1.0
"""Seconds of relative delay from which the past says nothing: the timestamps have jumped, or the
network was gone."""


class DelayEstimator:
    """Learns the target delay from arrivals.

    Args:
        rate: samples a second.
        target: lowest and highest target, seconds.
    """

    def __init__(self, rate: int, target: tuple[float, float]) -> None:
        self._window = round(_WINDOW * rate)
        self._interval = round(_INTERVAL * rate)
        self._bucket = _BUCKET * rate
        self._jump = round(_JUMP * rate)
        self._lowest, self._highest = (round(seconds * rate) for seconds in target)
        self.target = self._lowest
        """Samples that the fastest packet should wait before it is played."""
        # Transit times that may become the least of the window: each is less than those after it.
        self._transits: deque[tuple[int, int]] = deque()
        self._share = np.zeros(_BUCKETS)
        self._share[0] = 1.0
        self._slowest = 0
        self._interval_ends: int | None = None

    def delay(self, now: int, start: int) -> int:
        """Return how long the fastest packet waits if the sample ``start`` is played ``now``.

        0 before anything has arrived.
        """
        return now - start - self._transits[0][1] if self._transits else 0

    def arrived(self, now: int, start: int) -> None:
        """Take in that the packet with the sample ``start`` has arrived ``now``."""
        transit = now - start
        transits = self._transits
        if transits and transit - transits[0][1] > self._jump:
            transits.clear()
        while transits and transits[-1][1] >= transit:
            transits.pop()
        transits.append((now, transit))
        while transits[0][0] < now - self._window:
            transits.popleft()
        if self._interval_ends is None:
            self._interval_ends = now + self._interval
        elif now >= self._interval_ends:
            self._learn(self._slowest)
            self._slowest = 0
            self._interval_ends = now + self._interval
        self._slowest = max(self._slowest, transit - transits[0][1])

    def _learn(self, delay: int) -> None:
        self._share *= _FORGET
        self._share[min(int(delay / self._bucket), _BUCKETS - 1)] += 1 - _FORGET
        bucket = int(np.searchsorted(np.cumsum(self._share), _PERCENTILE))
        needed = round((bucket + 1) * self._bucket)
        self.target = min(max(needed, self._lowest), self._highest)
