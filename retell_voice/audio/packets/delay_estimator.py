"""How long packets should wait so that nearly all of them arrive in time.

::

    arrival − timestamp ─▶ relative delay: against the usual packet of the last 2 s
                        ─▶ its maximum in each half second
                        ─▶ a decaying histogram ─▶ 95th percentile ─▶ target

Arrivals are counted in samples pulled, so the target covers the delay of the device's blocks and
follows a sender whose clock runs fast or slow. *Usual* is the mean of the middle half. (NetEQ
compares with the fastest packet, but whether one makes it into an earlier block is chance.)
A single stall weighs 2 %: it does not raise the target, but the third within ten seconds does.
Until then stalls are left out, or two of them would have it cover nearly all other delays, too.

The redundancy of a lost packet is in the next one. While packets are lost every now and then, the
target is long enough to wait for it: a packet longer than the lowest.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

import numpy as np

_WINDOW = 2.0
"""Seconds over which the usual packet is determined."""
_FEW = 8
"""With fewer packets, the fastest counts as usual."""
_INTERVAL = 0.5
_BUCKETS = 100
_BUCKET = 0.005
_PERCENTILE = 0.95
_FORGET = 0.98
"""Forgetting factor per interval."""
_STALL = 0.12
"""Seconds of relative delay from which a half second counts as a stall."""
_TOO_LATE, _TOO_SOON = 1.0, 0.2
"""Seconds of relative delay from which the past is irrelevant: the timestamps have jumped, the
network was gone, or the device stalled."""
_LOSSES, _WITHIN, _HOLD = 2, 5.0, 10.0
"""So many losses in so many seconds are waited for, until there has been none for so long."""


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
        self._too_late, self._too_soon = round(_TOO_LATE * rate), round(_TOO_SOON * rate)
        self._lowest, self._highest = (round(seconds * rate) for seconds in target)
        self.target = self._lowest
        """Samples that the usual packet should wait before it is played."""
        self._needed = self._lowest  # for the arrivals
        self._within, self._hold = round(_WITHIN * rate), round(_HOLD * rate)
        self._losses: deque[int] = deque(maxlen=_LOSSES)
        self._redundant = 0  # length of the packets whose redundancy is waited for
        self._arrivals: deque[tuple[int, int]] = deque()  # when, and the transit time
        self._transits: list[int] = []  # the same transit times, in order of size
        self._usual = 0
        self._share = np.zeros(_BUCKETS)
        self._share[0] = 1.0
        self._slowest = 0
        self._interval_ends: int | None = None

    def delay(self, now: int, start: int) -> int:
        """Return how long the usual packet waits if the sample ``start`` is played ``now``.

        0 before anything has arrived.
        """
        return now - start - self._usual if self._arrivals else 0

    def arrived(self, now: int, start: int) -> None:
        """Record that the packet that begins with the sample ``start`` has arrived ``now``."""
        transit = now - start
        if self._arrivals and not -self._too_soon <= transit - self._usual <= self._too_late:
            self._arrivals.clear()
            self._transits.clear()
        self._arrivals.append((now, transit))
        insort(self._transits, transit)
        while self._arrivals[0][0] < now - self._window:
            del self._transits[bisect_left(self._transits, self._arrivals.popleft()[1])]
        self._usual = _usual(self._transits)
        if self._interval_ends is None:
            self._interval_ends = now + self._interval
        elif now >= self._interval_ends:
            self._learn(self._slowest)
            self._slowest = 0
            self._interval_ends = now + self._interval
        self._slowest = max(self._slowest, transit - self._usual)
        if self._redundant and now - self._losses[-1] > self._hold:
            self._redundant = 0
            self._aim()

    def lost(self, now: int, duration: int) -> None:
        """Record that a packet, as long as the others, was missing and the next has redundancy."""
        self._losses.append(now)
        if len(self._losses) == _LOSSES and now - self._losses[0] <= self._within:
            self._redundant = duration
            self._aim()

    def _learn(self, delay: int) -> None:
        self._share *= _FORGET
        self._share[min(int(delay / self._bucket), _BUCKETS - 1)] += 1 - _FORGET
        seen = np.cumsum(self._share)
        counted = seen[round(_STALL / _BUCKET) - 1]  # all but the stalls
        if counted < _PERCENTILE:
            counted = 1.0
        bucket = int(np.searchsorted(seen, _PERCENTILE * counted))
        self._needed = round((bucket + 1) * self._bucket)
        self._aim()

    def _aim(self) -> None:
        needed = max(self._needed, self._lowest + self._redundant)
        self.target = min(needed, self._highest)


def _usual(transits: list[int]) -> int:
    """Return the mean of the middle half of transit times in order of size."""
    if len(transits) < _FEW:
        return transits[0]
    quarter = len(transits) // 4
    middle = transits[quarter : len(transits) - quarter]
    return sum(middle) // len(middle)
