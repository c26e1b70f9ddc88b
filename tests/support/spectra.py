"""How different two recordings of the same speech sound."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from retell_voice.audio.format import Samples

_WINDOW = 0.02
_FLOOR = 30.0
"""Added to each magnitude: what is quieter than a few steps of int16 makes no difference."""


def log_spectral_distance(heard: Samples, said: Samples, rate: int) -> NDArray[np.float64]:
    """Return the difference of their log spectra, dB RMS, for every 10 ms.

    They must be aligned. A window of 20 ms in place ``n`` begins at ``n`` times 10 ms.
    """
    size = round(_WINDOW * rate)
    count = min(len(heard), len(said))
    levels = []
    for samples in (heard, said):
        windows = sliding_window_view(samples[:count].astype(float), size)[:: size // 2]
        levels.append(20 * np.log10(np.abs(np.fft.rfft(windows * np.hanning(size))) + _FLOOR))
    distance: NDArray[np.float64] = np.sqrt(np.mean((levels[0] - levels[1]) ** 2, axis=1))
    return distance
