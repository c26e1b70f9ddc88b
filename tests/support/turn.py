"""A relay (TURN, RFC 8656) over UDP and TCP that reaches what its clients do not."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aioice import stun
from aioice.turn import make_integrity_key

HIDDEN = "203.0.113.9"
"""An address that only the relay knows the way to: it stands for this machine's own."""
USER, PASSWORD, REALM = "relay-user", "relay-password-0123456789", "tests"
Address = tuple[str, int]


@dataclass
class Turn:
    """The server.

    Attributes:
        port: of UDP and of TCP.
        host: this machine's own address, at which it relays.
        allocations: transports over which relays were allocated.
        refusing: set once credentials were wrong.
        relayed: packets passed on to clients.
    """

    host: str
    port: int = 0
    allocations: list[str] = field(default_factory=list)
    refusing: asyncio.Event = field(default_factory=asyncio.Event)
    relayed: int = 0
    _clients: list[_Client] = field(default_factory=list)

    def url(self, transport: str) -> str:
        """Return it as an ICE server's URL."""
        return f"turn:127.0.0.1:{self.port}?transport={transport}"


class _Client(asyncio.DatagramProtocol):
    """One client, and the socket that relays for it; that is what this protocol is of."""

    def __init__(self, server: Turn, kind: str, send: Callable[[bytes], None], at: Address) -> None:
        self._server, self._kind, self._send, self._at = server, kind, send, at
        self._channels: dict[int, Address] = {}
        self._relay: Any = None

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Pass on what came for the client."""
        for channel, peer in self._channels.items():
            if peer[1] == addr[1]:
                self._server.relayed += 1
                padding = bytes(-len(data) % 4) if self._kind == "tcp" else b""
                self._send(struct.pack("!HH", channel, len(data)) + data + padding)

    def close(self) -> None:
        if self._relay is not None:
            self._relay.close()

    async def take(self, data: bytes) -> None:
        """Take one message of the client's."""
        if data[0] & 0xC0 == 0x40:
            channel, length = struct.unpack_from("!HH", data)
            peer = self._channels.get(channel)
            if peer is not None:
                host = self._server.host if peer[0] == HIDDEN else peer[0]
                self._relay.sendto(data[4 : 4 + length], (host, peer[1]))
            return
        request = stun.parse_message(data)
        answer = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        if request.attributes.get("USERNAME") != USER:
            if "USERNAME" in request.attributes:
                self._server.refusing.set()
            answer.message_class = stun.Class.ERROR
            answer.attributes |= {
                "ERROR-CODE": (401, "Unauthorized"),
                "NONCE": b"nonce",
                "REALM": REALM,
            }
            self._send(bytes(answer))
            return
        match request.message_method:
            case stun.Method.ALLOCATE:
                loop = asyncio.get_running_loop()
                self._relay, _ = await loop.create_datagram_endpoint(
                    lambda: self, local_addr=(self._server.host, 0)
                )
                self._server.allocations.append(self._kind)
                answer.attributes["XOR-RELAYED-ADDRESS"] = self._relay.get_extra_info("sockname")
                answer.attributes["XOR-MAPPED-ADDRESS"] = self._at
                answer.attributes["LIFETIME"] = 600
            case stun.Method.CHANNEL_BIND:
                channel = request.attributes["CHANNEL-NUMBER"]
                self._channels[channel] = request.attributes["XOR-PEER-ADDRESS"]
            case stun.Method.REFRESH:
                answer.attributes["LIFETIME"] = request.attributes["LIFETIME"]
        answer.add_message_integrity(make_integrity_key(USER, REALM, PASSWORD))
        self._send(bytes(answer))


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: Turn, tasks: set[asyncio.Task[None]]) -> None:
        self._server, self._tasks = server, tasks
        self._clients: dict[Address, _Client] = {}
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        client = self._clients.get(addr)
        if client is None:
            client = _Client(
                self._server, "udp", lambda out: self._transport.sendto(out, addr), addr
            )
            self._clients[addr] = client
            self._server._clients.append(client)
        self._tasks.add(asyncio.create_task(client.take(data)))


@asynccontextmanager
async def turn(host: str) -> AsyncIterator[Turn]:
    """Run a relay for the length of the block."""
    server = Turn(host)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(server, "tcp", writer.write, writer.get_extra_info("peername"))
        server._clients.append(client)
        try:
            while True:
                head = await reader.readexactly(4)
                kind, length = struct.unpack("!HH", head)
                rest = length + 16 if kind < 0x4000 else length + -length % 4
                await client.take(head + await reader.readexactly(rest))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    loop = asyncio.get_running_loop()
    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    udp, _ = await loop.create_datagram_endpoint(
        lambda: _Udp(server, tasks), local_addr=("127.0.0.1", server.port)
    )
    try:
        yield server
    finally:
        listening.close()
        udp.close()
        for client in server._clients:
            client.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
