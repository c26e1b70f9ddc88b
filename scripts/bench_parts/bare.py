"""The bare loop: two PortAudio callbacks and a WebSocket, nothing else.

No jitter buffer, no fade, no resampler: blocks of 10 ms, frames of 20 ms. What it reaches is
about what can be reached on a machine; ``scripts/bench`` measures it beside the real program.

    python scripts/bench_parts/bare.py URL RATE
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bench_parts.bare_card import BareCard


async def run(url: str, rate: int) -> None:
    """Hold a call until the server closes it."""
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    async with connect(url, compression=None, max_queue=None, proxy=None) as socket:

        async def send() -> None:
            while True:
                await socket.send(await frames.get())

        with BareCard(rate, frames.put_nowait) as card:
            sending = asyncio.create_task(send())
            try:
                async for message in socket:
                    if message == "clear":
                        card.clear()
                    elif isinstance(message, bytes):
                        card.playing.append(message)
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionClosed):
                    await sending


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
