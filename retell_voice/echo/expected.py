"""How loud the echo should be now, and whether the microphone hears more than that.

::

    far end  ─▶ 10 bands ─▶ the loudest within the possible echo lags ─────▶ decay ─▶ × coupling
                                                                                          │
    near end ─▶ 10 bands ─▶ excess over that and over the noise, mean of the bands ◀──────┘
                                └─▶ near-end speech, or only echo

The lag is where the levels of near end and far end correlate best; until it is known, all lags
count. The coupling (how loud the echo is, band by band) is learned while there is no near-end
speech, and is never above what ``Ceiling`` finds. How much excess counts as speech is learned, too:
see ``Threshold``. Pure; time is counted in blocks of 10 ms.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples
from retell_voice.echo.ceiling import Ceiling
from retell_voice.echo.following import Following
from retell_voice.echo.noise import Noise
from retell_voice.echo.ports import BLOCK_SECONDS, block_samples
from retell_voice.echo.recent import Recent
from retell_voice.echo.threshold import Threshold

_Bands = NDArray[np.float64]

_BANDS = 10
_LOWEST, _HIGHEST = 200.0, 7000.0  # Hz
_LAGS = 30
"""Blocks by which an echo may be late, including timing errors of the streams: 300 ms."""
_DECAY = 10 ** (-6 * BLOCK_SECONDS / 0.4)
"""Decay of power per block: a room with a reverberation time (60 dB) of 0.4 s."""
_LAG_KNOWN, _LAG_LOST, _LAG_BLOCKS = 0.4, 0.25, 60
"""Correlation from which, after this many blocks of far end, the lag is trusted, and below which
it no longer is."""
_BEFORE, _AFTER = 4, 1
"""Blocks around the lag: with much reverberation, an echo begins before it is loudest."""
_NARROWED = 4.0
"""dB added to the coupling when the lag becomes known: from then on, less of the far end counts as
the cause of the echo."""
_UNSURE = 4.0
"""Number of blocks that the coupling then counts as learned from."""

AUDIBLE = 1e3
"""Mean square from which the far end counts as heard, about −60 dBFS."""
_LOUDEST_COUPLING = 6.0
"""dB: expected of an unknown room."""
_LOUDER = 0.8
"""Share of the time that the echo is below the expected level."""
_FIRST_STEP, _LAST_STEP = 6.0, 0.15
"""Step per block when learning the coupling, dB."""
_ALL_LEARNED = 2 * (_FIRST_STEP / _LAST_STEP - 1)
"""Blocks learned from, from which on the step is the last one."""
_CREEP, _CREEP_ALIKE, _ALIKE = 0.01, 0.03, 0.7
"""dB per block by which the coupling rises during near-end speech; more (the second) from a
correlation with the far end (the third) on: then the speaker may have been turned up."""
_ABOVE_LOW = 8.0
"""dB from the low quantile of an echo's coupling to what the coupling stands for here."""
_INAUDIBLE, _AUDIBLE_AGAIN = 4.0, 8.0
"""Power of the loudest possible echo over the noise minimum below which there is none, and from
which there may be one again."""
_BY_TURNS = 400
"""Blocks of far end after which a room is known so well that its two bounds are learned by turns,
from every second block each: in the same time, for half the cost."""
_SILENT_BLOCKS = 60
"""Blocks of far end for which there must have been none: some speakers swallow the first ones."""
_FOLLOWS = 0.5
"""Correlation of near and far end from which the near end holds an echo."""
_SPREAD = 10 ** (-25 / 10)
"""Share of the total echo in every band: distortion of the loudspeaker."""

_NOISE_MARGIN = 4.0
"""Power of noise peaks over the noise minimum."""
_STANDS_OUT = 12.0
"""Power of a visible echo over that minimum; 3 dB more than the noise itself."""
_MOST = 20.0
"""Most dB of excess that one band contributes."""
_TINY = 1e-9
"""Mean square: silence has a level, too."""
_SMOOTHING = 0.35
_HOLD = 20
"""Blocks below the threshold's ``ends`` before speech counts as over: words have pauses."""


