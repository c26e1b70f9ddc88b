"""Cuts a stream of samples into frames for the wire."""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples


class Framer:
    """Collects samples and hands out encoded frames of one length.

    Args:
        audio: encoding and rate of the call.
        frame_ms: length of a frame, 20–250 ms.

    Raises:
        AudioFormatError: the frame length is out of range.
    """

    def __init__(self, audio: AudioFormat, frame_ms: int) -> None:
        self._audio = audio
        self._frame = np.zeros(audio.frame_samples(frame_ms), np.int16)
        self._filled = 0

    @property
    def missing(self) -> int:
        """Samples missing from the next frame."""
        return len(self._frame) - self._filled

    def push(self, samples: Samples) -> list[bytes]:
        """Take samples, shape (n,); return the frames that became full, oldest first."""
        if not self._filled and len(samples) == len(self._frame):
            return [self._audio.encode(samples)]
        frames = []
        while len(samples):
            part = samples[: len(self._frame) - self._filled]
            self._frame[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            samples = samples[len(part) :]
            if self._filled == len(self._frame):
                frames.append(self._audio.encode(self._frame))
                self._filled = 0
        return frames
