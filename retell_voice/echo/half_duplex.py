"""Echo control without a canceller: the near end is attenuated while the agent is heard.

It needs no library and works with any room and loudspeaker, but it cannot separate simultaneous
speech and echo: speech passes with its echo. Whoever interrupts gets through after about 0.1 s, if
as loud as the echo.
"""

from __future__ import annotations

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power
from retell_voice.echo.expected import ExpectedEcho
from retell_voice.echo.gate import Gate
from retell_voice.echo.measure import Meter
from retell_voice.echo.ports import EchoControl, EchoMeasures


class HalfDuplex:
    """An ``EchoControl`` that attenuates whatever is not louder than the expected echo.

    Args:
        rate: samples a second.
        first: processes the near end first: noise suppression.
    """

    def __init__(self, rate: int, first: EchoControl | None = None) -> None:
        self._first = first
        self._expected = ExpectedEcho(rate)
        self._gate = Gate(rate)
        self._meter = Meter(suppresses_at_first=False)

    @property
    def name(self) -> str:
        """Its name, for people."""
        return "half-duplex" if self._first is None else f"half-duplex, {self._first.name}"

    @property
    def delay(self) -> float:
        """Delay it adds to the near end, seconds."""
        return self._first.delay if self._first else 0.0

    @property
    def gain(self) -> float:
        """dB by which automatic gain amplified the last block."""
        return self._first.gain if self._first else 0.0

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the next block of the near end, attenuated if it is echo."""
        expected = self._expected
        expected.step(near, far)
        done = self._first.process(near, far) if self._first else near
        closed = expected.heard and not expected.near
        done = self._gate.apply(done, closed=closed, at_once=expected.near)
        left = power(done) / 10 ** (self.gain / 10)
        self._meter.step(power(near), far, left, expected)
        return done

    def reset(self) -> None:
        """Forget the room."""
        if self._first:
            self._first.reset()
        self._expected.reset()
        self._gate.reset()
        self._meter.reset()

    def measures(self) -> EchoMeasures:
        """Return what is known so far."""
        return self._meter.measures()
