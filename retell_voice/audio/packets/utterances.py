"""Where utterances start and stop in a continuous stream, by loudness."""

from __future__ import annotations

from collections import deque

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.playout_reports import Report, Started, Stopped

_WINDOW = 0.01
_LOUD = -50.0
"""Level of a window that is speech, dBFS (RMS)."""
_HANGOVER = 0.3
"""Seconds of quiet that end an utterance."""


class Utterances:
    """Listens to what is played and reports where utterances start and stop.

    Args:
        rate: samples a second.
        reports: gets a ``Started`` at the first loud 10 ms, and a ``Stopped`` at the end of the
            last, after 0.3 s of quiet.
    """

    def __init__(self, rate: int, reports: deque[Report]) -> None:
        self.speaking = False
        """True from a ``Started`` to its ``Stopped``."""
        self._reports = reports
        self._window = round(_WINDOW * rate)
        self._loud = self._window * (32768 * 10 ** (_LOUD / 20)) ** 2
        self._hangover = round(_HANGOVER * rate)
        self._energy = 0.0
        self._heard = 0  # samples of this window
        self._loud_until = 0
        self._deaf_until = 0

    def hear(self, samples: Samples, position: int) -> None:
        """Listen to what is played, shape (n,), from this position on."""
        if position < self._deaf_until:
            deaf = min(self._deaf_until - position, len(samples))
            samples, position = samples[deaf:], position + deaf
        while len(samples):
            part = samples[: self._window - self._heard].astype(np.float32)
            self._energy += float(np.dot(part, part))
            self._heard += len(part)
            samples, position = samples[len(part) :], position + len(part)
            if self._heard == self._window:
                self._judge(position)

    def interrupt(self, position: int, discarded: int) -> None:
        """Expect silence from this position on, and ignore the fade-out until then.

        Reports an utterance that this cuts off, with the samples discarded.
        """
        self._deaf_until = position
        self._energy, self._heard = 0.0, 0
        if self.speaking:
            self._stop(Stopped(position, True, discarded))

    def finish(self, position: int) -> None:
        """Report the end, if somebody speaks, without waiting for 0.3 s of quiet."""
        self._judge(position)
        if self.speaking:
            self._stop(Stopped(self._loud_until))

    def _judge(self, position: int) -> None:
        loud, start = self._energy >= self._loud, position - self._heard
        self._energy, self._heard = 0.0, 0
        if loud:
            self._loud_until = position
            if not self.speaking:
                self.speaking = True
                self._reports.append(Started(start))
        elif self.speaking and position - self._loud_until >= self._hangover:
            self._stop(Stopped(self._loud_until))

    def _stop(self, report: Stopped) -> None:
        self.speaking = False
        self._reports.append(report)
