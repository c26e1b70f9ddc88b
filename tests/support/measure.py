"""Is what was heard what was said? Alignment, signal-to-noise ratio, silence and clicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CYCLE = 256
_EDGE = 2
_AROUND = 64


@dataclass(frozen=True)
class Match:
    """How well one recording agrees with its reference.

    Attributes:
        snr: dB, over all windows in which the reference is not silent.
        delay: seconds by which the recording is behind the reference; median of the windows.
        spread: largest less smallest delay of a window, seconds: drift, or something lost.
        gain: recording over reference, of the whole.
        worst: SNR of the worst window, dB; says where a click or a gap is.
        worst_at: where in the reference that window begins, seconds.
    """

    snr: float
    delay: float
    spread: float
    gain: float
    worst: float
    worst_at: float

    def __str__(self) -> str:
        return (
            f"SNR {self.snr:.1f} dB (worst window {self.worst:.1f} dB at {self.worst_at:.2f} s), "
            f"delay {self.delay * 1000:.2f} ms (spread {self.spread * 1000:.3f} ms), "
            f"gain {self.gain:.4f}"
        )


def resampled(samples: NDArray[Any], rate: int, to: int) -> Floats:
    """Return samples at another rate, float64, full scale ±32768, not rounded."""
    floats = samples.astype(np.float64)
    return floats if rate == to else np.asarray(soxr.resample(floats, rate, to, quality="VHQ"))


def band_limited(samples: NDArray[Any], rate: int, edge: float) -> NDArray[np.int16]:
    """Return samples without anything above ``edge`` Hz, with a soft end and no overload."""
    spectrum = np.fft.rfft(samples.astype(np.float64))
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum *= np.clip((edge - frequency) / (0.05 * edge) + 1.0, 0.0, 1.0)
    floats = np.fft.irfft(spectrum, len(samples))
    floats *= min(1.0, 30000.0 / max(1.0, float(np.max(np.abs(floats)))))
    return np.rint(floats).astype(np.int16)


def find(reference: NDArray[Any], heard: NDArray[Any]) -> int:
    """Return the whole number of samples by which ``heard`` is behind, by cross-correlation."""
    size = 1 << (len(reference) + len(heard)).bit_length()
    product = np.fft.rfft(heard.astype(np.float64), size) * np.conj(
        np.fft.rfft(reference.astype(np.float64), size)
    )
    lag = int(np.argmax(np.abs(np.fft.irfft(product, size))))
    return lag if lag < len(heard) else lag - size


def compare(
    reference: NDArray[Any],
    heard: NDArray[Any],
    rate: int,
    *,
    window: float = 0.1,
    slack: float = 0.001,
    floor: float = -50.0,
) -> Match:
    """Compare a recording with its reference, both at ``rate``.

    One gain is fitted to all, a delay to each window, so that a slow drift of one clock against
    the other is no noise; a window may be at most ``slack`` seconds from where the whole fits,
    so that audio lost or inserted is noise. Windows more than ``floor`` dB below the loudest
    are left out: their noise would be compared with nothing.
    """
    said, lag = reference.astype(np.float64), find(reference, heard)
    size, margin = int(window * rate), 64 + int(slack * rate)
    # What was never heard is compared with silence, not left out.
    pad = np.zeros(len(said) + margin)
    aligned = np.concatenate((pad, heard.astype(np.float64), pad))
    starts = range(margin, len(said) - size - margin, size)
    energies = [float(np.sum(said[at : at + size] ** 2)) for at in starts]
    loud = max(energies, default=0.0) * 10 ** (floor / 10)
    where = [at for at, energy in zip(starts, energies, strict=True) if energy > loud]
    if not where:
        raise ValueError("the reference is silent or too short")
    pairs = [
        (said[at - margin : at + size + margin], aligned[at + lag + len(pad) :][:size])
        for at in where
    ]
    fits = [_fit(*pair, slack * rate) for pair in pairs]
    overlap = sum(float(pair[1] @ fit.said) for pair, fit in zip(pairs, fits, strict=True))
    gain = overlap / sum(float(fit.said @ fit.said) for fit in fits)
    signal = np.array([np.sum((gain * fit.said) ** 2) for fit in fits])
    noise = np.array(
        [np.sum((pair[1] - gain * fit.said) ** 2) for pair, fit in zip(pairs, fits, strict=True)]
    )
    delays = np.array([fit.delay for fit in fits]) / rate
    each = _db(signal, noise)
    return Match(
        snr=float(_db(signal.sum(), noise.sum())),
        delay=float(lag / rate + np.median(delays)),
        spread=float(np.ptp(delays)),
        gain=gain,
        worst=float(each.min()),
        worst_at=where[int(each.argmin())] / rate,
    )


@dataclass(frozen=True)
class _Fit:
    said: Floats  # the window of the reference, moved to where it fits best
    delay: float  # samples


def _fit(said: Floats, heard: Floats, slack: float) -> _Fit:
    """Fit gain and delay of one window; ``said`` has a margin on both sides."""
    margin = (len(said) - len(heard)) // 2
    inside = slice(margin, margin + len(heard))
    spectrum = np.fft.rfft(said)
    omega = 2 * np.pi * np.fft.rfftfreq(len(said))
    delay = 0.0
    for _ in range(6):  # Gauss–Newton: a delay shows as a share of the slope
        moved = spectrum * np.exp(-1j * omega * delay)
        shifted = np.fft.irfft(moved, len(said))[inside]
        slope = np.fft.irfft(moved * 1j * omega, len(said))[inside]
        (gain, tilt), *_ = np.linalg.lstsq(np.stack((shifted, slope), 1), heard, rcond=None)
        step = -tilt / gain if gain else 0.0
        if abs(step) < 1e-5:
            break
        delay = float(np.clip(delay + np.clip(step, -1, 1), -slack, slack))
    return _Fit(shifted, delay)


def _db(signal: Any, noise: Any) -> Any:
    return 10 * np.log10(np.maximum(signal, 1e-12) / np.maximum(noise, 1e-12))


def level_dbfs(samples: NDArray[Any]) -> float:
    """Return the peak, dB of full scale; −100 for digital silence."""
    peak = float(np.max(np.abs(samples.astype(np.float64)), initial=0.0))
    return max(-100.0, 20 * np.log10(peak / 32768)) if peak else -100.0


def last_sound(samples: NDArray[Any], threshold: int = 8) -> int:
    """Return the index after the last sample louder than ``threshold``; 0 when there is none."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
    return int(loud[-1]) + 1 if len(loud) else 0


