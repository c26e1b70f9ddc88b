"""A server of a REST API that gives the answers it was told."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress


class Heads(list[str]):
    """Lines of requests, and their bodies; ``asked`` is set when there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.bodies: list[bytes] = []


@asynccontextmanager
async def server(*answers: bytes | None) -> AsyncIterator[tuple[str, Heads]]:
    """A server that answers one request after another, None: not at all; its URL and requests."""
    heads = Heads()
    left = list(answers)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(asyncio.IncompleteReadError):  # it tried whether TLS is spoken here
            await converse(reader, writer)
        writer.close()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n")).decode())
        heads.asked.set()
        answer = left.pop(0)
        if answer is None:
            await reader.read(-1)
            return
        # All of it: what is unread when a connection is closed can cost the peer the answer.
        fields = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)^content-length: (\d+)", fields, re.MULTILINE)
        heads.bodies.append(await reader.readexactly(int(length[1]) if length else 0))
        writer.write(answer)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", heads
        for writer in writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """An answer as it goes over the wire."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def interrupted(*arguments: str, env: Mapping[str, str]) -> tuple[int | None, bytes, bytes]:
    """Press Ctrl-C while the program waits for a server's answer; its exit code and output."""
    async with server(None) as (url, heads):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "retell_voice", *arguments, "--api-url", url),
            env=dict(env),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            await heads.asked.wait()
            process.send_signal(signal.SIGINT)
            out, errors = await process.communicate()
    return process.returncode, out, errors
