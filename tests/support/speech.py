"""Something to say: sound with the spectrum, the loudness and the pauses of speech."""

from __future__ import annotations

import numpy as np
from support.measure import band_limited, resampled
from support.recorder import Samples


def babble(seconds: float, rate: int, *, seed: int = 1, pauses: bool = True) -> Samples:
    """Return speech-like sound, loud from its first sample, nothing above 0.37 of the rate.

    A buzz of gliding pitch through three moving formants, with hiss. Different seeds do not
    resemble each other; the same at another rate has the same lowest 2.8 kHz. (Above 0.4 of a
    rate, what is measured is the filters of the sound server.)
    """
    fine = 48000
    rng = np.random.default_rng(seed)
    count = round(seconds * fine)

    def wander(low: float, high: float, every: float) -> np.ndarray:
        knots = rng.uniform(low, high, max(3, int(seconds / every) + 2))
        return np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)

    phase = 2 * np.pi * np.cumsum(wander(95, 180, 0.3)) / fine
    sound = np.zeros(count)
    formants = [wander(250, 800, 0.2), wander(900, 2300, 0.2), wander(2400, 3200, 0.3)]
    pitch = np.gradient(phase) * fine / (2 * np.pi)
    for harmonic in range(1, 60):
        frequency = harmonic * pitch
        gain = sum(
            strength / (1 + ((frequency - formant) / width) ** 2)
            for formant, strength, width in zip(
                formants, (1.0, 0.4, 0.15), (90, 130, 200), strict=True
            )
        )
        sound += (gain + 0.01 / harmonic) * np.sin(harmonic * phase + rng.uniform(0, 6))
    sound += rng.normal(0, 0.01, count) * wander(0.2, 1, 0.1)
    if pauses:
        syllables = wander(0, 1, 0.12)
        sound *= np.clip(4 * syllables - 0.4, 0, 1)
    sound *= 14000 / np.max(np.abs(sound))
    whole = band_limited(sound, fine, min(0.35 * rate, 16000))
    if rate == fine:
        return whole
    return np.clip(np.rint(resampled(whole, fine, rate)), -32768, 32767).astype(np.int16)
