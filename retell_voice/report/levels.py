"""The levels of a recording's sound, block by block, without loading all of it."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from retell_voice.audio.levels import dbfs
from retell_voice.report.account import Series

_POINTS = 4000
"""More than a page can show."""
_SHORTEST = 0.02
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000
"""Hz; a header may claim anything."""


def hear(path: Path, began: float) -> tuple[Series, Series] | None:
    """Return the peak levels (dBFS) of both sides; None if there is no such file.

    Args:
        path: a 16-bit stereo WAV file.
        began: call time of its first frame, seconds.
    """
    near: Series = []
    far: Series = []
    try:
        with wave.open(str(path)) as file:
            if (file.getnchannels(), file.getsampwidth()) != (2, 2):
                return None
            rate = file.getframerate()
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                return None
            size = max(round(_SHORTEST * rate), file.getnframes() // _POINTS)
            at = 0
            while data := file.readframes(size):
                frames = np.frombuffer(data[: len(data) // 4 * 4], "<i2").reshape(-1, 2)
                if not len(frames):
                    break
                peaks = np.max(np.abs(frames.astype(np.int32)), axis=0)
                time = began + (at + len(frames) / 2) / rate
                near.append((time, dbfs(float(peaks[0]))))
                far.append((time, dbfs(float(peaks[1]))))
                at += len(frames)
    except (OSError, EOFError, RuntimeError, wave.Error):
        return None
    return (near, far) if near else None
