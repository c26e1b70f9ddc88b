"""A TURN server over UDP that gives addresses and relays nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aioice import stun

REALM, USER, PASSWORD = "here", "ann", "secret"


class Relay(asyncio.DatagramProtocol):
    """Answers requests for an address, and for its lease to go on or to end."""

    def __init__(self) -> None:
        self.given = 0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        key = hashlib.md5(f"{USER}:{REALM}:{PASSWORD}".encode()).digest()
        asked = stun.parse_message(data)
        answer = stun.Message(
            message_method=asked.message_method,
            message_class=stun.Class.RESPONSE,
            transaction_id=asked.transaction_id,
        )
        if asked.attributes.get("USERNAME") != USER:
            answer.message_class = stun.Class.ERROR
            answer.attributes.update(
                {"ERROR-CODE": (401, "Unauthorized"), "REALM": REALM, "NONCE": b"once"}
            )
        else:
            assert asked.check_message_integrity(key)
            answer.attributes["LIFETIME"] = asked.attributes.get("LIFETIME", 600)
            if asked.message_method == stun.Method.ALLOCATE:
                self.given += 1
                answer.attributes["XOR-MAPPED-ADDRESS"] = address
                answer.attributes["XOR-RELAYED-ADDRESS"] = ("127.0.0.1", 40_000 + self.given)
            answer.add_message_integrity(key)
        self._transport.sendto(bytes(answer), address)


@asynccontextmanager
async def relay() -> AsyncIterator[tuple[int, Relay]]:
    """Run one; its port, and it."""
    loop = asyncio.get_running_loop()
    transport, running = await loop.create_datagram_endpoint(Relay, ("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1], running
    finally:
        transport.close()
