"""What every caller of a swarm says: one recording, encoded once, and where its utterances end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.errors import ConfigError

BLOCK = 0.02
"""Seconds of the blocks whose level is looked at."""
_FLOOR = 10 ** (-45 / 20) * 32768
"""Anything quieter is silence, wherever it comes from."""
_BELOW = 10 ** (-30 / 20)
"""So much below the loudest block, of a caller's own voice, is silence as well."""
_PAUSE = 0.6
"""Seconds of silence that end an utterance; shorter ones are within it."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A caller's voice.

    Attributes:
        frames: encoded, in the order in which they are sent.
        frame: seconds that one lasts.
        ends: seconds from the first frame at which an utterance has ended.
        silence: a frame of nothing, for when all has been said.
    """

    frames: tuple[bytes, ...]
    frame: float
    ends: tuple[float, ...]
    silence: bytes

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.frames) * self.frame


def voice_of(
    samples: Samples,
    audio: AudioFormat,
    frame_ms: int,
    encode: Callable[[Samples], bytes] | None = None,
) -> Voice:
    """Return a recording as the voice of callers.

    Args:
        samples: shape (n,), mono int16, at the rate of ``audio``.
        audio: encoding and rate of the calls.
        frame_ms: length of a frame.
        encode: encodes one frame after the other; None: as ``audio`` does.

    Raises:
        ConfigError: nobody speaks in it.
    """
    step = audio.frame_samples(frame_ms)
    padded = np.pad(samples, (0, -len(samples) % step))
    ends = utterance_ends(samples, audio.rate)
    if not ends:
        raise ConfigError("nobody speaks in the input file: no answer could be timed")
    encode = encode or audio.encode
    frames = tuple(encode(padded[at : at + step]) for at in range(0, len(padded), step))
    silence = encode(np.zeros(step, np.int16))
    return Voice(frames, step / audio.rate, ends, silence)


def utterance_ends(samples: Samples, rate: int) -> tuple[float, ...]:
    """Return when each utterance ends, seconds, to a block."""
    levels = block_levels(samples, rate)
    loud = levels > max(_FLOOR, float(levels.max(initial=0)) * _BELOW)
    at = np.flatnonzero(loud)
    if not len(at):
        return ()
    breaks = np.flatnonzero(np.diff(at) > round(_PAUSE / BLOCK))
    last = [*at[breaks], at[-1]]
    return tuple(float((block + 1) * BLOCK) for block in last)


def loud_blocks(samples: Samples, rate: int) -> NDArray[np.bool_]:
    """Return which blocks of ``BLOCK`` seconds are no silence; the last may be shorter."""
    found: NDArray[np.bool_] = _powers(samples, rate) > _FLOOR**2
    return found


def block_levels(samples: Samples, rate: int) -> NDArray[np.float64]:
    """Return the root mean square of each block."""
    return np.sqrt(_powers(samples, rate))


def _powers(samples: Samples, rate: int) -> NDArray[np.float64]:
    size = max(1, round(rate * BLOCK))
    values = samples.astype(np.float64)
    if lacking := -len(values) % size:
        values = np.concatenate((values, np.zeros(lacking)))
    blocks = values.reshape(-1, size)
    powers: NDArray[np.float64] = np.einsum("ij,ij->i", blocks, blocks) / size
    return powers
