"""Tells whoever tests a client what Retell would make of its frames of audio. Pure."""

from __future__ import annotations

from retell_voice.audio.format import MAX_FRAME_MS, MIN_FRAME_MS

_AHEAD = 1.0
"""Seconds of audio that may come before their time: a network gives a burst after each stall."""


class FrameCheck:
    """Watches the frames of one caller; tells each fault once.

    Args:
        rate: samples per second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._least, self._most = (rate * ms // 1000 for ms in (MIN_FRAME_MS, MAX_FRAME_MS))
        self._short: int | None = None  # the frame before: the last of a call may be short
        self._told_short = self._told_long = self._told_fast = False
        self._began: float | None = None
        self._received = 0

    def take(self, samples: int, now: float) -> list[str]:
        """Take the next frame; return what is wrong, for people.

        Args:
            samples: its length.
            now: any clock, seconds.
        """
        wrong: list[str] = []
        if self._short is not None and not self._told_short:
            self._told_short = True
            wrong.append(self._length(self._short))
        self._short = samples if 0 < samples < self._least else None
        if samples > self._most and not self._told_long:
            self._told_long = True
            wrong.append(self._length(samples))
        if self._began is None:
            self._began = now
        else:  # the first frame was recorded before it came
            self._received += samples
        ahead = self._received / self._rate - (now - self._began)
        if ahead > _AHEAD and not self._told_fast:
            self._told_fast = True
            wrong.append(f"they come faster than real time, {ahead:.1f} s too early")
        return wrong

    def _length(self, samples: int) -> str:
        ms = round(samples * 1000 / self._rate, 1)
        return f"one is {ms:g} ms long; Retell takes {MIN_FRAME_MS}–{MAX_FRAME_MS} ms"
