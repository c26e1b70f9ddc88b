"""Sounds one after the other, in blocks of any length: what a microphone made of files hears."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import soxr

from retell_voice.audio.format import Samples
from retell_voice.devices.sound_files.opening import Sound
from retell_voice.devices.sound_files.pcm import Reader

_READS_PER_SECOND = 4
"""Of a file: little enough to decode within a block, enough not to read all the time."""
_AHEAD = 2.0
"""Seconds that are read ahead from a pipe; then whoever writes waits."""
_PIPE_BLOCKS = 50  # a second: as they come
_NOTHING = np.empty(0, np.int16)


class _Blocks(Protocol):
    @property
    def is_over(self) -> bool: ...
    def take(self, count: int) -> Samples: ...
    def close(self) -> None: ...


class FileBlocks:
    """Reads a sound when it is asked to, and resamples it.

    Args:
        reader: of the sound.
        rate: samples a second to deliver.
        reads: a second.
    """

    def __init__(self, reader: Reader, rate: int, reads: int = _READS_PER_SECOND) -> None:
        self.is_over = False
        self._reader = reader
        self._step = max(reader.rate // reads, 1)
        self._stream = (
            None
            if reader.rate == rate
            else soxr.ResampleStream(reader.rate, rate, 1, dtype="int16", quality="VHQ")
        )
        self._held = _NOTHING
        self._has_more = True

    def take(self, count: int) -> Samples:
        """Return this many samples; fewer only at the end.

        Raises:
            OSError: the file cannot be read any more.
        """
        while len(self._held) < count and self._has_more:
            samples = self._reader.read(self._step)
            self._has_more = len(samples) > 0
            if self._stream is not None:
                samples = self._stream.resample_chunk(samples, last=not self._has_more)
            self._held = np.concatenate((self._held, samples))
        taken, self._held = self._held[:count], self._held[count:]
        self.is_over = not self._has_more and not len(self._held)
        return taken

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()


class PipeBlocks:
    """Reads a pipe ahead on a thread, as a pipe may have nothing for a while.

    Args:
        reader: of the sound.
        rate: samples a second to deliver.
    """

    def __init__(self, reader: Reader, rate: int) -> None:
        self._blocks = FileBlocks(reader, rate, _PIPE_BLOCKS)
        self._size = max(rate // _PIPE_BLOCKS, 1)
        self._most = round(_AHEAD * rate)
        self._held = _NOTHING
        self._changed = threading.Condition()
        self._has_more = True
        self._error: OSError | None = None
        threading.Thread(target=self._read, name="retell-voice pipe", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come, not even an error."""
        return not self._has_more and not len(self._held) and self._error is None

    def take(self, count: int) -> Samples:
        """Return up to this many samples: what has come.

        Raises:
            OSError: the pipe cannot be read any more.
        """
        with self._changed:
            taken, self._held = self._held[:count], self._held[count:]
            self._changed.notify()
        if self._error is not None and not len(taken):
            raise self._error
        return taken

    def close(self) -> None:
        """Stop reading; whoever writes is told when the program ends, at the latest."""
        with self._changed:
            self._has_more = False
            self._changed.notify()

    def _read(self) -> None:
        try:
            while len(samples := self._blocks.take(self._size)):
                with self._changed:
                    self._changed.wait_for(
                        lambda: len(self._held) < self._most or not self._has_more
                    )
                    if not self._has_more:
                        break
                    self._held = np.concatenate((self._held, samples))
        except OSError as error:
            self._error = error
        finally:
            self._has_more = False
            self._blocks.close()


class Playlist:
    """Sounds in their order, each when it may begin.

    Args:
        sounds: at least one.
        rate: samples a second to deliver.
        waits: each sound waits for ``go_on``.
        loops: begin anew after the last one.
    """

    def __init__(
        self, sounds: Sequence[Sound], rate: int, *, waits: bool = False, loops: bool = False
    ) -> None:
        self.is_waiting = waits
        """Whether ``go_on`` would begin the next sound."""
        self.is_over = False
        self._sounds = sounds
        self._rate = rate
        self._waits = waits
        self._loops = loops
        self._number = 0
        self._playing: tuple[_Blocks, Sound, Reader] | None = None
        self._heard = 0  # samples of this round

    def go_on(self) -> None:
        """Begin the next sound, if one is waiting. Safe on any thread."""
        self.is_waiting = False

    def take(self, count: int) -> Samples:
        """Return the next samples, fewer than ``count`` where there is silence.

        Raises:
            ConfigError, OSError: the next sound cannot be read.
        """
        parts: list[Samples] = []
        while count and (playing := self._current()) is not None:
            blocks = playing[0]
            part = blocks.take(count)
            parts.append(part)
            count -= len(part)
            self._heard += len(part)
            if not blocks.is_over:
                break  # it is full, or a pipe is late
            self._end()
        return parts[0] if len(parts) == 1 else np.concatenate((_NOTHING, *parts))

    def close(self) -> None:
        """Close what is open; nothing follows."""
        self.is_over = True
        playing, self._playing = self._playing, None
        if playing is not None:
            playing[0].close()
        for sound in self._sounds:
            sound.close()

    def _current(self) -> tuple[_Blocks, Sound, Reader] | None:
        if self._playing is None and not self.is_over and not self.is_waiting:
            sound = self._sounds[self._number]
            reader = sound.open()
            blocks = PipeBlocks if sound.is_pipe else FileBlocks
            self._playing = blocks(reader, self._rate), sound, reader
        return self._playing

    def _end(self) -> None:
        if self._playing is not None:
            blocks, sound, reader = self._playing
            self._playing = None
            sound.tell_missing(reader)
            blocks.close()
        self._number += 1
        if self._number == len(self._sounds):
            self._number = 0
            self.is_over = not self._loops or not self._heard
            self._heard = 0
        self.is_waiting = self._waits and not self.is_over
