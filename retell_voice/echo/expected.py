"""How loud the echo should be just now, and whether what the microphone hears is more than that.

::

    far end  ─▶ 10 bands ─▶ the loudest of the lags that the echo may have ─▶ decay ─▶ × coupling
                                                                                          │
    near end ─▶ 10 bands ─▶ excess over that and over the noise, mean of the bands ◀──────┘
                                └─▶ somebody speaks at this end, or it is the echo alone

The lag is where the loudness of the near end follows that of the far end best; as long as that is
not known, any. The coupling (how loud the echo is, band by band) is learned while nobody speaks
at this end. Pure; time is counted in blocks of 10 ms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples
from retell_voice.echo.following import Following
from retell_voice.echo.noise import Noise
from retell_voice.echo.ports import BLOCK_SECONDS, block_samples

_Bands = NDArray[np.float64]

_BANDS = 10
_LOWEST, _HIGHEST = 200.0, 7000.0  # Hz
_LAGS = 30
"""Blocks by which an echo may be late, the error of the streams' times included: 300 ms."""
_DECAY = 10 ** (-6 * BLOCK_SECONDS / 0.4)
"""A block, in power: a room in which 60 dB take 0.4 s."""
_LAG_KNOWN, _LAG_LOST, _LAG_BLOCKS = 0.4, 0.25, 60
"""Likeness from which, with so many blocks of far end, the lag is believed, and until when."""
_BEFORE, _AFTER = 3, 1
"""Blocks around the lag: where there is much reverberation, an echo begins before it is loudest."""
_NARROWED = 4.0
"""dB by which the coupling counts for more when the lag becomes known: from then on less of the far
end is taken for the cause of the echo."""
_UNSURE = 4.0
"""Blocks that it counts as learned from then."""

AUDIBLE = 1e3
"""Mean square from which the far end counts as heard, about −60 dBFS."""
_LOUDEST_COUPLING = 6.0
"""dB: what is expected of a room that is not known yet."""
_LOUDER = 0.8
"""How often the echo is below what is expected."""
_FIRST_STEP, _LAST_STEP = 6.0, 0.15
"""dB a block, when the coupling is learned."""
_CREEP, _CREEP_ALIKE, _ALIKE = 0.01, 0.03, 0.7
"""dB a block by which the coupling rises while somebody seems to speak, and from which likeness to
the far end by how much: then it may be a speaker that was turned up."""
_SPREAD = 10 ** (-25 / 10)
"""Of the whole echo, in every band: what a loudspeaker makes of its own."""

_NOISE_MARGIN = 4.0
"""In power: how far noise is above its own minimum at times."""
_STANDS_OUT = 12.0
"""In power: echo over that minimum; 3 dB more than the noise itself."""
_MOST = 20.0
"""dB of excess that a band is good for."""
_SMOOTHING = 0.35
_SPEAKS, _SPEAKS_NOT = 2.5, 1.5
"""dB of excess from which somebody speaks, and below which nobody does."""
_HOLD = 20
"""Blocks below it until that is believed: words have pauses."""


