"""Keeps a canceller from letting the echo through.

WebRTC's canceller suppresses everything for about the first second of far end and then opens,
whether or not it has converged: in reverberant rooms the full echo comes through for a second. In
such rooms it also fails now and then later on, for some tenths of a second. A server takes either
for an interruption. So its output passes a gate with two modes:

======== ================================================ =======================================
         until when                                       closed while the echo is heard and …
======== ================================================ =======================================
guarded  five windows of 200 ms with 12 dB or more (those near-end speech is not certain
         of the first second not counted); or 2 s of far
         end, if it does not leak just then; or 4 s
watched  three windows with almost nothing: guarded       the canceller currently removes less than
         again (a delay that has jumped)                  30 dB, and near-end speech is unlikely
======== ================================================ =======================================

An interruption as loud as the echo gets through in guarded mode after about 0.1 s; in watched mode
none of it is lost, but to the canceller, for which there is a bypass.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power
from retell_voice.echo.bypass import Bypass
from retell_voice.echo.expected import ExpectedEcho
from retell_voice.echo.gate import Gate
from retell_voice.echo.measure import GOOD, Meter
from retell_voice.echo.ports import EchoControl, EchoMeasures, EchoState

_ENOUGH, _LONGEST = 2.0, 4.0
"""Seconds of far end."""
_CANCELLED = 10 ** (30 / 10)
"""Power ratio: with this much removed, no watching is needed."""
_SEEMS = 1.4
"""dB of excess from which somebody may be speaking."""
_SMOOTHING = 0.3
"""Smoothing of the compared powers, per block: about 30 ms."""


class Guarded:
    """An ``EchoControl``: a canceller, its measures and its guard.

    Args:
        canceller: removes the echo.
        rate: samples a second.
    """

    def __init__(self, canceller: EchoControl, rate: int) -> None:
        self._canceller = canceller
        self._expected = ExpectedEcho(rate)
        self._gate = Gate(rate)
        self._bypass = Bypass(rate, self._canceller.delay)
        self._meter = Meter()
        self._heard = self._left = 1.0

    @property
    def name(self) -> str:
        """Its name, for people."""
        return self._canceller.name

    @property
    def delay(self) -> float:
        """Delay it adds to the near end, seconds."""
        return self._canceller.delay

    @property
    def gain(self) -> float:
        """dB by which automatic gain amplified the last block."""
        return self._canceller.gain

    @property
    def guarded(self) -> bool:
        """Whether the canceller may not have converged yet."""
        meter = self._meter
        if meter.state is EchoState.CONVERGED:
            return False
        leaks = meter.latest is not None and meter.latest < GOOD
        return meter.since < (_LONGEST if leaks else _ENOUGH)

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the next block of the near end, ``delay`` later, without the echo."""
        expected = self._expected
        expected.step(near, far)
        if expected.inaudible:
            far = np.zeros_like(far)
        done = self._canceller.process(near, far)
        amplified = 10 ** (self.gain / 20)
        heard, out = power(near), power(done)
        left = out / amplified**2
        self._meter.step(heard, far, left, expected)
        self._heard += _SMOOTHING * (heard - self._heard)
        self._left += _SMOOTHING * (left - self._left)
        seems = expected.near or (expected.excess >= _SEEMS and not self.guarded)
        closed = expected.heard and not seems and (self.guarded or self._leaks())
        passed = self._gate.apply(done, closed=closed, at_once=seems, heard=out)
        return self._bypass.apply(
            passed,
            near,
            speaks=expected.near and expected.heard,
            left=self._left,
            heard=self._heard,
            amplified=amplified,
        )

    def reset(self) -> None:
        """Forget the room, and guard again."""
        self._canceller.reset()
        self._expected.reset()
        self._gate.reset()
        self._bypass.reset()
        self._meter.reset()

    def measures(self) -> EchoMeasures:
        """Return what is known so far."""
        return replace(self._meter.measures(), guarded=self.guarded)

    def _leaks(self) -> bool:
        return self._left * _CANCELLED > self._heard
