"""From which excess over the expected echo there is near-end speech. Pure.

How far an echo alone exceeds the expected level depends on the room: within five minutes by up to
1.3 dB at a desk, by up to 2.1 dB in a diffuse room. Somebody who begins to speak during a loud word
exceeds it by little more at first. So the threshold is just above what echoes alone have reached in
this room, once that is known.
"""

from __future__ import annotations

_LOWEST, _HIGHEST = 1.6, 2.5
"""dB; the second is also used while the room is unknown."""
_ABOVE = 1.4
"""Ratio of the threshold to the largest excess of an echo alone, both in dB."""
_LOWER = 0.6
"""Ratio of the excess below which speech may be over to the threshold."""
_SEGMENT = 100
"""Blocks of echo whose largest excess counts once, if neither they nor as many after them hold
near-end speech: it begins before it is noticed."""
_KNOWN = 20
"""Segments after which the room is known."""
_MEMORY = 0.995
"""Factor per segment by which the largest excess is forgotten: half is left after 140 s of echo."""


class Threshold:
    """Learns what echoes reach, block by block of 10 ms."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the room."""
        self.begins = _HIGHEST
        """dB of excess from which there is near-end speech."""
        self._reached = self._largest = 0.0
        self._before: float | None = None
        self._blocks = self._segments = 0

    @property
    def ends(self) -> float:
        """dB of excess below which there is none, after some time."""
        return _LOWER * self.begins

    def step(self, excess: float, *, near: bool) -> None:
        """Take the next block in which the echo should be heard, or was a moment ago.

        Args:
            excess: over what is expected, dB.
            near: there is near-end speech.
        """
        if near:
            self._largest, self._before, self._blocks = 0.0, None, 0
            return
        self._largest = max(self._largest, excess)
        self._blocks += 1
        if self._blocks < _SEGMENT:
            return
        if self._before is not None:
            self._reached = max(self._before, self._reached * _MEMORY)
            self._segments += 1
        self._before, self._largest, self._blocks = self._largest, 0.0, 0
        if self._segments >= _KNOWN:
            self.begins = min(max(_ABOVE * self._reached, _LOWEST), _HIGHEST)
