"""The way of a web call's packets, which a scenario can make a bad one.

::

    Peer ─▶ Path ─▶ UDP
             ├ hold, release   nothing gets through; then all of it at once
             ├ cut             nothing gets through any more
             └ network         packets of audio are lost, late, out of order, twice
    Peer ◀─ Uplink ◀─ UDP
             └ network         the same of the caller's

Only what answers ICE's own questions goes past it: a cut path looks like a silent server, not like
a network that is gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

_OVERTAKEN = 0.03  # seconds by which a packet out of order is later than its turn: one and a half
_MOST_HELD = 10_000  # packets; three minutes
_RTP = range(128, 192)  # first byte, RFC 7983
_RTCP = range(192, 224)  # second byte, RFC 5761


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How packets of audio fare.

    Attributes:
        loss: share of them that never arrives, 0–1.
        lost_in_a_row: how many are lost at a time, on average; 1: each by chance, by itself.
        delay_ms: how late each of them is.
        jitter_ms: up to how much later still, by chance; none overtakes another.
        reorder: share of them that is overtaken by the next, 0–1.
        duplicate: share of them that comes twice, 0–1.
    """

    loss: float = 0.0
    lost_in_a_row: float = 1.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0


CALM = Network()


class Fate:
    """Decides what becomes of each packet; pure, time is an argument."""

    def __init__(self, network: Network, random: Random) -> None:
        self._network = network
        self._random = random
        self._losing = False
        self._due = 0.0  # of the packet that came last

    def next(self, now: float) -> tuple[float, ...]:
        """Return when the next packet arrives: never, once or twice, seconds as ``now``."""
        network, random = self._network, self._random
        if self._is_lost():
            return ()
        late = network.delay_ms + random.uniform(0, network.jitter_ms)
        self._due = due = max(self._due, now + late / 1000)
        if random.random() < network.reorder:
            due += _OVERTAKEN
        return (due, due) if random.random() < network.duplicate else (due,)

    def _is_lost(self) -> bool:
        """Follow Gilbert's model: good and bad stretches, of lengths that give the loss asked."""
        loss = self._network.loss
        if loss >= 1:
            return True
        # Where each is lost or not by itself, so many are lost in a row anyhow.
        ends = min(1 - loss, 1 / self._network.lost_in_a_row)
        begins = ends * loss / (1 - loss)
        self._losing = self._random.random() < (1 - ends if self._losing else begins)
        return self._losing


class Path:
    """Between a peer and its caller.

    Args:
        send: sends a datagram.
        now: a clock, seconds; the event loop's.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self._fate: Fate | None = None
        self._held: list[bytes] | None = None
        self._is_cut = False
        self._on_the_way: set[asyncio.Task[None]] = set()

    def become(self, network: Network, random: Random) -> None:
        """Treat packets so from now on."""
        self._fate = None if network == CALM else Fate(network, random)

    def hold(self) -> None:
        """Let nothing through until ``release``."""
        if self._held is None:
            self._held = []

    async def release(self) -> None:
        """Let through what was held, at once."""
        held, self._held = self._held or [], None
        for data in held:
            await self._let_through(data)

    def cut(self) -> None:
        """Let nothing through any more."""
        self._is_cut = True

    async def stop(self) -> None:
        """Drop what is still on its way; no task is left."""
        self.cut()
        on_the_way = list(self._on_the_way)
        for task in on_the_way:
            task.cancel()
        await asyncio.gather(*on_the_way, return_exceptions=True)

    async def send(self, data: bytes) -> None:
        """Send a datagram, if and when it may."""
        if self._is_cut:
            return
        if self._held is not None:
            if len(self._held) < _MOST_HELD:
                self._held.append(data)
        elif self._fate is None or not _is_audio(data):
            await self._let_through(data)
        else:
            now = self._now()
            for due in self._fate.next(now):
                task = asyncio.create_task(self._send_later(data, due - now))
                self._on_the_way.add(task)
                task.add_done_callback(self._on_the_way.discard)

    async def _send_later(self, data: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        with suppress(ConnectionError):
            await self._let_through(data)

    async def _let_through(self, data: bytes) -> None:
        if not self._is_cut:
            await self._send(data)


class Uplink:
    """Between a caller and a peer.

    Args:
        deliver: takes sequence number, timestamp and payload of a packet.
        loop: calls it later.
    """

    def __init__(
        self, deliver: Callable[[int, int, bytes], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._deliver = deliver
        self._loop = loop
        self._fate: Fate | None = None
        self._on_the_way: deque[asyncio.TimerHandle] = deque(maxlen=_MOST_HELD)

    def become(self, network: Network, random: Random) -> None:
        """Treat packets so from now on."""
        self._fate = None if network == CALM else Fate(network, random)

    def receive(self, sequence: int, timestamp: int, payload: bytes) -> None:
        """Take a packet; deliver it if and when it may be."""
        if self._fate is None:
            self._deliver(sequence, timestamp, payload)
            return
        now = self._loop.time()
        while self._on_the_way and self._on_the_way[0].when() < now:
            self._on_the_way.popleft()
        for due in self._fate.next(now):
            later = self._loop.call_at(due, self._deliver, sequence, timestamp, payload)
            self._on_the_way.append(later)

    def stop(self) -> None:
        """Drop what is still on its way."""
        for each in self._on_the_way:
            each.cancel()
        self._on_the_way.clear()


def _is_audio(data: bytes) -> bool:
    """Return whether a datagram is a packet of audio: RTP, not RTCP, DTLS or STUN."""
    return len(data) > 1 and data[0] in _RTP and data[1] not in _RTCP
