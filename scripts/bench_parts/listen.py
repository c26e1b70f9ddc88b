"""What can be heard in a recording: gaps, glitches, where sound begins and ends. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOUD = 300
"""Amplitude above which something is heard: −41 dBFS."""


@dataclass(frozen=True)
class Gap:
    """Silence with sound on both sides; in samples."""

    start: int
    length: int


def sounds(samples: NDArray[Any], within: int, threshold: int = LOUD) -> list[tuple[int, int]]:
    """Return (first, after last) sample of each stretch of sound.

    Silence of up to ``within`` samples does not part two stretches.
    """
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
    if not len(loud):
        return []
    breaks = np.flatnonzero(np.diff(loud) > within + 1)
    starts = loud[np.concatenate(([0], breaks + 1))]
    ends = loud[np.concatenate((breaks, [len(loud) - 1]))] + 1
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def gaps(samples: NDArray[Any], rate: int, *, least: float = 0.005, most: float = 0.5) -> list[Gap]:
    """Return the silences within utterances: of ``least`` to ``most`` seconds.

    Longer ones part utterances. What is said must be a sound without pauses of its own.
    """
    stretches = sounds(samples, round(least * rate))
    between = [Gap(left[1], right[0] - left[1]) for left, right in pairwise(stretches)]
    return [gap for gap in between if gap.length <= most * rate]


def glitches(samples: NDArray[Any], rate: int, frequency: float, *, window: float = 0.002) -> int:
    """Count the disturbances of a continuous tone: gaps, repeats, jumps, clicks.

    A tone is predicted from its own two samples before; where it is not what was predicted,
    something broke it. Disturbances closer than 20 ms to each other are one. The tone's first
    and last 50 ms are left out, and frequency may drift by some 100 ppm.

    Args:
        samples: the recording, shape (n,); begins and ends with the tone or in silence.
        rate: of the recording, Hz.
        frequency: of the tone, Hz; between rate / 100 and rate / 10.
        window: seconds of silence within the tone that count as broken, too.
    """
    stretches = sounds(samples, rate)
    if not stretches:
        return 0
    margin = rate // 20
    tone = samples[stretches[0][0] + margin : stretches[-1][1] - margin].astype(np.float64)
    if len(tone) < rate // 10:
        return 0
    amplitude = float(np.percentile(np.abs(tone), 99))
    step = 2 * np.cos(2 * np.pi * frequency / rate)
    error = np.abs(tone[2:] - step * tone[1:-1] + tone[:-2])
    # A phase jump of 3 degrees and more; a perfect tone errs by rounding alone.
    broken = error > max(8.0, 0.05 * amplitude * (2 * np.pi * frequency / rate))
    size = max(1, round(window * rate))
    quiet = np.convolve(np.abs(tone) > amplitude / 50, np.ones(size), "valid") == 0
    places = np.union1d(np.flatnonzero(broken), np.flatnonzero(quiet))
    if not len(places):
        return 0
    return 1 + int(np.count_nonzero(np.diff(places) > rate // 50))
