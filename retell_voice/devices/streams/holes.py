"""What a stream has lost, by the times of its blocks. Pure: time is an argument.

::

    time of a block − samples so far
                          ┌──────────  a hole: everything after it is later, for good
    ────────┐  ┌──────────┘
            └──┘        mere jitter returns; blocks that were late and come at once are less
                        and less late

Sound servers do not say how much they have dropped or, in playback, filled with silence, and seldom
that they have. Their times do, to within a millisecond.
"""

from __future__ import annotations

_LEAST = 0.003
"""Seconds: the shortest hole. Servers work in steps of 5 ms and more."""
_JITTERS = 4.0
"""Mean jitters that a hole is longer than."""
_FIRST_JITTER = 0.003
"""Mean jitter until it is known, seconds."""
_BLOCKS = 3
"""Blocks in a row that must agree: some single times are wrong."""
_ALIKE, _ALIKE_JITTERS = 0.002, 2.0
"""Seconds, or mean jitters, to within which; never more than a block, by which what comes at once
differs."""
_SLOW = 25
"""Blocks that are late, but do not agree, after which the times are believed."""
_UP, _DOWN = 1 / 8, 1 / 64
"""Shares by which the clock follows. Down is slower: blocks that wait for their reader may be dated
10 ms early until all are read, and that they no longer are is no hole."""


class Holes:
    """Finds holes in one stream.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._due: float | None = None
        self._jitter = _FIRST_JITTER  # mean
        self._late = 0  # blocks in a row
        self._least = self._most = 0.0  # by how much, since they agree
        self._agree = 0

    def note_rt(self, at: float, count: int) -> float:
        """Runs on: the stream's thread. Return seconds that are missing, 0.0 mostly.

        They are missing shortly before this block, and are told once.

        Args:
            at: the time of its first sample, seconds of any clock.
            count: its samples.
        """
        length = count / self._rate
        due = at if self._due is None else self._due
        shift = at - due
        hole = 0.0
        if shift <= max(_LEAST, _JITTERS * self._jitter):
            self._late = self._agree = 0
            # Times that moved to earlier are no jitter: it would hide the next hole.
            jitter = min(abs(shift), max(_LEAST, _JITTERS * self._jitter))
            self._jitter += (jitter - self._jitter) / 16
            due += shift * (_UP if shift > 0 else _DOWN)
        else:
            self._late += 1
            hole = self._confirmed_rt(shift, length)
            if hole or self._late >= _SLOW:
                due += hole or shift
                self._late = self._agree = 0
        self._due = due + length
        return hole

    def _confirmed_rt(self, shift: float, length: float) -> float:
        alike = min(max(_ALIKE, _ALIKE_JITTERS * self._jitter), length)
        self._least, self._most = min(self._least, shift), max(self._most, shift)
        if not self._agree or self._most - self._least > alike:
            self._least = self._most = shift
            self._agree = 0
        self._agree += 1
        return (self._least + self._most) / 2 if self._agree == _BLOCKS else 0.0