class ExpectedEcho:
    """Learns a room, and judges each block by the echo it would make of the far end.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._block = block_samples(rate)
        window = np.hanning(2 * self._block)
        # Squares of the spectrum are mean squares of a sound then.
        self._window = window / sqrt(self._block * float(np.sum(window**2)))
        highest = min(_HIGHEST, 0.45 * rate)
        edges = np.geomspace(_LOWEST, highest, _BANDS + 1) * 2 * BLOCK_SECONDS
        edges = np.round(edges).astype(int)
        self._bins = slice(edges[0], edges[-1])
        self._bands_at = 2 * (edges[:-1] - edges[0])  # a bin has a real and an imaginary part
        self._ends = np.zeros((2, 2 * self._block))
        self._last, self._latest = self._ends[:, : self._block], self._ends[:, self._block :]
        self._windowed = np.zeros((2, 2 * self._block))
        # Near end, far end, echo and noise, played: as mean squares and in dB.
        self._powers, self._levels = np.zeros((2, 4, _BANDS))
        self._both, self._expected, self._echo = self._powers[:2], *self._powers[2:]
        self._far, self._far_levels = Recent(_LAGS, _BANDS), Recent(_LAGS, _BANDS)
        self._following = Following(_LAGS)
        self._ceiling = Ceiling(_LAGS, _BANDS)
        self._threshold = Threshold()
        self.reset()

    def reset(self) -> None:
        """Forget the room."""
        self.active = False
        """Whether the far end is heard in the room, or was a moment ago."""
        self.heard = False
        """Whether this block should contain an echo that stands out from the noise."""
        self.alone = False
        """Whether it really does, and nothing else."""
        self.near = False
        """Whether there is near-end speech."""
        self.inaudible = False
        """Whether no echo can be heard: headphones, or a speaker that is off."""
        self.excess = 0.0
        """How much louder the near end is than echo and noise, dB; smoothed, mean of bands."""
        self._ends[:] = 0.0
        self._far.clear()
        self._far_levels.clear()
        self._following.reset()
        self._ceiling.reset()
        self._threshold.reset()
        self._echo[:] = 0.0
        self._coupling = np.full(_BANDS, _LOUDEST_COUPLING)
        self._gains = 10 ** (self._coupling / 10)
        self._learned = np.zeros(_BANDS)
        self._all_learned = False
        self._noise = Noise(_BANDS)
        self._quiet = self._silent = 0
        self._odd = False
        self._since_far = _LAGS
        self._lag: int | None = None

    @property
    def lag(self) -> float | None:
        """Seconds by which the echo is late, None while unknown."""
        return None if self._lag is None else self._lag * BLOCK_SECONDS

    def step(self, near: Samples, far: Samples) -> None:
        """Judge the next block of 10 ms."""
        # Each call of numpy costs more than what it does to ten bands: hence few of them, and those
        # in place.
        heard, played = self._bands(near, far)
        near_level, far_level = np.add.reduce(self._both, axis=1).tolist()
        self._far.push(played)
        self._since_far = 0 if far_level > AUDIBLE else min(self._since_far + 1, _LAGS)
        self.active = self._since_far < _LAGS
        sounds = self._noise.step(heard)
        noise = self._noise.power
        self._following.step(near_level, far_level, compare=self.active)
        self._find_lag()
        self._echo *= _DECAY
        np.maximum(self._echo, np.maximum.reduce(self._played()), out=self._echo)
        echo = self._echo * self._gains
        total = float(np.add.reduce(echo))
        echo += total * _SPREAD
        total *= 1 + _BANDS * _SPREAD
        np.multiply(noise, _NOISE_MARGIN, out=self._expected)
        self._expected += echo
        levels = np.add(self._powers, _TINY, out=self._levels)
        np.log10(levels, out=levels)
        levels *= 10.0
        self._far_levels.push(levels[1])
        audible = _STANDS_OUT * float(np.add.reduce(noise))
        self.heard = self.active and total > audible
        excess = levels[0] - levels[2]
        np.maximum(excess, 0.0, out=excess)
        mean = float(np.add.reduce(np.minimum(excess, _MOST, out=excess))) / _BANDS
        self.excess += _SMOOTHING * (mean - self.excess)
        self._judge()
        self.alone = self.heard and near_level > audible and not self.near
        if self.active and sounds:
            self._learn_room(echo > noise)
            self._gains = 10 ** (self._coupling / 10)

    def _bands(self, near: Samples, far: Samples) -> _Bands:
        """Return the power of both in each band: the mean square of a sound within it."""
        self._last[:] = self._latest
        self._latest[0] = near
        self._latest[1] = far
        windowed = np.multiply(self._ends, self._window, out=self._windowed)
        spectrum = np.fft.rfft(windowed, axis=1)
        parts = spectrum[:, self._bins].view(np.float64)
        parts *= parts
        return np.add.reduceat(parts, self._bands_at, axis=1, out=self._both)

    def _played(self) -> _Bands:
        """Return the far end's power at the possible lags of the echo."""
        if self._lag is None:
            return self._far.rows
        return self._far.rows[max(0, self._lag - _BEFORE) : self._lag + _AFTER + 1]

    def _find_lag(self) -> None:
        following = self._following
        if self._lag is None:
            if following.correlation < _LAG_KNOWN or following.blocks < _LAG_BLOCKS:
                return
            self._coupling += _NARROWED
            self._gains = 10 ** (self._coupling / 10)
            np.minimum(self._learned, _UNSURE, out=self._learned)
            self._all_learned = False
        self._lag = following.lag if following.correlation >= _LAG_LOST else None

    def _judge(self) -> None:
        threshold = self._threshold
        if self.excess >= threshold.begins:
            self.near, self._quiet = True, 0
        elif self.near:
            self._quiet = self._quiet + 1 if self.excess < threshold.ends else 0
            self.near = self._quiet < _HOLD
        if self.heard or (self.active and self.near):  # it may be noticed as the echo fades
            threshold.step(self.excess, near=self.near)

    def _learn_room(self, visible: NDArray[np.bool_]) -> None:
        if self._following.blocks < _BY_TURNS:
            self._learn(visible, 1)
            self._bound(1)
            return
        self._odd = not self._odd
        if self._odd:
            self._learn(visible, 2)
        else:
            self._bound(2)

    def _learn(self, visible: NDArray[np.bool_], blocks: int) -> None:
        if self.near:
            alike = self._following.correlation >= _ALIKE
            self._coupling += (_CREEP_ALIKE if alike else _CREEP) * blocks * visible
            return
        step = self._levels[0] - self._levels[3]
        step = (step > self._coupling) - (1 - _LOUDER)
        step *= visible
        if self._all_learned:
            step *= _LAST_STEP * blocks
        else:
            step *= np.maximum(_FIRST_STEP / (1 + self._learned / 2), _LAST_STEP * blocks)
            self._learned += visible
            self._all_learned = bool(self._learned.min() >= _ALL_LEARNED)
        self._coupling += step

    def _bound(self, blocks: int) -> None:
        ceiling = self._ceiling
        ceiling.step(self._levels[0], self._far_levels.rows, self._far.rows, blocks)
        some = ceiling.known
        if not (ceiling.all_known or some.any()):
            return
        known = slice(None) if ceiling.all_known else some  # a view instead of a copy
        lows = ceiling.lows[known]
        follows = self._following.correlation >= _FOLLOWS
        coupling = np.minimum(self._coupling[known], lows + _ABOVE_LOW)
        self._coupling[known] = np.maximum(coupling, lows) if follows else coupling
        if 2 * len(lows) >= _BANDS:
            possible = float(np.dot(ceiling.far[known], 10 ** (lows / 10)))
            noise = float(np.add.reduce(self._noise.power[known]))
            if possible < _INAUDIBLE * noise:
                self._silent += blocks
            elif possible > _AUDIBLE_AGAIN * noise and follows:
                self._silent = 0
            self.inaudible = self._silent >= _SILENT_BLOCKS
