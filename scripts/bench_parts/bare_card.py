"""A sound card for programs that are measured as a floor: two PortAudio callbacks, nothing else."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import sounddevice as sd


class BareCard:
    """Both default devices, mono, in blocks of 10 ms; a context manager.

    Args:
        rate: samples a second.
        take: is given frames of 20 ms from the microphone, on the event loop.

    Attributes:
        playing: what is to be played, bytes of int16.
    """

    def __init__(self, rate: int, take: Callable[[bytes], None]) -> None:
        self.playing: deque[bytes] = deque()
        self._rest = b""
        self._take = take
        self._frame = rate // 50 * 2  # bytes
        self._heard = bytearray()
        self._loop = asyncio.get_running_loop()
        settings: dict[str, Any] = {"samplerate": rate, "channels": 1, "dtype": "int16"}
        settings |= {"latency": "low", "blocksize": rate // 100}
        self._speaker = sd.RawOutputStream(callback=self._play_rt, **settings)
        self._microphone = sd.RawInputStream(callback=self._capture_rt, **settings)

    def __enter__(self) -> Self:
        self._speaker.start()
        self._microphone.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._microphone.close()
        self._speaker.close()

    def clear(self) -> None:
        """Play nothing of what waits."""
        self.playing.clear()
        self._rest = b""

    def _hear(self, block: bytes) -> None:
        self._heard.extend(block)
        while len(self._heard) >= self._frame:
            self._take(bytes(self._heard[: self._frame]))
            del self._heard[: self._frame]

    def _capture_rt(self, data: Any, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._hear, bytes(data))

    def _play_rt(self, out: Any, *_: Any) -> None:
        data = self._rest
        while len(data) < len(out) and self.playing:
            data += self.playing.popleft()
        self._rest = data[len(out) :]
        out[:] = data[: len(out)].ljust(len(out), b"\0")
