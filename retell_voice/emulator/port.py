"""The port that an emulator listens on, and the connections that come in through it."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import Any, cast

from websockets.asyncio.server import Server, serve

from retell_voice.emulator.connection import HttpConnection
from retell_voice.emulator.full import FullNotice
from retell_voice.emulator.http import Respond
from retell_voice.emulator.monitors import select_subprotocol
from retell_voice.emulator.sockets import Sockets


class Port:
    """One port for HTTP and WebSockets: ``open``, ``shut``, ``close``.

    Args:
        host: address to listen on.
        number: of the port, 0 for any free one.
        log: for the library, and for connections that cannot be taken.

    Attributes:
        number: of the port; once it is open, the one that was free.
    """

    def __init__(self, host: str, number: int, log: logging.Logger) -> None:
        self.number = number
        self._host = host
        self._log = log
        self._http_connections: set[HttpConnection] = set()
        self._full = FullNotice(log)
        self._server: Server | None = None

    @property
    def address(self) -> str:
        """Host and port as in a URL: this machine's where it is every address it has."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - compared only
        return f"[{host}]:{self.number}" if ":" in host else f"{host}:{self.number}"

    @property
    def was_opened(self) -> bool:
        """Whether it has been open; it may be shut by now."""
        return self._server is not None

    async def open(self, respond: Respond, sockets: Sockets) -> None:
        """Listen.

        Args:
            respond: answers plain HTTP requests.
            sockets: admits WebSockets and holds them.

        Raises:
            OSError: listening on the address fails.
        """
        connection = partial(
            HttpConnection, respond=respond, http_connections=self._http_connections
        )
        self._server = await serve(
            sockets.serve,
            self._host,
            self.number,
            create_connection=cast(Any, connection),
            process_request=sockets.admit,
            select_subprotocol=select_subprotocol,
            compression=None,
            close_timeout=1.0,
            server_header="retell-voice emulator",
            logger=self._log,
        )
        listening = self._server.sockets
        # Port 0 takes another for each family; that of IPv4 is the one that ``address`` shows.
        shown = [each for each in listening if each.family == socket.AF_INET] or listening
        self.number = shown[0].getsockname()[1]
        self._full.open({each.fileno() for each in listening})

    def shut(self) -> None:
        """Take no more connections; those there are go on."""
        if self._server is not None:
            self._server.close(close_connections=False)

    async def close(self) -> None:
        """Answer the requests there are and close what speaks HTTP; returns when all is closed.

        WebSockets are for those to close who hold them.
        """
        answering = [each.answering for each in self._http_connections if each.answering]
        await asyncio.gather(*answering)
        for connection in list(self._http_connections):
            connection.shut()
        if self._server is not None:
            await self._server.wait_closed()
            self._full.close()
