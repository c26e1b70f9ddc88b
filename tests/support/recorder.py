"""What comes out of a virtual speaker, with the time at which it came."""

from __future__ import annotations

import os
import subprocess
import threading
import time

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
RATE = 48000
"""Rate of the virtual card and of what is recorded from it, Hz."""


class Recorder:
    """What a speaker plays, recorded until ``stop``; a context manager."""

    def __init__(self, tool: subprocess.Popen[bytes], timeout: float) -> None:
        self._tool = tool
        self._chunks: list[bytes] = []
        self._marks: list[tuple[float, int]] = []  # (monotonic time, samples so far)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait_for(1, timeout)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        assert self._tool.stdout is not None
        count = 0
        while data := os.read(self._tool.stdout.fileno(), 1 << 16):
            count += len(data)
            with self._changed:
                self._chunks.append(data)
                self._marks.append((time.monotonic(), count // 4))
                self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return self._marks[-1][1] if self._marks else 0

    def samples(self) -> Samples:
        """Return all that was heard so far from the left, 48 kHz (a mono sum would be 3 dB up)."""
        with self._changed:
            data = b"".join(self._chunks)
        return np.frombuffer(data[: len(data) & ~3], np.int16)[::2].copy()

    @property
    def marks(self) -> list[tuple[float, int]]:
        """When (monotonic) how many samples had been heard in all."""
        with self._changed:
            return list(self._marks)

    def wait_for(self, count: int, timeout: float = 10.0) -> None:
        """Block until ``count`` samples in all have been heard."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: bool(self._marks) and self._marks[-1][1] >= count, timeout
            ):
                raise TimeoutError(f"{count} samples did not come in {timeout:g} s")

    def time_of(self, sample: int) -> float:
        """Return when a sample was heard (monotonic), to the length of a block."""
        at, count = next(mark for mark in self.marks if mark[1] > sample)
        return at - (count - sample) / RATE

    def stop(self) -> Samples:
        """End the recording and return it, 48 kHz."""
        self._tool.terminate()
        self._tool.wait(5.0)
        self._thread.join(5.0)
        assert self._tool.stdout is not None
        self._tool.stdout.close()
        return self.samples()
