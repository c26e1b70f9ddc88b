"""The chime, detecting it in a microphone's recording, and judging levels. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import Samples
from retell_voice.audio.levels import dbfs, peak, power
from retell_voice.doctor.findings import Finding, Verdict

CHIME_SECONDS = 0.35
_LOW, _HIGH = 500.0, 3200.0  # Hz; within the range of every microphone and loudspeaker
_LOUDNESS = 0.3
_EDGE = 0.03

_BLOCK_SECONDS = 0.02
_QUIET = -45.0  # dBFS; a voice whose loudest 20 ms are below it is hard to hear
_NOISY = -40.0
_CLIPPED = 32700
_ALIKE = 0.25
"""Correlation from which it is the chime: in a loud room, with echoes, it is 0.4 or more, and
speech stays below 0.2."""

Floats = NDArray[np.float64]


def chime(rate: int) -> Samples:
    """Return a short rising tone; its autocorrelation has one sharp peak."""
    time = np.arange(round(CHIME_SECONDS * rate)) / rate
    ratio = _HIGH / _LOW
    turns = _LOW * CHIME_SECONDS / np.log(ratio) * (ratio ** (time / CHIME_SECONDS) - 1)
    edge = np.clip(np.minimum(time, CHIME_SECONDS - time) / _EDGE, 0, 1)
    wave = np.sin(2 * np.pi * turns) * np.sin(np.pi / 2 * edge) ** 2
    samples: Samples = np.rint(wave * _LOUDNESS * 32767).astype(np.int16)
    return samples


def find_chime(heard: Samples, rate: int) -> int | None:
    """Return the sample of ``heard`` at which the chime begins, None if it is not found."""
    said = chime(rate).astype(np.float64)
    if len(heard) < len(said):
        return None
    size = 1 << (len(heard) + len(said)).bit_length()
    spectrum = np.fft.rfft(heard.astype(np.float64), size)
    product = spectrum * np.conj(np.fft.rfft(said, size))
    likeness = np.abs(np.fft.irfft(product, size)[: len(heard) - len(said) + 1])
    at = int(np.argmax(likeness))
    found = heard[at : at + len(said)].astype(np.float64)
    if likeness[at] <= _ALIKE * np.linalg.norm(said) * np.linalg.norm(found):
        return None
    return at


def chime_level(heard: Samples, at: int, rate: int) -> float:
    """Return how loud a chime was heard, dB relative to what was played, without the background.

    ``at``: where it begins, see ``find_chime``.
    """
    said = chime(rate)
    noise = 32768 * 10 ** (loudness(heard, rate).noise / 20)
    left = power(heard[at : at + len(said)]) - noise**2
    return float(10 * np.log10(max(left, 0.1) / power(said)))


@dataclass(frozen=True, slots=True)
class Loudness:
    """How loud a recording is, dBFS; ``clipped`` is the share of samples at full scale."""

    peak: float
    voice: float
    noise: float
    clipped: float


def loudness(heard: Samples, rate: int) -> Loudness:
    """Measure a recording: the loudest and the quietest of its 20 ms blocks."""
    block = max(1, round(_BLOCK_SECONDS * rate))
    blocks = heard[: len(heard) // block * block].reshape(-1, block).astype(np.float64)
    each = np.sqrt(np.mean(blocks**2, axis=1)) if len(blocks) else np.zeros(1)
    return Loudness(
        peak=dbfs(peak(heard)),
        voice=dbfs(float(np.quantile(each, 0.95))),
        noise=dbfs(float(np.quantile(each, 0.1))),
        clipped=float(np.mean(np.abs(heard.astype(np.int32)) >= _CLIPPED)) if len(heard) else 0.0,
    )


def judge_level(heard: Samples, rate: int, zeros_hint: str) -> Finding:
    """Judge what a microphone heard while somebody was asked to speak.

    Args:
        heard: shape (n,).
        rate: samples a second.
        zeros_hint: what to do if only digital zeros came.
    """
    level = loudness(heard, rate)
    says = f"peak {level.peak:.0f} dBFS, voice {level.voice:.0f}, background {level.noise:.0f}"
    verdict, hint = Verdict.PASS, ""
    if not heard.any():
        verdict, says, hint = Verdict.FAIL, "it delivers only digital zeros", zeros_hint
    elif level.clipped > 0.001:
        verdict, hint = Verdict.WARN, "it is overdriven: turn its gain down"
    elif level.voice < _QUIET:
        verdict = Verdict.WARN
        hint = "very quiet: did you speak? Turn its gain up, come closer, or choose another one"
    elif level.noise > _NOISY:
        verdict = Verdict.WARN
        hint = "loud background: the agent may take it for speech; turn the gain down, come closer"
    figures = {
        "peak_dbfs": round(level.peak, 1),
        "voice_dbfs": round(level.voice, 1),
        "background_dbfs": round(level.noise, 1),
        "clipped_share": round(level.clipped, 5),
    }
    return Finding("sound", "microphone level", verdict, says, hint, figures)


def judge_round_trip(found: list[float | None]) -> Finding:
    """Judge the times from ``fill_rt`` to ``write_rt``, seconds, None for a chime not heard."""
    heard = sorted(each for each in found if each is not None)
    if not heard:
        return Finding(
            "sound",
            "round trip",
            Verdict.WARN,
            "the microphone did not hear the chime",
            "nothing to fix if you wear headphones; else turn up the speaker or the microphone",
        )
    middle = heard[len(heard) // 2] * 1000
    says = f"{middle:.0f} ms from the program through the air and back"
    if len(heard) < len(found):
        says += f" (heard {len(heard)} of {len(found)} times)"
    slow = middle > 250
    return Finding(
        "sound",
        "round trip",
        Verdict.WARN if slow else Verdict.PASS,
        says,
        "a Bluetooth headset, or a sound server with long buffers, is that slow; "
        "a wired headset is faster"
        if slow
        else "",
        {
            "round_trip_ms": round(middle, 1),
            "spread_ms": round((heard[-1] - heard[0]) * 1000, 1),
            "heard": len(heard),
            "played": len(found),
        },
    )


def judge_clock(name: str, rate: int, samples: int, seconds: float) -> Finding:
    """Judge a device's clock by the samples that passed in some time.

    A few seconds reveal a wrong rate (44.1 for 48 kHz is 8 %), but not a slow crystal: the
    resolution is a block, about 10 ms.
    """
    off = (samples / rate / seconds - 1) * 1e6 if seconds else 0.0
    sure = 15_000 / seconds if seconds else 0.0  # ppm
    wrong = abs(off) > max(2 * sure, 1000)
    share = f"{off / 10_000:+.2f} % (±{sure / 10_000:.2f})"
    says = f"{name}: {samples} samples in {seconds:.1f} s, {share}"
    return Finding(
        "sound",
        "clock",
        Verdict.WARN if wrong else Verdict.PASS,
        says,
        f"it does not run at {rate} Hz: try another device or another rate" if wrong else "",
        {"ppm": round(off), "good_to_ppm": round(sure), "rate_hz": rate},
    )
