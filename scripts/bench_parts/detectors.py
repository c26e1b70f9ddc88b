"""What it costs to tell speech from silence: processor time of the detectors."""

from __future__ import annotations

import time

import numpy as np

from bench_parts.crowd import FRAME, frames
from bench_parts.figures import Row, percentile
from retell_voice.audio.format import Samples
from retell_voice.emulator.speech.neural import DetectorKind, new_detector
from retell_voice.errors import ConfigError

RATES = (8000, 16000, 24000)
KINDS: tuple[DetectorKind, ...] = ("energy", "neural")
_RUNS = 3


def cost(kind: DetectorKind, said: list[Samples], rate: int) -> float:
    """Return the seconds of processor time, of all threads, that a second of audio takes."""
    detector = new_detector(kind, rate)
    began = time.process_time()
    for frame in said:
        detector.process(frame)
    return (time.process_time() - began) / (len(said) * FRAME)


def run(*, seconds: float = 20.0) -> list[Row]:
    """Measure each detector with the bundled caller's voice, in frames of 20 ms."""
    rows = []
    for kind in KINDS:
        for rate in RATES:
            what = f"{kind} detector, {rate} Hz"
            # Noise, as from a microphone: what is digitally silent costs less.
            random = np.random.default_rng(1)
            said = [
                each + random.integers(-20, 21, len(each), np.int16)
                for each in frames(seconds, rate)
            ]
            try:
                costs = [cost(kind, said, rate) for _ in range(_RUNS)]
            except ConfigError as error:
                rows.append(Row(what, f"not measured: {error}"))
                continue
            middle = percentile(costs, 50)
            figure = (
                f"{middle * 1e6:.0f} µs a second of audio, {middle * 100:.2f} % of a core a call"
            )
            rows.append(Row(what, figure))
    return rows
