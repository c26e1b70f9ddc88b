"""How loud samples are."""

from __future__ import annotations

from math import log10

import numpy as np

from retell_voice.audio.format import Samples

SILENCE_DBFS = -100.0
SPEECH = -40.0
"""dBFS; a near end above this counts as speech."""
HANG = 0.4
"""Seconds of quiet, between words, that still count as speech."""


def peak(samples: Samples) -> int:
    """Return the largest magnitude, 0–32768."""
    # Not np.abs: it wraps −32768 to itself.
    if not len(samples):
        return 0
    return max(int(np.maximum.reduce(samples)), -int(np.minimum.reduce(samples)))


def power(samples: Samples) -> float:
    """Return the mean square; 0 for no samples."""
    values = samples.astype(np.float32)
    return float(np.dot(values, values)) / max(len(values), 1)


def dbfs(magnitude: float) -> float:
    """Return a magnitude of 0–32768 as dBFS, −100 for silence."""
    return 20 * log10(magnitude / 32768) if magnitude >= 1 else SILENCE_DBFS
