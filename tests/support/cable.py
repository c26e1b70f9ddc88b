"""A cable between a program and a server that can be pulled: a proxy for TCP."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Cable:
    """Leads to the server of a URL while it is plugged in; an async context manager.

    Attributes:
        url: the same server through this cable.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self._scheme, self._path = parts.scheme, parts.path
        self._plugged = asyncio.Event()
        self._plugged.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{self._scheme}://127.0.0.1:{port}{self._path}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.plug()
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def pull(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._plugged.clear()

    def plug(self) -> None:
        """What waited passes, and what comes."""
        self._plugged.set()

    def reset(self) -> None:
        """End every connection at once, as a router does that has started anew."""
        for writer in self._writers:
            writer.transport.abort()

    async def _take(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(back)
        with suppress(OSError):
            await self._plugged.wait()
            far, forth = await asyncio.open_connection(self._host, self._port)
            self._writers.add(forth)
            await asyncio.gather(self._carry(near, forth), self._carry(far, back))
        self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._plugged.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
