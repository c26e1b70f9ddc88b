"""The caller of ``reply``, a process of its own: asks in real time and dates the first sound.

    questioner.py URL RATE TURNS.npz

It sends frames of 20 ms, each when its last sample is due, as a microphone does. Once the agent
has had its say and is only to be listened to, time goes eight times as fast, for an emulator
counts it in samples. For each turn it prints a line of JSON: ``began`` and ``spoken``, when its
first and its last sound were due, ``arrived``, when the first audio of the agent's came after
that, and ``silence``, how long that is silent; ``early`` if the agent spoke before. In seconds,
the first three of ``time.monotonic``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FRAME = 0.02
FAST = 8
LOUD = 0.01
"""Of full scale: what is quieter is before the first sound or after the last."""

_NOISE = 20.0  # RMS, −64 dBFS: a microphone is never quite silent
_MORE = 1.5  # seconds within which the rest of an answer begins to come
_PAUSE = 0.5  # between hearing the agent and speaking
_TIMEOUT = 20.0

Samples = NDArray[np.int16]


def sounding(samples: Samples) -> tuple[int, int]:
    """Return where the first sound begins and where the last ends; both the length if none."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > LOUD * 32768)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (len(samples), len(samples))


class Questioner:
    """One caller."""

    def __init__(self, client: ClientConnection, rate: int) -> None:
        self._client = client
        self._rate = rate
        self._frame = round(rate * FRAME)
        self._random = np.random.default_rng(1)
        self._to_say = np.zeros(0, np.int16)
        self._began: float | None = None  # what is being said
        self._clock = 0.0  # seconds of audio sent
        self._heard_until = 0.0  # by that clock
        self._arrivals: list[tuple[float, bytes]] = []  # since the turn began
        self._speed = 1
        self._news = asyncio.Event()

    async def ask(self, turns: list[Samples]) -> None:
        """Wait for the greeting, then ask; print what was measured."""
        tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._receive())]
        await self._until(lambda: bool(self._arrivals))
        for turn in turns:
            await self._listen()
            print(json.dumps(await self._turn(turn)), flush=True)
        for task in tasks:
            task.cancel()

    async def _turn(self, turn: Samples) -> dict[str, float | bool]:
        self._arrivals, self._began, self._to_say = [], None, turn
        first, last = sounding(turn)
        await self._until(lambda: self._began is not None)
        began = self._began or 0.0
        spoken = began + last / self._rate
        await self._until(lambda: bool(self._arrivals) and self._arrivals[-1][0] > spoken)
        arrived = next(at for at, _ in self._arrivals if at > spoken)
        await self._until(lambda: time.monotonic() > arrived + _MORE)
        heard = b"".join(data for at, data in self._arrivals if at > spoken)
        return {
            "began": began + first / self._rate,
            "spoken": spoken,
            "arrived": arrived,
            "silence": sounding(np.frombuffer(heard, "<i2"))[0] / self._rate,
            "early": self._arrivals[0][0] <= spoken,
        }

    async def _listen(self) -> None:
        """Hear the agent out."""
        await self._until(lambda: time.monotonic() - self._arrivals[-1][0] > _MORE)
        self._speed = FAST
        await self._until(lambda: self._clock > self._heard_until + _PAUSE)
        self._speed = 1

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_TIMEOUT):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _send(self) -> None:
        due = time.monotonic()
        while True:
            due += FRAME / self._speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            samples = self._random.normal(0, _NOISE, self._frame)
            said, self._to_say = self._to_say[: self._frame], self._to_say[self._frame :]
            samples[: len(said)] += said
            if len(said) and self._began is None:
                self._began = due - FRAME
            await self._client.send(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
            self._clock += FRAME
            self._news.set()

    async def _receive(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self._client:
                if isinstance(message, bytes):
                    self._arrivals.append((time.monotonic(), message))
                    length = len(message) / 2 / self._rate
                    self._heard_until = max(self._clock, self._heard_until) + length


async def main(url: str, rate: int, path: str) -> None:
    """Hold the call."""
    with np.load(path) as turns:
        said = [turns[name] for name in turns.files]
    async with connect(url, compression=None) as client:
        await Questioner(client, rate).ask(said)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
