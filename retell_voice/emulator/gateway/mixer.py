"""What a listener hears: both sides of a call, mixed. Pure."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.emulator.gateway.agent_stream import FRAME_MS, AgentStream

_READY_MS = 2 * FRAME_MS  # that a source must have before it is heard, so that it has no gaps
_LIMIT_MS = 200  # that a source may have: a listener is no further behind


class Mixer:
    """Adds up sources that come in real time, each by a clock of its own.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._frame = rate * FRAME_MS // 1000
        self._ready = rate * _READY_MS // 1000
        self._limit = rate * _LIMIT_MS // 1000
        self._sources: dict[str, AgentStream] = {}
        self._heard: set[str] = set()

    def push(self, source: str, samples: Samples) -> None:
        """Take samples of a source, shape (n,)."""
        stream = self._sources.setdefault(source, AgentStream(self._rate))
        stream.push(samples)
        while stream.waiting > self._limit:
            stream.pull()
        if stream.waiting >= self._ready:
            self._heard.add(source)

    def pull(self) -> Samples:
        """Return the next 20 ms."""
        total = np.zeros(self._frame, np.int32)
        for source in tuple(self._heard):
            stream = self._sources[source]
            total += stream.pull()
            if not stream.waiting:
                self._heard.discard(source)
        return np.clip(total, -32768, 32767).astype(np.int16)
