"""How much latency to request: little, more while there are gaps. Pure: time is an argument.

::

    low ──▶ 0.03 ──▶ 0.06 ──▶ 0.12 s        two gaps within 5 s: a step up, every 2 s at most
     └─────────┴────────┴───────▲            four within 1 s: all the way up
        ◀──      ◀──      ◀──                20 s without a gap: a step down, in a pause

A step may cost a gap itself, since the device is reopened for it. So each relapse, a step up after
a step down, doubles the gap-free time that the next step down waits for, up to 10 minutes.
"""

from __future__ import annotations

from collections import deque

from retell_voice.devices.ports import Latency

STEPS: tuple[Latency, ...] = ("low", 0.03, 0.06, 0.12)
"""Latencies to suggest to PortAudio, seconds; the first is the device's minimum."""

_BLOCKS_BEHIND = 3
_JITTERS = 4
_PRECISE = 0.005
"""Mean jitter, in blocks, below which timestamps are exact; PulseAudio's estimates are not."""
_EXACT_GAP, _INEXACT_GAP = 0.25, 0.5
"""Shortest detectable gaps, in blocks. PulseAudio corrects its timestamps by up to 3 ms."""
_WINDOW = 5.0
_MANY, _MANY_WINDOW = 4, 1.0
_SETTLE = 1.0
"""Seconds after a start during which gaps do not count: devices stumble on starting."""
_PACE = 2.0
_CALM, _LONGEST_CALM = 20.0, 600.0


class GapMeter:
    """Detects gaps from the times at which blocks will be, or were, heard.

    Sound servers do not report gaps. In playback they fill them, in capture they discard what does
    not fit: everything after is heard later than before, for good, whereas mere jitter returns. And
    a block for playback that comes just before it is due has come too late for some buffer on its
    way.
    """

    def __init__(self) -> None:
        self._jitter = 0.0  # mean, seconds
        self._due = 0.0
        self._behind = 0
        self._late = True  # before a stream's first blocks nothing was to be heard

    def note_rt(self, heard: float, lead: float, length: float, latency: float) -> bool:
        """Runs on: audio callback thread. Return whether there was a gap.

        Args:
            heard: when the block will be, or was, heard; seconds of any clock.
            lead: seconds from now until then.
            length: of the block, seconds.
            latency: as reported by the device.
        """
        was_late, self._late = self._late, lead < latency / 3
        if not self._due:
            self._due = heard
            self._jitter = length / 8  # more than most, until known
        shift = heard - self._due
        least = _EXACT_GAP if self._jitter < _PRECISE * length else _INEXACT_GAP
        if shift <= max(least * length, _JITTERS * self._jitter):
            self._behind = 0
            self._jitter += (abs(shift) - self._jitter) / 16
            shift /= 8  # clocks drift
        else:
            self._behind += 1
            if self._behind < _BLOCKS_BEHIND:
                shift = 0.0
        self._due += shift + length
        gap = self._behind == _BLOCKS_BEHIND
        if gap:
            self._behind = 0
        return gap or (self._late and not was_late)


class LatencySteps:
    """Decides when the latency of one device changes."""

    def __init__(self) -> None:
        self._step = 0
        self._seen = 0
        self._gaps: deque[float] = deque(maxlen=_MANY)
        self._changed: float | None = None  # when it was started, or went on after a rest
        self._calm_since = self._looked = 0.0
        self.went_down = False
        """Whether the last change lowered the latency."""
        self._calm = _CALM

    @property
    def suggested(self) -> Latency:
        """The latency to request, seconds or ``"low"``."""
        return STEPS[self._step]

    @property
    def raised(self) -> bool:
        """Whether that is more than the least."""
        return self._step > 0

    def restarted(self, now: float) -> None:
        """Note that the device was started and counts its gaps from 0."""
        self._changed, self._calm_since, self._seen = now, now, 0
        self._gaps.clear()

    def resumed(self, now: float, gaps: int) -> None:
        """Note that the device goes on after a rest; ``gaps``: as for ``look``. None of them
        counts, and the time since the last look is no calm: long blocks prove little. What was calm
        before does count, or short calls would never see a latency lowered."""
        self._calm_since += now - self._looked
        self._changed = self._looked = now
        self._seen = gaps
        self._gaps.clear()

    def look(self, now: float, gaps: int, *, pause: bool) -> bool:
        """Return whether to reopen the device with the latency now ``suggested``.

        Args:
            now: the time, seconds.
            gaps: times that the device lost audio since it was started.
            pause: nothing would be lost by reopening it now.
        """
        if self._changed is None:
            self._changed = self._calm_since = now
        self._looked = now
        news, self._seen = gaps - self._seen, gaps
        since = now - self._changed
        if since < _SETTLE:
            return False
        if news:
            self._calm_since = now
            self._gaps.extend([now] * min(news, _MANY))
        if len(self._gaps) >= 2 and now - self._gaps[-2] <= _WINDOW and since >= _PACE:
            return self._up(now)
        if self._step and pause and now - self._calm_since >= self._calm:
            self._step -= 1
            self.went_down = True
            self.restarted(now)
            return True
        return False

    def _up(self, now: float) -> bool:
        if self._step == len(STEPS) - 1:
            return False
        if self.went_down:
            self._calm = min(2 * self._calm, _LONGEST_CALM)
        many = len(self._gaps) == _MANY and now - self._gaps[0] <= _MANY_WINDOW
        self._step = len(STEPS) - 1 if many else self._step + 1
        self.went_down = False
        self.restarted(now)
        return True
