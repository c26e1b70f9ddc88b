"""Connections as they come in: slow, silent, abusive, and in pieces."""

import asyncio
import json
import socket

import pytest
from websockets.asyncio.client import connect

from retell_voice.emulator import Emulator, Session, connection, silent_agent

UPGRADE = (
    "GET /audio-websocket/{} HTTP/1.1\r\nHost: [::]\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def test_a_websocket_byte_by_byte() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
        for byte in UPGRADE.format(call.call_id).encode():
            writer.write(bytes([byte]))
            await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        writer.write(b"\x81\x84\0\0\0\0ping")
        assert await reader.readexactly(6) == b"\x81\x04pong"
        writer.close()
        await writer.wait_closed()


async def test_a_websocket_and_its_first_message_in_one_piece() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
        writer.write(UPGRADE.format(call.call_id).encode() + b"\x81\x84\0\0\0\0ping")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(6) == b"\x81\x04pong"
        writer.close()
        await writer.wait_closed()


async def test_a_connection_serves_many_requests_and_then_a_websocket() -> None:
    get = b"GET /get-call/x HTTP/1.1\r\nHost: [::]\r\nAuthorization: Bearer k\r\n\r\n"
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
        for data in (get, get, get + get):
            writer.write(data)
        for _ in range(4):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 404 ")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            assert json.loads(await reader.readexactly(length))["status"] == "error"
        writer.write(UPGRADE.format(call.call_id).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.close()
        await writer.wait_closed()


async def test_an_error_is_read_though_the_client_goes_on_sending() -> None:
    async with Emulator() as emulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
        writer.write(
            b"POST /register-call HTTP/1.1\r\nHost: [::]\r\nContent-Length: 99999999\r\n\r\n"
        )
        for _ in range(40):
            writer.write(bytes(65536))
        async with asyncio.timeout(5):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_who_says_nothing_is_shown_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_REQUEST_TIMEOUT", 0.05)
    async with Emulator() as emulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
        writer.write(b"GET / HTTP/1.1\r\n")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_call_outlives_the_time_for_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_REQUEST_TIMEOUT", 0.5)
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register()
        async with connect(f"{emulator.url}/{call.call_id}") as client:
            await asyncio.sleep(0.6)  # that time must really pass: nothing tells that it has
            await client.send("ping")
            assert await client.recv() == "pong"


async def test_pings_of_websockets_own_are_answered_and_told() -> None:
    pinged = asyncio.Event()

    async def agent(session: Session) -> None:
        while True:
            await session.pinged.wait()
            session.pinged.clear()
            pinged.set()

    async with Emulator(agent=agent, answer_pings=False) as emulator, asyncio.timeout(5):
        call = emulator.register()
        async with connect(f"{emulator.url}/{call.call_id}") as client:
            for _ in range(2):
                await (await client.ping())
                await pinged.wait()
                pinged.clear()


async def test_who_asks_and_never_reads_is_shown_out() -> None:
    get = b"GET /get-call/x HTTP/1.1\r\nHost: [::]\r\nAuthorization: Bearer k\r\n\r\n"
    async with Emulator() as emulator:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", emulator.port))
        _, writer = await asyncio.open_connection(sock=small)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # typed as write-only

        async def ask_on() -> None:
            while True:
                writer.write(get * 1000)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(ask_on(), 20)
        writer.close()