def first_sound(samples: NDArray[Any], threshold: int = 8) -> int:
    """Return the index of the first sample louder than ``threshold``; the length if none is."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
    return int(loud[0]) if len(loud) else len(samples)


def with_lost_cycles(heard: NDArray[Any], said: NDArray[Any], at: int) -> NDArray[Any]:
    """Return what was heard with what the sound server lost put back; ``said`` begins at ``at``.

    Now and then a busy server passes zeros for whole cycles of 256 samples, and goes on where
    the sound would be if it had not. Nothing that a program does looks like that: it would go on
    where it stopped, or be silent for a block of its own, which is no multiple of a cycle.
    """
    healed = heard.copy()
    window = healed[at : at + len(said)]
    said = said[: len(window)]
    edges = np.flatnonzero(np.diff(window == 0, prepend=False, append=False))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        missing = np.flatnonzero(said[begin:end])
        if not len(missing):
            continue
        first, last = begin + missing[0], begin + missing[-1] + 1
        is_whole = (last - first + _EDGE) % _CYCLE <= _EDGE  # ``said`` may be zero at an edge
        around = slice(first - _AROUND, first), slice(last, last + _AROUND)
        if is_whole and all(np.array_equal(window[each], said[each]) for each in around):
            window[first:last] = said[first:last]
    return healed
