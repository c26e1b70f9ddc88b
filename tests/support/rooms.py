"""Simulated rooms: what a microphone hears of a loudspeaker, and how well an echo is taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from retell_voice.echo.ports import Blocks, EchoControl, block_samples

Floats = NDArray[np.float64]

NOISE_RMS = 8.0
"""What a microphone hears of a quiet room."""
FIR_SECONDS = 0.024
"""The longest filter that is allowed between the near end and what is left of it."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """A room with a loudspeaker and a microphone.

    Attributes:
        decay: seconds in which its reverberation falls by 60 dB.
        delay: seconds from a sample played to its first sound in the microphone, buffers included.
        level: of the echo against what is played, dB.
        direct: the sound that comes straight from the loudspeaker against its reverberation, dB.
        drift: how much faster the microphone's clock runs than the speaker's, parts per million.
        distorts: the loudspeaker is small and driven hard.
        seed: which of the rooms with these figures.
    """

    decay: float = 0.1
    delay: float = 0.04
    level: float = -6.0
    direct: float = 3.0
    drift: float = 0.0
    distorts: bool = False
    seed: int = 1

    def __str__(self) -> str:
        words = [f"{self.decay * 1e3:.0f} ms room, {self.delay * 1e3:.0f} ms late"]
        words.append(f"{self.level:g} dB")
        words += ["diffuse"] if self.direct < -10 else []
        words += [f"{self.drift:g} ppm"] if self.drift else []
        words += ["distorting"] if self.distorts else []
        return ", ".join(words)

    def response(self, rate: int) -> Floats:
        """Return the response of the room to an impulse: a direct part and a decaying rest."""
        random = np.random.default_rng(self.seed)
        length = round(self.decay * rate)
        tail = random.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
        tail /= np.sqrt(np.sum(tail**2))
        tail[0] += 10 ** (self.direct / 20)
        tail /= np.sqrt(np.sum(tail**2))
        late = np.zeros(round(self.delay * rate))
        return np.concatenate((late, tail * 10 ** (self.level / 20)))

    def echo(self, far: NDArray[np.int16], rate: int) -> Floats:
        """Return what the microphone hears of what is played, shape (n,), without noise."""
        played = far.astype(np.float64)
        if self.distorts:
            bent = np.tanh(1.5 * played / 12000 + 0.15) - np.tanh(0.15)
            played = 12000 * bent / 1.5
        if self.drift:
            faster = rate * (1 + self.drift * 1e-6)
            played = soxr.resample(played, rate, faster, quality="VHQ")
        return fitted(convolve(played, self.response(rate)), len(far))


def microphone(*sounds: Floats, seed: int = 7) -> NDArray[np.int16]:
    """Return sounds of the same length as a microphone delivers them: added, with noise."""
    mixed = np.sum(sounds, axis=0)
    mixed = mixed + np.random.default_rng(seed).normal(0, NOISE_RMS, len(mixed))
    return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)


def convolve(samples: Floats, response: Floats) -> Floats:
    """Return samples after a filter, as long as both together."""
    length = len(samples) + len(response) - 1
    size = 1 << length.bit_length()
    return np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(response, size))[:length]


def fitted(samples: NDArray[Any], length: int) -> NDArray[Any]:
    """Return samples cut, or filled up with silence, to a length."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def with_rms(samples: NDArray[Any], rms: float) -> NDArray[np.int16]:
    """Return a voice at a loudness that its pauses do not change."""
    values = samples.astype(np.float64)
    loud = values[np.abs(values) > 0.02 * np.max(np.abs(values))]
    return np.clip(values * rms / np.sqrt(np.mean(loud**2)), -32768, 32767).astype(np.int16)


def power(samples: NDArray[Any]) -> float:
    """Return the mean square, never 0."""
    return float(np.mean(samples.astype(np.float64) ** 2)) + 1e-3


def db(ratio: float) -> float:
    """Return a ratio of powers in dB."""
    return 10 * float(np.log10(ratio))


def fsdr(near: NDArray[Any], out: NDArray[Any], rate: int) -> tuple[float, float]:
    """Return how much of what came out is the near end, and how loud that is, both dB.

    The near end may be filtered by whatever 24 ms fit best: a delay and a high-pass cost nothing,
    muffling and echo do.
    """
    taps = round(FIR_SECONDS * rate)
    size = 1 << (2 * len(near)).bit_length()
    said, heard = (np.fft.rfft(each.astype(np.float64), size) for each in (near, out))
    of_itself = np.fft.irfft(said * np.conj(said))[:taps]
    together = np.fft.irfft(heard * np.conj(said))[:taps]
    places = np.abs(np.subtract.outer(np.arange(taps), np.arange(taps)))
    matrix = of_itself[places] + 1e-9 * of_itself[0] * np.eye(taps)
    filtered = np.fft.irfft(np.fft.rfft(np.linalg.solve(matrix, together), size) * said)
    filtered = filtered[: len(near)]
    rest = out.astype(np.float64) - filtered
    return db(power(filtered) / power(rest)), db(power(filtered) / power(near))


@dataclass(frozen=True, eq=False)
class Scene:
    """A conversation in a room: what was played, what was said here, and what of it was heard.

    All have the same length; ``near`` and ``echo`` are what the microphone hears of each.
    """

    room: Room
    rate: int
    far: NDArray[np.int16]
    near: Floats
    echo: Floats
    microphone: NDArray[np.int16]

    def through(self, control: EchoControl, blocks: Blocks | None = None) -> NDArray[np.int16]:
        """Return what a way of echo control makes of it, in blocks of 10 ms."""
        blocks = blocks or Blocks(control, self.rate)
        size = block_samples(self.rate)
        starts = range(0, len(self.far) - size + 1, size)
        parts = [(self.microphone[i : i + size], self.far[i : i + size]) for i in starts]
        return np.concatenate([blocks.process(near, far) for near, far in parts])

    def part(self, samples: NDArray[Any], start: float, end: float) -> NDArray[Any]:
        """Return what lies between two times, seconds."""
        return samples[round(start * self.rate) : round(end * self.rate)]

    def erle(self, out: NDArray[Any], start: float, end: float) -> float:
        """Return by how much ``out`` is quieter than the microphone between two times, dB."""
        heard, left = (self.part(each, start, end) for each in (self.microphone, out))
        return db(power(heard) / power(left))


def scene(
    room: Room,
    rate: int,
    far: NDArray[np.int16],
    near: Sequence[tuple[float, NDArray[np.int16]]] = (),
    *,
    lead: float = 0.5,
    tail: float = 0.5,
    relative: float = 0.0,
    seed: int = 7,
) -> Scene:
    """Return a conversation.

    Args:
        room: where.
        rate: samples a second of all.
        far: what the agent says.
        near: what is said at this end, and when, seconds.
        lead, tail: seconds of silence before and after.
        relative: how loud that is at the microphone, against an echo of the same loudness, dB.
        seed: of the microphone's noise.
    """
    silence = [np.zeros(round(each * rate), np.int16) for each in (lead, tail)]
    far = np.concatenate((silence[0], far, silence[1]))
    echo = room.echo(far, rate)
    here = np.zeros(len(far))
    for at, said in near:
        start = round(at * rate)
        room_for = here[start : start + len(said)]
        room_for += said[: len(room_for)] * 10 ** ((room.level + relative) / 20)
    return Scene(room, rate, far, here, echo, microphone(echo, here, seed=seed))
