"""Packets in the order they were sent, regardless of arrival order."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum, auto
from operator import attrgetter

from retell_voice.audio.packets.packet import Packet

_MAX_DROPOUT = 3000
"""Sequence numbers that may be missing at once (RFC 3550, A.1)."""
_MAX_MISORDER = 100
"""How far behind the newest one a packet of the same stream may be."""
_REMEMBERED = 1000
"""Lost packets remembered, to tell late ones from duplicates."""


class Put(Enum):
    """What became of a packet."""

    QUEUED = auto()
    LATE = auto()
    """Its time has passed."""
    DUPLICATE = auto()
    """It was here before."""
    SUSPECT = auto()
    """Its sequence number is far off, or its source is new; dropped unless the next confirms it."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A packet in the buffer.

    Attributes:
        sequence: its number, without wrap-around.
        start: its first sample, in samples of the playout, without wrap-around.
        duration: its length in samples.
        payload: as received.
    """

    sequence: int
    start: int
    duration: int
    payload: bytes


_SEQUENCE = attrgetter("sequence")


class PacketBuffer:
    """Holds packets until they are taken.

    Args:
        rate: samples a second of the playout.
        clock: units of the RTP timestamp a second.
        limit: most samples to hold; beyond, the oldest packets are dropped.
    """

    def __init__(self, rate: int, clock: int, limit: int) -> None:
        self._rate, self._clock, self._limit = rate, clock, limit
        self._queue: list[Queued] = []
        self._newest: int | None = None  # sequence number, without wrap-around
        self._timestamp = 0  # of the newest packet, without wrap-around
        self._next: int | None = None  # sequence number of the packet to be played next
        self._missing: dict[int, None] = {}  # passed over: an ordered set
        self._source = 0  # of the stream
        # Source and the 16 bits of the number that would confirm a new stream.
        self._suspect: tuple[int, int] | None = None
        self.depth = 0
        """Samples held."""
        self.lost = 0
        """Packets that were missing when their turn came."""
        self.late = 0
        """Packets that came after their turn."""
        self.duplicates = 0
        """Packets that came twice."""
        self.overflowed = 0
        """Packets dropped because too many were waiting."""
        self.restarts = 0
        """Times the sender's numbering jumped, or its source changed."""

    @property
    def first(self) -> Queued | None:
        """The next packet to play among those that are here."""
        return self._queue[0] if self._queue else None

    def samples(self, packet: Packet) -> int:
        """Return the duration of a packet in samples of the playout."""
        return max(1, packet.duration * self._rate // self._clock)

    def put(self, packet: Packet) -> tuple[Put, Queued]:
        """Add a packet; also return it with its numbers unwrapped."""
        if self._newest is None:
            return self._begin(packet)
        ahead = _signed(packet.sequence - self._newest, 16)
        if packet.source != self._source or not -_MAX_MISORDER < ahead < _MAX_DROPOUT:
            if (packet.source, packet.sequence & 0xFFFF) == self._suspect:
                self.restarts += 1
                self.clear()
                return self._begin(packet)
            self._suspect = packet.source, (packet.sequence + 1) & 0xFFFF
            return Put.SUSPECT, self._unwrap(packet, self._newest + ahead)
        self._suspect = None
        queued = self._unwrap(packet, self._newest + ahead)
        if ahead > 0:
            self._newest = queued.sequence
            self._timestamp += _signed(packet.timestamp - self._timestamp, 32)
        return self._insert(queued), queued

    def take(self) -> Queued:
        """Take the first packet out; whatever is missing before it is lost.

        Raises:
            IndexError: there is none.
        """
        self.give_up()
        first = self._queue.pop(0)
        self.depth -= first.duration
        self._next = first.sequence + 1
        return first

    def give_up(self, *, one: bool = False) -> None:
        """Count what is missing before the first packet as lost; ``one``: only the next.

        Raises:
            IndexError: there is no packet.
        """
        first = self._queue[0].sequence
        if self._next is None:  # earlier packets may still come, too late
            self._pass_over(first - _MAX_MISORDER, first)
        elif self._next < first:
            stop = self._next + 1 if one else first
            self.lost += stop - self._next
            self._pass_over(self._next, stop)
            self._next = stop

    def clear(self) -> None:
        """Drop all packets; anything sent before the newest of them is late from now on."""
        if self._newest is not None:
            start = self._newest - _MAX_MISORDER if self._next is None else self._next
            self._pass_over(start, self._newest + 1)
            for queued in self._queue:
                self._missing.pop(queued.sequence, None)
            self._next = self._newest + 1
        self._queue.clear()
        self.depth = 0

    def _begin(self, packet: Packet) -> tuple[Put, Queued]:
        # Far from 0: earlier packets may follow.
        self._newest = (packet.sequence & 0xFFFF) + 0x10000
        self._timestamp = packet.timestamp
        self._source = packet.source
        self._next = self._suspect = None
        self._missing.clear()
        queued = self._unwrap(packet, self._newest)
        return self._insert(queued), queued

    def _unwrap(self, packet: Packet, sequence: int) -> Queued:
        timestamp = self._timestamp + _signed(packet.timestamp - self._timestamp, 32)
        start = timestamp * self._rate // self._clock
        return Queued(sequence, start, self.samples(packet), packet.payload)

    def _insert(self, queued: Queued) -> Put:
        if self._next is not None and queued.sequence < self._next:
            if queued.sequence in self._missing:
                del self._missing[queued.sequence]
                self.late += 1
                return Put.LATE
            self.duplicates += 1
            return Put.DUPLICATE
        at = bisect_left(self._queue, queued.sequence, key=_SEQUENCE)
        if at < len(self._queue) and self._queue[at].sequence == queued.sequence:
            self.duplicates += 1
            return Put.DUPLICATE
        self._queue.insert(at, queued)
        self.depth += queued.duration
        while self.depth > self._limit and len(self._queue) > 1:
            self.take()
            self.overflowed += 1
        return Put.QUEUED

    def _pass_over(self, start: int, stop: int) -> None:
        for sequence in range(max(start, stop - _REMEMBERED), stop):
            self._missing[sequence] = None
        while len(self._missing) > _REMEMBERED:
            del self._missing[next(iter(self._missing))]


def _signed(difference: int, bits: int) -> int:
    """Return the difference of wrapping numbers that is nearest to 0."""
    half = 1 << bits - 1
    return (difference + half) % (2 * half) - half
