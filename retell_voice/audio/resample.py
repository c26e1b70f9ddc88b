"""Sample rate conversion: with minimal delay while live, at full quality otherwise.

``soxr`` in stream mode withholds tens of milliseconds in bursts, audible in a conversation;
a polyphase FIR has a short, constant delay instead. Whole recordings go through ``soxr``.
"""

from __future__ import annotations

from math import gcd

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from retell_voice.audio.format import Samples

_HALF_WIDTH = 24
"""Half the filter's length, in samples of the lower rate: its delay."""
_CUTOFF = 0.448 * 2
"""−6 dB point relative to the lower rate's Nyquist frequency; the stop band starts at 1."""
_BETA = 8.0
"""Kaiser window, about 80 dB of stop band at this length."""
_PHASES = 1024
"""Maximum number of filters: rates with more positions between two samples, such as 47999 → 48000
with 48000, interpolate between neighbours. The error is at most (π / 1024)² / 8, −118 dB, and zero
in pitch and time."""
_FEW = 8
"""Positions for which it is cheaper to apply each filter to all its windows in turn than to gather
a window and a filter for each sample."""
_BLOCK = 4096
"""Input samples per step; bounds the memory of a long burst."""


class Resampler:
    """A stateful low-delay resampler: a windowed-sinc polyphase FIR.

    Whatever the chunking, the output is the same. Delay is 24 samples of the lower rate: 1 ms
    at 24 kHz, 3 ms at 8 kHz. Nothing is ever held back by a timer.

    Args:
        in_rate, out_rate: samples a second, any whole numbers.
    """

    def __init__(self, in_rate: int, out_rate: int) -> None:
        divisor = gcd(in_rate, out_rate)
        self._up, self._down = out_rate // divisor, in_rate // divisor
        narrowing = min(1.0, self._up / self._down)
        self._half = int(np.ceil(_HALF_WIDTH / narrowing))
        self.delay = 0.0 if self._up == self._down else self._half / in_rate
        """Seconds by which the output lags the input."""
        self._phases = min(self._up, _PHASES)
        self._bank = _filter_bank(self._phases, self._half, _CUTOFF * narrowing)
        self._steps = np.diff(self._bank, axis=0) if self._phases < self._up else None
        self.reset()

    def reset(self) -> None:
        """Forget all input."""
        # Output k is at input time k * down / up; _next counts in steps of 1 / up from the start
        # of _held, whose first half - 1 samples are before the first window's centre.
        self._held = np.zeros(self._half - 1, np.float32)
        self._next = 0

    def process(self, samples: Samples) -> Samples:
        """Take samples, shape (n,); return all output that can be computed, shape (m,)."""
        if self._up == self._down:
            return samples
        blocks = range(0, len(samples), _BLOCK)
        parts = [self._process(samples[start : start + _BLOCK]) for start in blocks]
        return np.concatenate(parts) if parts else np.empty(0, np.int16)

    def needed(self, count: int) -> int:
        """Return how many input samples are needed for ``count`` more output samples."""
        if self._up == self._down:
            return count
        last = ((count - 1) * self._down + self._next) // self._up
        return last + 2 * self._half - len(self._held)

    def flush(self) -> Samples:
        """Return what is left in the filter and start over."""
        if self._up == self._down:
            return np.empty(0, np.int16)
        rest = self.process(np.zeros(self._half, np.int16))
        self.reset()
        return rest

    def _process(self, samples: Samples) -> Samples:
        held = np.concatenate((self._held, samples), dtype=np.float32)
        width = 2 * self._half
        ready = (len(held) - width + 1) * self._up - self._next
        count = max(0, -(-ready // self._down))
        first = self._next
        self._next += self._down * count
        spent = min(self._next // self._up, len(held))
        self._next -= spent * self._up
        self._held = held[spent:]
        if not count:
            return np.empty(0, np.int16)
        mixed = self._mixed(sliding_window_view(held, width), first, count)
        saturated: Samples = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
        return saturated

    def _mixed(self, windows: NDArray[np.float32], first: int, count: int) -> NDArray[np.float32]:
        """Return output samples, shape (count,), the first of them at a time in steps of 1 / up."""
        mixed = np.empty(count, np.float32)
        if self._up > _FEW:
            starts, phases = np.divmod(first + self._down * np.arange(count), self._up)
            np.einsum("ij,ij->i", windows[starts], self._filters(phases), out=mixed)
            return mixed
        for offset in range(min(self._up, count)):
            start, phase = divmod(first + self._down * offset, self._up)
            out = mixed[offset :: self._up]
            each = windows[start :: self._down][: len(out)]
            np.einsum("ij,j->i", each, self._bank[phase], out=out)
        return mixed

    def _filters(self, positions: NDArray[np.int_]) -> NDArray[np.float32]:
        """Return the filters of positions between two samples, counted in steps of 1 / up."""
        if self._steps is None:
            return self._bank[positions]
        below, rest = np.divmod(positions * self._phases, self._up)
        share = (rest / self._up).astype(np.float32)[:, None]
        filters: NDArray[np.float32] = self._bank[below] + share * self._steps[below]
        return filters


def resample_whole(samples: Samples, in_rate: int, out_rate: int) -> Samples:
    """Return a whole recording, shape (n,), at another rate (soxr, very high quality)."""
    if in_rate == out_rate or not len(samples):
        return samples
    resampled: Samples = soxr.resample(samples, in_rate, out_rate, quality="VHQ")
    return resampled


def _filter_bank(phases: int, half: int, cutoff: float) -> NDArray[np.float32]:
    """Return one filter of ``2 * half`` taps for each position between two samples, the second
    sample included."""
    offsets = np.arange(phases + 1)[:, None] / phases - np.arange(1 - half, half + 1)[None, :]
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, None)))
    taps = np.sinc(cutoff * offsets) * window
    # Every phase passes a constant unchanged: no ripple at the phase rate.
    bank: NDArray[np.float32] = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return bank
