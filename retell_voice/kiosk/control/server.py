"""The kiosk's end of the control socket: answers commands, tells what changes.

::

    client ─▶ [lines] ─▶ Command ─▶ handle ─▶ answer ─┐
    kiosk  ─▶ tell ────────────────▶ queue of each ───┴─▶ client

A client that does not read is let go: it gets a snapshot again when it comes back.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from retell_voice.errors import ConfigError
from retell_voice.kiosk.control.messages import (
    LINE,
    BadCommand,
    Command,
    read_command,
    read_token,
    refusal,
    reply,
    written,
)
from retell_voice.shown import logger

MOST_CLIENTS = 16
_QUEUE = 256
"""Messages that may wait for a client."""
_TOKEN_SECONDS = 5.0
_LOCAL = ("127.0.0.1", "::1", "localhost")

_logger = logger("retell_voice.kiosk")

Handle = Callable[[Command], Awaitable[dict[str, Any]]]


class ControlServer:
    """Listens on a unix socket and, if asked to, on a TCP port of this machine; a context manager.

    Args:
        path: of the unix socket; its directory is made. One that nobody listens on is replaced.
        handle: carries a command out and returns the answer.
        snapshot: returns what a client is told first.
        address: host and port of TCP; None: none.
        token: what a client over TCP must know.

    Raises:
        ConfigError (when entered): it cannot listen there, someone does already, or TCP is to be
            heard by other machines or without a token.
    """

    def __init__(
        self,
        path: Path,
        handle: Handle,
        snapshot: Callable[[], dict[str, Any]],
        *,
        address: tuple[str, int] | None = None,
        token: str | None = None,
    ) -> None:
        self._path = path
        self._handle = handle
        self._snapshot = snapshot
        self._address = address
        self._token = token
        self._servers: list[asyncio.Server] = []
        self._clients: set[_Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._inode = 0

    @property
    def port(self) -> int | None:
        """The TCP port that it listens on."""
        for server in self._servers:
            for each in server.sockets:
                if each.family != socket.AF_UNIX:
                    return int(each.getsockname()[1])
        return None

    def tell(self, message: dict[str, Any]) -> None:
        """Tell every client of something."""
        if self._clients:
            line = written(message)
            for client in tuple(self._clients):
                client.put(line)

    async def __aenter__(self) -> Self:
        try:
            await self._listen()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        with suppress(OSError):
            if self._inode and self._path.stat().st_ino == self._inode:  # not another kiosk's
                self._path.unlink()
        self._inode = 0
        self._servers.clear()

    async def _listen(self) -> None:
        if self._address is not None:
            host, port = self._address
            if host not in _LOCAL:
                raise ConfigError(f"listen: {host} lets other machines in", "127.0.0.1 does not")
            if not self._token:
                raise ConfigError("listen: over TCP there must be a token", "set listen_token")
        self._free_path()
        before = os.umask(0o117)  # 0660 from the first moment on
        try:
            unix = await asyncio.start_unix_server(self._local, str(self._path), limit=LINE)
            self._servers.append(unix)
            self._inode = self._path.stat().st_ino
            if self._address is not None:
                host, port = self._address
                tcp = await asyncio.start_server(self._remote, host, port, limit=LINE)
                self._servers.append(tcp)
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"the control socket {self._path}: {why}") from None
        finally:
            os.umask(before)

    def _free_path(self) -> None:
        """Make way for the socket: what a process has left that was killed is removed."""
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            if stat.S_ISSOCK(self._path.stat().st_mode):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(1.0)
                    probe.connect(str(self._path))
                raise ConfigError(
                    f"a kiosk is already running: something listens on {self._path}",
                    "`retell-voice kiosk status` shows it",
                )
            raise ConfigError(f"{self._path} exists and is not a socket: set another path")
        except FileNotFoundError:
            pass
        except ConnectionRefusedError:
            self._path.unlink()
        except OSError as error:
            raise ConfigError(f"the control socket {self._path}: {error.strerror}") from None

    async def _local(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._accept(reader, writer, needs_token=False)

    async def _remote(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._accept(reader, writer, needs_token=True)

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, needs_token: bool
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio's own
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        client = _Client(writer)
        try:
            if len(self._tasks) > MOST_CLIENTS:
                client.put(written(refusal(f"{MOST_CLIENTS} clients are connected already")))
                return
            if needs_token and not await self._knows_token(reader, client):
                return
            self._clients.add(client)
            client.put(written(self._snapshot()))
            await self._serve(reader, client)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(client)
            await client.close()

    async def _knows_token(self, reader: asyncio.StreamReader, client: _Client) -> bool:
        try:
            async with asyncio.timeout(_TOKEN_SECONDS):
                given = read_token(await _line(reader))
        except (ValueError, TimeoutError) as error:
            client.put(written(refusal(str(error) or "no token came")))
            return False
        if not hmac.compare_digest(given.encode(), (self._token or "").encode()):
            _logger.warning("control: a client has shown a wrong token")
            client.put(written(refusal("the token is wrong")))
            return False
        return True

    async def _serve(self, reader: asyncio.StreamReader, client: _Client) -> None:
        while not client.is_over:
            try:
                line = await _line(reader)
            except ValueError as error:  # where the next line begins is not known
                client.put(written(refusal(str(error))))
                return
            if not line:
                return
            try:
                command = read_command(line)
            except BadCommand as error:
                client.put(written(refusal(str(error), error.id)))
                continue
            try:
                answer = await self._handle(command)
            except Exception as error:
                _logger.exception("control: %s failed, a defect", command.do)
                answer = reply(command, f"a defect of retell-voice: {error}")
            client.put(written(answer))


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, empty at the end; raises ValueError for one that is too long."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError:
        raise ValueError(f"the line is longer than {LINE} bytes") from None


class _Client:
    """A client's queue, and the task that empties it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.is_over = False
        self._writer = writer
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)
        self._writing = asyncio.create_task(self._write())

    def put(self, line: bytes) -> None:
        """Send this after what waits; lets the client go if too much does."""
        if self.is_over:
            return
        try:
            self._waiting.put_nowait(line)
        except asyncio.QueueFull:
            self.is_over = True
            self._writer.transport.abort()

    async def close(self) -> None:
        """Send what waits, if that is quick, and close."""
        self.is_over = True
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(None)
        try:
            await asyncio.wait((self._writing,), timeout=0.5)
            self._writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.5):
                    await self._writer.wait_closed()
        finally:  # also where the server ends meanwhile
            self._writing.cancel()
            self._writer.transport.abort()

    async def _write(self) -> None:
        with suppress(ConnectionError):
            while (line := await self._waiting.get()) is not None:
                self._writer.write(line)
                await self._writer.drain()
