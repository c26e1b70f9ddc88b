"""Sound files and nothing at all, as devices like any other.

They keep time themselves, at real speed or a multiple of it. Calls use them without a sound card,
and tests and benchmarks use them everywhere. All of them share one thread per process (``clock``),
so a stalled disk delays the files of all calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, pairwise
from math import gcd, inf
from pathlib import Path
from typing import BinaryIO

import numpy as np

from retell_voice.devices.clock import CLOCK, Ticking
from retell_voice.devices.ports import DeviceTraits, Sink, Source
from retell_voice.devices.sound_files.opening import STANDARD, Raw, Sound, is_pipe, read_wav
from retell_voice.devices.sound_files.playlist import Playlist
from retell_voice.devices.sound_files.writing import ENCODERS, WavWriter, Writer, open_writer
from retell_voice.errors import ConfigError
from retell_voice.private import check

__all__ = [
    "NullMicrophone",
    "NullSpeaker",
    "Raw",
    "WavMicrophone",
    "WavSpeaker",
    "WavWriter",
    "read_wav",
]

BLOCKS_PER_SECOND = 50
"""In the device's own time, like everything here: a fast device ticks more often."""


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
    """Hears sound files, then silence.

    WAV of every kind; FLAC, Ogg, MP3, AIFF and others with the extra ``files``. They are read as
    they are heard, however long they are.

    Args:
        path: a file, ``-`` for standard input, or several of them.
        rate: samples a second to resample to; None: those of the first file.
        speed: relative to real time.
        raw: how audio without a header is encoded, ``Raw("s16le", 16000)`` of this module; None:
            it has one.
        waits: each file waits for ``go_on``, in silence.
        loops: begin anew after the last file.

    Raises:
        ConfigError: a file cannot be read.
    """

    def __init__(
        self,
        path: Path | str | Sequence[Path | str],
        rate: int | None = None,
        *,
        speed: float = 1.0,
        raw: Raw | None = None,
        waits: bool = False,
        loops: bool = False,
    ) -> None:
        paths = [path] if isinstance(path, Path | str) else path
        if loops and (pipe := next(filter(is_pipe, paths), None)):
            raise ConfigError(f"{pipe}: a pipe can be read only once: it cannot loop")
        sounds = [Sound(each, raw) for each in paths]
        more = f" and {len(sounds) - 1} more" if len(sounds) > 1 else ""
        super().__init__(sounds[0].name + more, rate or sounds[0].rate, speed)
        self._new = partial(Playlist, sounds, self.rate, waits=waits, loops=loops)
        self._playlist = self._new()

    @property
    def is_waiting(self) -> bool:
        """Whether a file waits for ``go_on``."""
        return self._playlist.is_waiting

    @property
    def is_speaking(self) -> bool:
        """Whether a file is being heard, or is about to be."""
        return not (self._playlist.is_waiting or self._playlist.is_over)

    def go_on(self) -> None:
        """Begin the file that waits, if one does. Safe on any thread."""
        self._playlist.go_on()

    def start(self, sink: Sink) -> None:
        """Start pushing the files from their beginning."""
        playlist = self._playlist = self._new()
        silence = np.zeros(self.block, np.int16)
        over = False

        def tick_rt(size: int) -> None:
            """Runs on: clock thread."""
            nonlocal over
            try:
                block = playlist.take(size)
            except (ConfigError, OSError) as error:
                sink.lost(f"{self.name}: {error}", final=True)
                playlist.close()
                return
            if not over and playlist.is_over and not len(block):
                over = True
                sink.finished()
            if 0 < len(block) < size:  # what follows keeps the same blocks
                block = np.concatenate((block, silence[: size - len(block)]))
            sink.write_rt(block if len(block) else silence[:size])

        self.run(tick_rt, sink.lost)

    def stop(self) -> None:
        """Stop and close the file."""
        super().stop()
        self._playlist.close()


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
    """Plays into a sound file: what a loudspeaker would have played, silence included.

    Args:
        path: the file; created or overwritten when the call starts.
        rate: samples a second, to which the call is resampled.
        speed: relative to real time.
        encoding: ``wav``, or of audio without a header: ``s16le``, ``f32le`` or ``mulaw``.
        file: to be written to instead of opening the path, a pipe for example.

    Raises:
        ConfigError: its directory does not exist, nothing may be written there, the path is a
            directory, its name is that of another kind of file, or there is no such encoding.
    """

    def __init__(
        self,
        path: Path | str,
        rate: int = 24000,
        *,
        speed: float = 1.0,
        encoding: str = "wav",
        file: BinaryIO | None = None,
    ) -> None:
        name = Path(path).name
        if encoding not in ENCODERS:
            raise ConfigError(
                f"{path}: no such encoding: {encoding!r}", f"one of {', '.join(ENCODERS)}"
            )
        if file is None:
            _check(Path(path), encoding)
        elif str(path) == STANDARD:
            path = name = "standard output"
        super().__init__(name, rate, speed)
        self.gone: Callable[[], None] | None = None
        """Called on a thread when the reader of a pipe has gone; None: then the device is lost."""
        self._path = path
        self._open = partial(open_writer, path, rate, encoding, file)
        self._writer: Writer | None = None

    def start(self, source: Source) -> None:
        """Create the file and start pulling.

        Raises:
            ConfigError: the file cannot be written.
        """
        writer = self._writer = self._open()
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
                writer.write(out)
            except OSError as error:
                full = True
                if isinstance(error, BrokenPipeError) and self.gone is not None:
                    self.gone()
                    return
                kept = f"; the first {written / self.rate:.1f} s were saved" if written else ""
                source.lost(f"{self._path}: {error.strerror or error}{kept}", final=True)
            else:
                written += size

        self.run(tick_rt, source.lost)

    def stop(self) -> None:
        """Stop and close the file."""
        super().stop()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


_NOT_WRITTEN = frozenset(
    (".aac", ".aif", ".aiff", ".au", ".flac", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".wma")
)


def _check(path: Path, encoding: str) -> None:
    """Check where a file is to be written.

    Raises:
        ConfigError: nothing can be written there, or another kind of file would be expected.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a directory", "name a file in it: agent.wav")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: no such directory: {path.parent}")
    if encoding == "wav" and path.suffix.lower() in _NOT_WRITTEN:
        raise ConfigError(
            f"{path}: only WAV files are written", f"name it {path.with_suffix('.wav').name}"
        )
    check(path)
