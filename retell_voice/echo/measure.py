"""How much echo there is, how much is removed, and whether the agent hears itself. Pure.

No canceller says how well it works, so it is measured from outside: over the blocks with far end
but without near-end speech, the microphone is compared with the output.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import log10

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import power
from retell_voice.echo.expected import AUDIBLE, ExpectedEcho
from retell_voice.echo.following import Following
from retell_voice.echo.ports import BLOCK_SECONDS, EchoMeasures, EchoState, block_samples

_WINDOW = 20
"""Blocks in a window: 200 ms of echo."""
_RECENT = 10
"""Windows that the measures cover."""
GOOD, _GOOD_WINDOWS = 12.0, 5
"""dB or more in this many consecutive windows: converged."""
_BAD, _BAD_WINDOWS = 6.0, 3
"""Less than this many dB in this many consecutive windows: no longer converged."""
_SUPPRESSES = 1.0
"""Seconds of far end during which WebRTC's canceller suppresses everything at first: removing much
then says nothing about what it will let through later."""


class Meter:
    """Measures an echo control by its input and output.

    Args:
        suppresses_at_first: the first second of far end does not count.
    """

    def __init__(self, *, suppresses_at_first: bool = True) -> None:
        self._skipped = _SUPPRESSES if suppresses_at_first else 0.0
        self.reset()

    def reset(self) -> None:
        """Start over."""
        self.state = EchoState.CONVERGING
        self.activity = 0.0
        """Seconds for which the far end was heard."""
        self.since = 0.0
        """The same since it last started to converge, as far as there can be an echo."""
        self.latest: float | None = None
        """ERLE of the last window, dB."""
        self._recent: deque[tuple[float, float, float]] = deque(maxlen=_RECENT)
        self._sums = 0.0, 0.0, 0.0  # powers of the current window: far, near, done
        self._blocks = self._good = self._bad = 0

    def step(self, near: float, far: Samples, done: float, expected: ExpectedEcho) -> None:
        """Take the next block.

        Args:
            near: mean square of what the microphone heard.
            far: what was played.
            done: mean square of the output, without automatic gain.
            expected: which has judged this block.
        """
        if expected.active:
            self.activity += BLOCK_SECONDS
            self.since += 0.0 if expected.inaudible else BLOCK_SECONDS
        if expected.near:  # and not only from this block on
            self._sums, self._blocks = (0.0, 0.0, 0.0), 0
        if not expected.alone:
            return
        far_sum, near_sum, done_sum = self._sums
        self._sums = far_sum + power(far), near_sum + near, done_sum + done
        self._blocks += 1
        if self._blocks == _WINDOW:
            self._close_window()

    def measures(self) -> EchoMeasures:
        """Return what is known so far."""
        known = EchoMeasures(state=self.state, activity=self.activity)
        if not self._recent:
            return known
        # Medians: some windows do contain soft near-end speech.
        return replace(
            known,
            erle=_median([_db(near, done) for _, near, done in self._recent]),
            echo=_median([_db(near, far) for far, near, _ in self._recent]),
        )

    def _close_window(self) -> None:
        self._recent.append(self._sums)
        self.latest = _db(self._sums[1], self._sums[2])
        self._sums, self._blocks = (0.0, 0.0, 0.0), 0
        self._good = self._good + 1 if self.latest >= GOOD and self.since > self._skipped else 0
        self._bad = self._bad + 1 if self.latest < _BAD else 0
        if self._good == _GOOD_WINDOWS:
            self.state = EchoState.CONVERGED
        elif self._bad == _BAD_WINDOWS and self.state is EchoState.CONVERGED:
            self.state, self.since = EchoState.CONVERGING, 0.0


_LAGS = 50
"""Largest lag of the near end, blocks: half a second."""
_LOUD = 30.0
"""dB, about −60 dBFS: anything quieter, pauses included, does not matter."""
_FOLLOWS, _FOLLOWS_CLOSELY = 0.6, 0.75
_LEAST_BLOCKS = 50
_CLEARS = 2
_LONG = 1000
"""Blocks of far end."""
_BOUND = 100
"""Blocks by which one end may be ahead of the other."""


class SelfHearing:
    """Notices that the agent hears itself: what is sent follows what is played.

    Reported once: when the server clears for the second time while that is so, or when it has been
    so for 10 s of the agent's speech. ``step`` is for one thread, ``cleared`` for another.

    Args:
        rate: samples a second.
    """

    def __init__(self, rate: int) -> None:
        self._size = block_samples(rate)
        self._near = self._far = np.zeros(0, np.int16)
        self._following = Following(_LAGS)
        self._since_far = _LAGS
        self._clears = self._seen = 0
        self._suspicious = 0  # clears while it followed
        self._long = 0  # blocks in which it followed closely
        self._told = False

    def step(self, near: Samples, far: Samples) -> bool:
        """Take what is sent and what is played at that time; return True once.

        Args:
            near, far: shape (n,) and (m,), any; one may be ahead of the other by a second.
        """
        self._near = np.concatenate((self._near, near))
        self._far = np.concatenate((self._far, far))
        if abs(len(self._near) - len(self._far)) > _BOUND * self._size:
            self._near = self._far = self._near[:0]  # one was missing: from here on they match
        whole = min(len(self._near), len(self._far)) // self._size * self._size
        for start in range(0, whole, self._size):
            here = slice(start, start + self._size)
            self._block(power(self._near[here]), power(self._far[here]))
        self._near, self._far = self._near[whole:], self._far[whole:]
        enough = self._suspicious >= _CLEARS or self._long >= _LONG
        tells = enough and not self._told
        self._told = self._told or tells
        return tells

    def cleared(self) -> None:
        """Note that the server has cleared; on any one thread."""
        self._clears += 1

    def _block(self, near: float, far: float) -> None:
        following = self._following
        self._since_far = 0 if far > AUDIBLE else self._since_far + 1
        following.step(near, far, compare=self._since_far < _LAGS)
        follows = following.correlation if following.near > _LOUD else 0.0
        if self._since_far == 0 and follows >= _FOLLOWS_CLOSELY:
            self._long += 1
        if self._seen != self._clears:
            self._seen = self._clears
            if follows >= _FOLLOWS and following.blocks >= _LEAST_BLOCKS:
                self._suspicious += 1


def _median(values: list[float]) -> float:
    """Return it without numpy's, which takes longer for so few."""
    values.sort()
    middle = len(values) // 2
    return (values[middle] + values[~middle]) / 2


def _db(one: float, other: float) -> float:
    return 10 * log10((one + 0.1) / (other + 0.1))  # never louder than the noise of int16
