"""When somebody speaks, by loudness: for figures, not for deciding what to send."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power

_WINDOW = 0.01
_QUIET = 32768**2 * 10 ** (-50 / 10)
"""Mean square that is quiet in any room: −50 dBFS."""
_ABOVE_NOISE = 10.0
"""Least power of a voice relative to the room noise: 10 dB."""
_RISE = 10 ** (0.1 * _WINDOW)
"""Rise of the noise floor per louder window: 1 dB per second. It falls at once."""
_LOUD_WINDOWS, _OF_WINDOWS = 4, 6
"""Loud windows, among the last ones, that start a span: a click does not."""
_PAUSE = 0.3
"""Seconds of quiet that end a span; shorter ones are between words."""
_KEPT = 8


class Span(NamedTuple):
    """Speech without a pause; seconds on the clock of ``listen``."""

    begin: float
    end: float


class SpeechSpans:
    """Listens to a stream; one thread does, others may read ``spans``.

    A voice is at least 10 dB louder than the noise of the room and louder than −50 dBFS. Begin and
    end are exact to about 10 ms.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self.spans: tuple[Span, ...] = ()
        """The latest ones, oldest first; the last may still be going on."""
        self._rate = rate
        self._window = round(_WINDOW * rate)
        self._rest: Samples = np.zeros(0, np.int16)
        self._floor = inf  # until something was heard
        self._recent = [False] * _OF_WINDOWS

    def listen(self, samples: Samples, at: float) -> None:
        """Take samples, shape (n,), the first of which was spoken at a time, seconds."""
        if len(self._rest):
            at -= len(self._rest) / self._rate
            samples = np.concatenate((self._rest, samples))
        whole = len(samples) // self._window * self._window
        for start in range(0, whole, self._window):
            here = samples[start : start + self._window]
            self._judge(power(here), at + start / self._rate)
        self._rest = samples[whole:].copy()

    def _judge(self, loud: float, begin: float) -> None:
        is_loud = loud > max(_QUIET, self._floor * _ABOVE_NOISE)
        if loud:
            self._floor = min(loud, self._floor * _RISE)
        elif self._floor == inf:  # digital silence: later on, it is muted, and the floor stays
            self._floor = _QUIET / _ABOVE_NOISE
        self._recent = [*self._recent[1:], is_loud]
        if not is_loud:
            return
        end = begin + _WINDOW
        last = self.spans[-1] if self.spans else None
        if last is not None and begin - last.end < _PAUSE:
            self.spans = (*self.spans[:-1], Span(last.begin, end))
        elif sum(self._recent) >= _LOUD_WINDOWS:
            first = self._recent.index(True)
            span = Span(begin - (_OF_WINDOWS - 1 - first) * _WINDOW, end)
            self.spans = (*self.spans, span)[-_KEPT:]
