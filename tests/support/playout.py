"""Jitter buffers under test at 1 sample a millisecond: thresholds read as milliseconds."""

import numpy as np

from retell_voice.audio.playout import Playout
from retell_voice.audio.playout_reports import Started

RATE = 1000
FADE = 6
FADE_IN = (1 - np.cos(np.pi * np.arange(FADE) / (FADE - 1))) / 2
"""A raised cosine: the gain of the first samples after a gap."""

END = 300


def speech(count: int, start: int = 1) -> np.ndarray:
    return np.arange(start, start + count).astype(np.int16)


class Plain(Playout):
    """Without concealment, so that every sample that is heard was pushed."""

    def _conceal(self) -> None: ...


def pull(playout: Playout, count: int, block: int = 10) -> list[int]:
    out = np.full(count, -1, np.int16)
    for begin in range(0, count, block):
        playout.pull(out[begin : begin + block])
    return out.tolist()


class Listener:
    """Pulls, and knows from the books alone which samples must be heard, where and how loud."""

    def __init__(self, playout: Playout) -> None:
        self.playout = playout
        self.dry = False
        self.since_gap = FADE

    def pull(self, block: int) -> tuple[np.ndarray, np.ndarray, slice]:
        """Return what was pulled, the gain of each sample queued that was in it, and its place."""
        playout, out = self.playout, np.full(block, -1, np.int16)
        heard, begin, reports = playout.heard, playout.position, len(playout.reports)
        playout.pull(out)
        count = playout.heard - heard
        new = list(playout.reports)[reports:]
        at = next((report.position - begin for report in new if isinstance(report, Started)), None)
        if at is not None:
            self.since_gap = FADE
        elif count and self.dry:
            self.since_gap = 0
        place = slice(at or 0, (at or 0) + count)
        gain = np.append(FADE_IN[self.since_gap :], np.ones(count))[:count]
        self.since_gap = min(FADE, self.since_gap + count)
        self.dry = place.stop < block
        return out, gain, place