class ExpectedEcho:
    """Learns a room and judges each block by what it would make of the far end.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._block = block_samples(rate)
        self._window = np.hanning(2 * self._block)
        self._scale = 2.0 / (2 * self._block * float(np.sum(self._window**2)))
        highest = min(_HIGHEST, 0.45 * rate)
        edges = np.geomspace(_LOWEST, highest, _BANDS + 1) * 2 * BLOCK_SECONDS
        self._edges = np.round(edges).astype(int)
        self._ends = np.zeros((2, 2 * self._block))
        self._history = np.zeros((_LAGS, _BANDS))
        self._following = Following(_LAGS)
        self.reset()

    def reset(self) -> None:
        """Forget the room."""
        self.active = False
        """Whether the far end is heard in the room, or was a moment ago."""
        self.heard = False
        """Whether an echo that stands out from the noise should be in this block."""
        self.alone = False
        """Whether it is in there indeed, and nothing else."""
        self.near = False
        """Whether somebody speaks at this end."""
        self.excess = 0.0
        """By how much more is heard than the echo and the noise, dB; smoothed, mean of bands."""
        self._ends[:] = 0.0
        self._history[:] = 0.0
        self._following.reset()
        self._echo = np.zeros(_BANDS)
        self._coupling = np.full(_BANDS, _LOUDEST_COUPLING)
        self._learned = np.zeros(_BANDS)
        self._noise = Noise(_BANDS)
        self._quiet = 0
        self._since_far = _LAGS
        self._lag: int | None = None

    @property
    def lag(self) -> float | None:
        """Seconds by which the echo is late, None as long as nothing is known."""
        return None if self._lag is None else self._lag * BLOCK_SECONDS

    def step(self, near: Samples, far: Samples) -> None:
        """Judge the next block of 10 ms."""
        heard, played = self._bands(near, far)
        history = self._history
        history[1:] = history[:-1]
        history[0] = played
        far_level = float(played.sum())
        self._since_far = 0 if far_level > AUDIBLE else min(self._since_far + 1, _LAGS)
        self.active = self._since_far < _LAGS
        near_level = float(heard.sum())
        sounds = self._noise.step(heard)
        noise = self._noise.power
        self._following.step(near_level, far_level, compare=self.active)
        self._find_lag()
        self._echo *= _DECAY
        np.maximum(self._echo, self._played().max(axis=0), out=self._echo)
        echo = self._echo * 10 ** (self._coupling / 10)
        echo += float(echo.sum()) * _SPREAD
        audible = _STANDS_OUT * float(noise.sum())
        self.heard = self.active and float(echo.sum()) > audible
        excess = 10 * np.log10((heard + 1e-9) / (echo + _NOISE_MARGIN * noise))
        mean = float(np.minimum(np.maximum(excess, 0.0), _MOST).sum()) / _BANDS
        self.excess += _SMOOTHING * (mean - self.excess)
        self._judge()
        self.alone = self.heard and near_level > audible and not self.near
        if self.active and sounds:
            self._learn(heard, echo > noise)

    def _bands(self, near: Samples, far: Samples) -> tuple[_Bands, _Bands]:
        """Return the power of both in each band; the mean square of a sound that lies in it."""
        ends, block = self._ends, self._block
        ends[:, :block] = ends[:, block:]
        ends[0, block:] = near
        ends[1, block:] = far
        spectrum = np.fft.rfft(ends * self._window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        bands = np.add.reduceat(power, self._edges, axis=1)[:, :-1] * self._scale
        return bands[0], bands[1]

    def _played(self) -> _Bands:
        """Return what the far end was at the lags that the echo may have."""
        if self._lag is None:
            return self._history
        return self._history[max(0, self._lag - _BEFORE) : self._lag + _AFTER + 1]

    def _find_lag(self) -> None:
        following = self._following
        if self._lag is None:
            if following.likeness < _LAG_KNOWN or following.blocks < _LAG_BLOCKS:
                return
            self._coupling += _NARROWED
            np.minimum(self._learned, _UNSURE, out=self._learned)
        self._lag = following.lag if following.likeness >= _LAG_LOST else None

    def _judge(self) -> None:
        if self.excess >= _SPEAKS:
            self.near, self._quiet = True, 0
        elif self.near:
            self._quiet = self._quiet + 1 if self.excess < _SPEAKS_NOT else 0
            self.near = self._quiet < _HOLD

    def _learn(self, heard: _Bands, visible: NDArray[np.bool_]) -> None:
        if self.near:
            alike = self._following.likeness >= _ALIKE
            self._coupling[visible] += _CREEP_ALIKE if alike else _CREEP
            return
        ratio = 10 * np.log10((heard + 1e-9) / (self._echo + 1e-9))
        step = np.maximum(_FIRST_STEP / (1 + self._learned / 2), _LAST_STEP)
        step *= np.where(ratio > self._coupling, _LOUDER, _LOUDER - 1)
        self._coupling[visible] += step[visible]
        self._learned += visible
