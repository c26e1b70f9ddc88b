"""The port of echo control, and how it is fed.

::

    near end (what the microphone heard)  ─▶ ┌────────┐ 10 ms ┌─────────────┐
                                             │ Blocks │ ────▶ │ EchoControl │ ─▶ near end, no echo
    far end (what was played meanwhile)   ─▶ └────────┘       └─────────────┘

The far end is what came out of the speaker when the microphone heard the near end: after volume
and fades, silence included. Both have the microphone's rate. The times need not match exactly, but
the echo must come after its reference: up to 300 ms late costs nothing, 5 ms early costs 15 dB and
more, and at 20 ms early nothing is cancelled at all. So if the times are uncertain, feed the far
end some tens of milliseconds early.

All of this runs on one thread, reads no clock and opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from retell_voice.audio.format import MAX_RATE, MIN_RATE, Samples

BLOCK_SECONDS = 0.01
_COST_SHARE = 0.001
"""Share of the latest block in the mean cost: the mean of about ten seconds."""


class EchoState(StrEnum):
    """Convergence of echo control."""

    OFF = "off"
    """It does nothing about echo."""
    CONVERGING = "converging"
    """It has not adapted to the room yet, or no longer."""
    CONVERGED = "converged"
    """It removes what can be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoMeasures:
    """What is known about the echo and its removal.

    Attributes:
        state: see ``EchoState``.
        erle: echo return loss enhancement, dB: how much quieter the echo is in the output than in
            the microphone. Over the last two seconds with far end and without near-end speech;
            None before the first.
        echo: level of the echo in the microphone relative to what was played, dB; over the same
            seconds.
        activity: seconds for which the far end was heard since the last reset.
        guarded: whether the guard is blocking echo the canceller may let through.
        cost: CPU seconds per block of 10 ms, mean of the last ten seconds; None without a
            clock.
    """

    state: EchoState = EchoState.OFF
    erle: float | None = None
    echo: float | None = None
    activity: float = 0.0
    guarded: bool = False
    cost: float | None = None


class EchoControl(Protocol):
    """Echo control at one rate; for one thread."""

    @property
    def name(self) -> str:
        """Its name, for people."""

    @property
    def delay(self) -> float:
        """Delay it adds to the near end, seconds."""

    @property
    def gain(self) -> float:
        """dB by which it amplified the last block (automatic gain); 0 if it never does."""

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the near end without echo, ``delay`` later.

        Args:
            near, far: ``block_samples(rate)`` of each; not modified.
        """

    def reset(self) -> None:
        """Forget the room: a device was switched. Not after a call or a ``clear``."""

    def measures(self) -> EchoMeasures:
        """Return what is known so far."""


def block_samples(rate: int) -> int:
    """Return the samples of a block: 10 ms, at 11025 and 22050 Hz 0.3 % less.

    Cancellers divide the second into 100 whole blocks. A rate that is not a multiple of 100 is
    presented to them as the next lower one that is; the processing stays the same.

    Raises:
        ValueError: the rate is outside 8000–48000 Hz.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise ValueError(f"a rate of {rate} Hz is outside {MIN_RATE}–{MAX_RATE} Hz")
    return rate // 100


class Blocks:
    """Feeds an ``EchoControl`` with blocks of 10 ms, whatever the input.

    Input of 10 ms, or a multiple, comes out with the same length. From other input, up to 10 ms
    wait for the next: each sample comes out as soon as its block is complete.

    Args:
        control: the echo control to feed.
        rate: samples a second.
        clock: returns seconds, to measure the cost; best the thread's own CPU time.
    """

    def __init__(
        self, control: EchoControl, rate: int, clock: Callable[[], float] | None = None
    ) -> None:
        self.control = control
        self._size = block_samples(rate)
        self._clock = clock
        self._cost: float | None = None
        self._blocks = 0
        self._near = self._far = np.zeros(0, np.int16)

    @property
    def held(self) -> int:
        """Samples waiting for the rest of their block."""
        return len(self._near)

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the near end without echo, shape (m,), as far as it is complete.

        Args:
            near, far: shape (n,), any n, of the same time.

        Raises:
            ValueError: one is longer than the other.
        """
        if len(near) != len(far):
            raise ValueError(f"{len(near)} samples of near end, {len(far)} of far end")
        if not self.held and len(near) == self._size:
            return self._block(near, far)
        near = np.concatenate((self._near, near))
        far = np.concatenate((self._far, far))
        whole = len(near) - len(near) % self._size
        self._near, self._far = near[whole:], far[whole:]
        starts = range(0, whole, self._size)
        done = [self._block(near[i : i + self._size], far[i : i + self._size]) for i in starts]
        return np.concatenate(done) if done else near[:0]

    def skip(self, far: Samples) -> None:
        """Take far end, shape (n,), of a time whose near end was lost.

        The control hears silence for it; of less than a block it hears nothing. What it still held
        of the near end before, its delay, is lost, too.
        """
        for start in range(len(far) % self._size, len(far), self._size):
            self._block(np.zeros(self._size, np.int16), far[start : start + self._size])

    def reset(self) -> None:
        """Drop waiting samples and forget the room: a device was switched."""
        self._near = self._far = self._near[:0]
        self.control.reset()

    def measures(self) -> EchoMeasures:
        """Return what is known so far, the cost included."""
        return replace(self.control.measures(), cost=self._cost)

    def _block(self, near: Samples, far: Samples) -> Samples:
        if self._clock is None:
            return self.control.process(near, far)
        began = self._clock()
        done = self.control.process(near, far)
        cost, before = self._clock() - began, self._cost or 0.0
        self._blocks += 1
        self._cost = before + (cost - before) * max(1 / self._blocks, _COST_SHARE)
        return done
