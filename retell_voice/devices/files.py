"""WAV files and nothing at all, as devices like any other.

They keep time themselves, at real speed or a multiple of it. Calls use them without a sound card,
and tests and benchmarks use them everywhere. All of them share one thread per process (``clock``),
so a stalled disk delays the files of all calls.
"""

from __future__ import annotations

import contextlib
import io
import os
import wave
from collections.abc import Callable
from functools import partial
from itertools import cycle, pairwise
from math import gcd, inf
from pathlib import Path

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.clock import CLOCK, Ticking
from retell_voice.devices.ports import HIGHEST_RATE, LOWEST_RATE, DeviceTraits, Sink, Source
from retell_voice.errors import ConfigError

LARGEST = 2**30
"""Largest WAV file to read, bytes; it is read at once."""
BLOCKS_PER_SECOND = 50
"""In the device's own time, like everything here: a fast device ticks more often."""


def read_wav(path: Path | str) -> tuple[Samples, int]:
    """Return a WAV file as mono int16, shape (n,), and its rate in Hz.

    8, 16, 24 and 32-bit PCM of any number of channels, which are averaged.

    Raises:
        ConfigError: it cannot be read or is not PCM.
    """
    try:
        content = _content(path)
        with wave.open(io.BytesIO(_plain_pcm(content)), "rb") as file:
            channels, width, rate, count = file.getparams()[:4]
            data = file.readframes(count)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (wave.Error, EOFError, RuntimeError) as error:  # the last: a chunk that lies
        raise ConfigError(
            f"{path}: not a PCM WAV file ({str(error) or 'it ends too early'})",
            f"convert it first: sox {path} -b 16 -c 1 converted.wav",
        ) from None
    if not data:
        raise ConfigError(f"{path}: the WAV file contains no audio")
    # A header may claim anything, and resampling from 1 Hz would make gigabytes of a megabyte.
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ConfigError(f"{path}: the WAV file claims {rate} Hz, which is not an audio rate")
    samples = _pcm(data, width)[: len(data) // (width * channels) * channels]
    mono = samples.reshape(-1, channels).mean(axis=1)
    return np.rint(mono).clip(-32768, 32767).astype(np.int16), rate


def _content(path: Path | str) -> bytes:
    """Read a file in pieces: for all that it might be at once, Python would ask for a gigabyte."""
    pieces: list[bytes] = []
    with Path(path).open("rb") as whole:
        while piece := whole.read(2**20):
            pieces.append(piece)
            if len(pieces) > LARGEST // 2**20:
                raise ConfigError(
                    f"{path}: larger than {LARGEST // 2**20} MiB, which is hours of audio"
                )
    return b"".join(pieces)


def _plain_pcm(data: bytes) -> bytes:
    """Return a WAV file with the plain PCM tag if it has the extensible one but is PCM.

    Most 24-bit and many-channel files are like that; Python's ``wave`` reads them from 3.12 on.
    """
    tag = data.find(b"fmt ") + 8
    if data[tag : tag + 2] == b"\xfe\xff" and data[tag + 24 : tag + 26] == b"\x01\x00":
        return data[:tag] + b"\x01\x00" + data[tag + 2 :]
    return data


def _pcm(data: bytes, width: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Return PCM of any width, scaled to int16's range."""
    data = data[: len(data) // width * width]
    if width == 1:  # the only unsigned one
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) * 256
    # The two high bytes of each little-endian sample are its int16.
    high = np.frombuffer(data, np.uint8).reshape(-1, width)[:, -2:]
    return np.ascontiguousarray(high).view("<i2").ravel().astype(np.float32)


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class WavWriter:
    """Writes mono int16 to a 16-bit WAV file that is whole after every write.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, path: Path | str, rate: int) -> None:
        try:
            # A new file is private: it contains what was said. Closed by close().
            self._raw = open(path, "wb", opener=_privately)  # noqa: SIM115
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from None
        self._wave = wave.open(self._raw, "wb")  # noqa: SIM115 - as above
        self._wave.setparams((1, 2, rate, 0, "NONE", ""))

    def write(self, samples: Samples) -> None:
        """Append samples, shape (n,).

        Raises:
            OSError: the disk is full or gone.
        """
        self._wave.writeframes(samples.astype("<i2", copy=False).tobytes())
        self._raw.flush()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with contextlib.suppress(OSError):  # write has already reported a full disk
            self._wave.close()
        with contextlib.suppress(OSError):
            self._raw.close()


class _Clockwork:
    """Ticks, with all others of its kind, on one thread per process, until stopped."""

    latency: float | None = 0.0
    # Never lost: a second start would play or write the file from its beginning again.
    traits = DeviceTraits(block_timeout=inf, can_block=True)
    clock = CLOCK

    def __init__(self, name: str, rate: int, speed: float) -> None:
        self.name = name
        self.rate = rate
        # A rate that is not a multiple of 50 has blocks of two lengths.
        count = BLOCKS_PER_SECOND // gcd(BLOCKS_PER_SECOND, rate)
        ends = [number * rate // BLOCKS_PER_SECOND for number in range(count + 1)]
        self._sizes = [end - start for start, end in pairwise(ends)]
        self.block = max(self._sizes)
        self._period = 1 / BLOCKS_PER_SECOND / speed
        self._ticking: Ticking | None = None

    def run(self, tick_rt: Callable[[int], None], lost: Callable[[str, bool], None]) -> None:
        """Start calling ``tick_rt`` with the length of each block, in samples."""
        _Clockwork.stop(self)

        def failed(error: Exception) -> None:
            lost(f"a defect in this program: {error!r}", True)

        sizes = cycle(self._sizes)
        alike = len(self._sizes) == 1
        each_rt = partial(tick_rt, self.block) if alike else lambda: tick_rt(next(sizes))
        self._ticking = self.clock.begin(self._period, each_rt, failed)

    def stop(self) -> None:
        """Stop; safe to call twice."""
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            self.clock.end(ticking)


class NullMicrophone(_Clockwork):
    """Hears silence.

    Args:
        rate: samples a second.
        speed: relative to real time.
    """

    def __init__(self, rate: int = 16000, *, speed: float = 1.0, name: str = "silence") -> None:
        super().__init__(name, rate, speed)

    def start(self, sink: Sink) -> None:
        """Start pushing silence."""
        silence, write_rt = np.zeros(self.block, np.int16), sink.write_rt
        self.run(lambda size: write_rt(silence[:size]), sink.lost)


class WavMicrophone(_Clockwork):
    """Hears a WAV file, then silence.

    Args:
        path: a PCM WAV file.
        rate: samples a second to resample the file to; None keeps its own.
        speed: relative to real time.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(self, path: Path | str, rate: int | None = None, *, speed: float = 1.0) -> None:
        samples, own_rate = read_wav(path)
        super().__init__(Path(path).name, rate or own_rate, speed)
        self._samples = resample_whole(samples, own_rate, self.rate)

    def start(self, sink: Sink) -> None:
        """Start pushing the file from its beginning."""
        samples, silence = self._samples, np.zeros(self.block, np.int16)
        at, over = 0, False

        def tick_rt(size: int) -> None:
            """Runs on: clock thread."""
            nonlocal at, over
            block = samples[at : at + size]
            at += size
            if 0 < len(block) < size:  # what follows keeps the same blocks
                block = np.concatenate((block, silence[: size - len(block)]))
            sink.write_rt(block if len(block) else silence[:size])
            if not over and not len(block):
                over = True
                sink.finished()

        self.run(tick_rt, sink.lost)


class NullSpeaker(_Clockwork):
    """Discards what it is given.

    Args:
        rate: samples a second.
        speed: relative to real time.
    """

    def __init__(self, rate: int = 16000, *, speed: float = 1.0, name: str = "nothing") -> None:
        super().__init__(name, rate, speed)

    def start(self, source: Source) -> None:
        """Start pulling."""
        block, fill_rt = np.zeros(self.block, np.int16), source.fill_rt
        self.run(lambda size: fill_rt(block[:size]), source.lost)


class WavSpeaker(_Clockwork):
    """Plays into a WAV file: what a loudspeaker would have played, silence included.

    Args:
        path: the file; created or overwritten when the call starts.
        rate: samples a second, to which the call is resampled.
        speed: relative to real time.

    Raises:
        ConfigError: its directory does not exist, or the path is a directory.
    """

    def __init__(self, path: Path | str, rate: int = 24000, *, speed: float = 1.0) -> None:
        if Path(path).is_dir():
            raise ConfigError(f"{path} is a directory", "name a file in it: agent.wav")
        if not (directory := Path(path).parent).is_dir():
            raise ConfigError(f"{path}: no such directory: {directory}")
        super().__init__(Path(path).name, rate, speed)
        self._path = path
        self._file: WavWriter | None = None

    def start(self, source: Source) -> None:
        """Create the file and start pulling.

        Raises:
            ConfigError: the file cannot be written.
        """
        file = self._file = WavWriter(self._path, self.rate)
        block = np.zeros(self.block, np.int16)
        written, full = 0, False

        def tick_rt(size: int) -> None:
            """Runs on: clock thread."""
            nonlocal written, full
            if full:
                return
            out = block[:size]
            source.fill_rt(out)
            try:
                file.write(out)
            except OSError as error:
                full = True
                kept = f"; the first {written / self.rate:.1f} s were saved" if written else ""
                source.lost(f"{self._path}: {error.strerror or error}{kept}", final=True)
            else:
                written += size

        self.run(tick_rt, source.lost)

    def stop(self) -> None:
        """Stop and close the file."""
        super().stop()
        if self._file is not None:
            self._file.close()
            self._file = None
