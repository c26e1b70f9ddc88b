"""Callers of an emulator: one that joins a call, one that asks its REST calls."""

import asyncio
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from retell_voice.emulator import Emulator, RegisteredCall


def join(emulator: Emulator, call: RegisteredCall | str, query: str = "") -> Any:
    call_id = call if isinstance(call, str) else call.call_id
    return connect(f"{emulator.url}/{call_id}{query}", compression=None)


async def ask(
    emulator: Emulator, method: str, path: str, body: bytes = b"", headers: str = ""
) -> tuple[int, Any]:
    """One HTTP request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    writer.write(f"{head}Authorization: Bearer key\r\nConnection: close\r\n{headers}\r\n".encode())
    writer.write(body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    status, _, content = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), json.loads(content)


async def messages(client: ClientConnection) -> list[str | bytes]:
    return [message async for message in client]
