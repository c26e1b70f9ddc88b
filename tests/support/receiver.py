"""A developer's server, as far as webhooks go: it keeps what is posted and answers as told."""

import asyncio
import json
import ssl
from collections.abc import Iterable
from typing import Any, Self

from retell_voice.emulator.http import HttpPeer
from retell_voice.emulator.rest.replies import Reply, Request


class Receiver:
    """Listens on a port of its own.

    Args:
        statuses: of the first answers; None: none at all. The rest are 204.
        headers: of every answer.
        context: speaks TLS with this.
    """

    def __init__(
        self,
        statuses: Iterable[int | None] = (),
        headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self._statuses = list(statuses)
        self._headers = headers or {}
        self._context = context
        self._silent = False
        self._news = asyncio.Condition()
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        scheme = "https" if self._context else "http"
        self.url = f"{scheme}://localhost:{self._server.sockets[0].getsockname()[1]}/hook?a=1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await self._server.wait_closed()

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        bodies = [json.loads(request.body) for request in self.requests]
        return [(body["event"], body["call"]) for body in bodies]

    async def received(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.requests) >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        peer = HttpPeer(self._respond)
        try:
            while not peer.closing and (data := await reader.read(65536)):
                out = peer.receive(data)
                if peer.answered:
                    async with self._news:
                        self._news.notify_all()
                if not self._silent:
                    writer.write(out)
                    await writer.drain()
            if self._silent:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            self._open.discard(task)
            writer.close()

    def _respond(self, request: Request) -> Reply:
        self.requests.append(request)
        status = self._statuses.pop(0) if self._statuses else 204
        self._silent = status is None
        return Reply(status or 204, None, self._headers)
