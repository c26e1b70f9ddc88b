"""A UDP relay between a caller and the gateway, which lets audio be late or lost.

::

    caller ◀──▶ front │ back ◀──▶ gateway     one back for each address that the caller sends from
                  ▲
                  └ fate(number): packets of the gateway's audio only; all else passes at once

Both are told the relay's addresses instead of each other's, so that every datagram comes this way.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Callable
from typing import Any, Self

from bench_parts.packet_weather import Fate

_CLOCK_FRAME = 960  # RTP timestamp units of a packet
_CANDIDATE = re.compile(r"^a=candidate:.*\r\n", re.MULTILINE)
_HOST = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.MULTILINE | re.IGNORECASE)

Address = tuple[str, int]


def first_host(sdp: str) -> Address:
    """Return the address of the first IPv4 host candidate.

    Raises:
        ValueError: there is none.
    """
    found = next((each for each in _HOST.findall(sdp) if ":" not in each[0]), None)
    if found is None:
        raise ValueError("no candidate is an IPv4 address of this machine")
    return found[0], int(found[1])


def redirected(sdp: str, address: Address) -> str:
    """Return an SDP whose only candidate, of each medium, is that address."""
    host, port = address
    only = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
    head, *media = re.split(r"(?=^m=)", _CANDIDATE.sub("", sdp), flags=re.MULTILINE)
    return head + "".join(each + only for each in media)


class Relay:
    """Passes datagrams on; made by ``open``.

    Attributes:
        passed, dropped: packets of the gateway's audio that did, or did not get through.
        muted: set, no more of it gets through, uncounted.
    """

    def __init__(self, gateway: Address, first: Callable[[], int], fate: Callable[[int], Fate]):
        self.passed = self.dropped = 0
        self.muted = False
        self._gateway, self._first, self._fate = gateway, first, fate
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[Address, asyncio.DatagramTransport] = {}
        self._early: dict[Address, list[bytes]] = {}  # what came before there was a back for it
        self._opening: set[asyncio.Task[None]] = set()
        self._origin: tuple[int, int] | None = None  # timestamp and number of the first packet
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(
        cls, gateway: Address, first: Callable[[], int], fate: Callable[[int], Fate]
    ) -> Self:
        """Begin to listen, on the gateway's own address.

        Args:
            gateway: where it takes datagrams.
            first: tells the number of the first packet that it has sent.
            fate: what happens to a packet of that number.
        """
        relay = cls(gateway, first, fate)
        relay._front = await relay._socket(relay._from_caller)
        return relay

    @property
    def address(self) -> Address:
        """What the caller is to be told."""
        assert self._front is not None
        found: Address = self._front.get_extra_info("sockname")
        return found

    def close(self) -> None:
        """Pass on nothing more."""
        for task in self._opening:
            task.cancel()
        for each in (self._front, *self._backs.values()):
            if each is not None:
                each.close()

    async def _socket(self, take: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, address: Any) -> None:
                take(data, address)

        transport, _ = await self._loop.create_datagram_endpoint(
            Protocol, local_addr=(self._gateway[0], 0)
        )
        return transport

    def _from_caller(self, data: bytes, caller: Address) -> None:
        if (back := self._backs.get(caller)) is not None:
            back.sendto(data, self._gateway)
            return
        if caller not in self._early:
            self._early[caller] = []
            self._opening.add(self._loop.create_task(self._open_back(caller)))
        self._early[caller].append(data)

    async def _open_back(self, caller: Address) -> None:
        back = await self._socket(lambda data, _: self._from_gateway(data, caller))
        self._backs[caller] = back
        for data in self._early.pop(caller):
            back.sendto(data, self._gateway)

    def _from_gateway(self, data: bytes, caller: Address) -> None:
        assert self._front is not None
        if not is_audio(data):
            self._front.sendto(data, caller)
            return
        if self.muted:
            return
        fate = self._fate(self._number(data))
        if fate is None:
            self.dropped += 1
            return
        self.passed += 1
        if fate <= 0:
            self._front.sendto(data, caller)
        else:
            self._loop.call_later(fate, self._front.sendto, data, caller)

    def _number(self, data: bytes) -> int:
        (timestamp,) = struct.unpack_from("!I", data, 4)
        if self._origin is None:
            self._origin = timestamp, self._first()
        begin, number = self._origin
        return number + (timestamp - begin) % 2**32 // _CLOCK_FRAME


def is_audio(data: bytes) -> bool:
    """Return whether a datagram is RTP: not RTCP, DTLS or STUN (RFC 7983, RFC 5761)."""
    return len(data) >= 12 and 128 <= data[0] < 192 and not 192 <= data[1] < 224
