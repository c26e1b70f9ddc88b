"""The bare loop: two PortAudio callbacks and a WebSocket, nothing else.

No jitter buffer, no fade, no resampler: blocks of 10 ms, frames of 20 ms. What it reaches is
about what can be reached on a machine; ``scripts/bench`` measures it beside the real program.

    python scripts/bench_parts/bare.py URL RATE
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from typing import Any

import sounddevice as sd
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def run(url: str, rate: int) -> None:
    """Hold a call until the server closes it."""
    loop = asyncio.get_running_loop()
    size, heard = rate // 50 * 2, bytearray()  # a frame, and what waits to become one
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    playing: deque[bytes] = deque()
    rest = b""

    def take(block: bytes) -> None:
        heard.extend(block)
        while len(heard) >= size:
            frames.put_nowait(bytes(heard[:size]))
            del heard[:size]

    def capture_rt(data: Any, *_: Any) -> None:
        loop.call_soon_threadsafe(take, bytes(data))

    def play_rt(out: Any, *_: Any) -> None:
        nonlocal rest
        data = rest
        while len(data) < len(out) and playing:
            data += playing.popleft()
        rest = data[len(out) :]
        out[:] = data[: len(out)].ljust(len(out), b"\0")

    settings = {"samplerate": rate, "channels": 1, "dtype": "int16", "latency": "low"}
    settings["blocksize"] = rate // 100
    async with connect(url, compression=None, max_queue=None, proxy=None) as socket:

        async def send() -> None:
            while True:
                await socket.send(await frames.get())

        with (
            sd.RawOutputStream(callback=play_rt, **settings),
            sd.RawInputStream(callback=capture_rt, **settings),
        ):
            sending = asyncio.create_task(send())
            try:
                async for message in socket:
                    if message == "clear":
                        playing.clear()
                        rest = b""
                    elif isinstance(message, bytes):
                        playing.append(message)
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await sending


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
