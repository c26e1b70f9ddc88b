"""A packet playout at the end of a simulated network, with no clock but the pull."""

from __future__ import annotations

import random
from collections import deque

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.packets.packet import Packet
from retell_voice.audio.packets.packet_playout import PacketPlayout


class Call:
    """A sender, a network and a playout of 10 ms blocks; all times in seconds.

    Args:
        sent: the packets, 20 ms each.
        playout: plays them.
        rate: its rate.
        ppm: how much slower the sender's clock is than the playout's.
        jitter: each packet is delayed by up to so much.
        loss: so many of the packets never come.
        stalls: (from, for how long) nothing comes; then all comes at once.
    """

    def __init__(
        self,
        sent: list[Packet],
        playout: PacketPlayout,
        rate: int,
        *,
        ppm: float = 0,
        jitter: float = 0.004,
        loss: float = 0,
        stalls: tuple[tuple[float, float], ...] = (),
    ) -> None:
        dice = random.Random(1)
        arrivals = []
        for index, packet in enumerate(sent):
            at = 0.0333 + index * 0.02 * (1 + ppm / 1e6) + dice.uniform(0, jitter)
            for start, length in stalls:
                if start <= at < start + length:
                    at = start + length
            if dice.random() >= loss:
                arrivals.append((at, index, packet))
        self.playout, self.rate = playout, rate
        self._waiting = deque(sorted(arrivals))
        self._heard: list[np.ndarray] = []
        self.delays: list[float] = []
        """Of each block."""

    def run(self, seconds: float) -> np.ndarray:
        heard, out = [], np.zeros(self.rate // 100, np.int16)
        for _ in range(round(seconds * 100)):
            now = self.playout.position / self.rate
            while self._waiting and self._waiting[0][0] <= now:
                self.playout.push(self._waiting.popleft()[2])
            self.playout.pull(out)
            heard.append(out.copy())
            self.delays.append(self.playout.delay / self.rate)
        return np.concatenate(heard)


def without_pauses(samples: Samples, rate: int) -> Samples:
    """Return the loud 20 ms of a recording, cross-faded into each other: speech without rest."""
    size, fade = rate // 50, rate // 200
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    loud = pieces[np.sqrt(np.mean(pieces.astype(float) ** 2, axis=1)) > 300].ravel().astype(float)
    share = np.linspace(0, 1, fade)
    for start in range(size, len(loud), size):
        step = loud[start] - loud[start - 1]
        loud[start : start + fade] -= step * (1 - share)
    return np.rint(np.clip(loud, -32768, 32767)).astype(np.int16)
