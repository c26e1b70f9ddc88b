"""The agent's endless stream: what it says, 20 ms at a time, and silence in between. Pure."""

from __future__ import annotations

from collections import deque

import numpy as np

from retell_voice.audio.format import Samples

FRAME_MS = 20
"""Length of what is taken at a time, ms."""

_FADE_MS = 6


class AgentStream:
    """Queues what the agent says.

    Args:
        rate: samples a second.
        limit: seconds that may wait; ``has_room`` is False beyond.
    """

    def __init__(self, rate: int, limit: float = 600.0) -> None:
        self._frame = rate * FRAME_MS // 1000
        self._fade = rate * _FADE_MS // 1000
        self._limit = int(rate * limit)
        self._queue: deque[Samples] = deque()
        self.waiting = 0
        """Samples that wait."""

    @property
    def has_room(self) -> bool:
        """Whether more may be added."""
        return self.waiting < self._limit

    def push(self, samples: Samples) -> None:
        """Add samples, shape (n,)."""
        self._queue.append(samples)
        self.waiting += len(samples)

    def clear(self) -> None:
        """Drop what waits; its first 6 ms are still heard, fading."""
        rest = self._take(self._fade)
        self._queue.clear()
        self.waiting = 0
        if len(rest):
            fade = np.linspace(1.0, 0.0, len(rest), endpoint=False)
            self.push((rest * fade).astype(np.int16))

    def pull(self) -> Samples:
        """Return the next 20 ms."""
        said = self._take(self._frame)
        return np.pad(said, (0, self._frame - len(said)))

    def _take(self, count: int) -> Samples:
        taken: list[Samples] = []
        while count and self._queue:
            first = self._queue.popleft()
            taken.append(first[:count])
            if len(first) > count:
                self._queue.appendleft(first[count:])
            count -= len(taken[-1])
            self.waiting -= len(taken[-1])
        return np.concatenate(taken) if taken else np.zeros(0, np.int16)
