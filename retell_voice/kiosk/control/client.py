"""The other end of a kiosk's control socket: for commands, and for programs of one's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from retell_voice.errors import ConnectError
from retell_voice.kiosk.control.messages import read_message, written

_LINE = 1 << 20  # a history of many calls is one line


class ControlClient:
    """A connection to the kiosk that listens there; an async context manager, and an async iterator
    of what the kiosk tells.

    Args:
        path: its unix socket.
        timeout: seconds that it may take to answer.

    Raises:
        ConnectError: none listens there (when entered), or it has gone.
    """

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self.snapshot: dict[str, Any] = {}
        """What it told first."""
        self._path = path
        self._timeout = timeout
        self._ids = count(1)
        self._told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout):
                self._reader, self._writer = await asyncio.open_unix_connection(
                    str(self._path), limit=_LINE
                )
                self._reading = asyncio.create_task(self._read())
                first = await self._told.get()
        except (OSError, TimeoutError) as error:
            await self._close()
            why = getattr(error, "strerror", None) or "it does not answer"
            raise ConnectError(
                f"there is no kiosk at {self._path}: {why}",
                "is it running, and may you use its socket? `systemctl status retell-voice-kiosk`; "
                "--socket / RETELL_VOICE_KIOSK_SOCKET if it was started by hand",
            ) from None
        except BaseException:  # cancelled
            await self._close()
            raise
        if first is None:
            await self._close()
            raise ConnectError(f"the kiosk at {self._path} has closed the connection")
        self.snapshot = first
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._reading is None:  # it was never connected
            return
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def do(self, command: str, **fields: Any) -> dict[str, Any]:
        """Have a command carried out and return the answer, which says whether that was ``ok``."""
        if self._reading is None or self._reading.done():
            raise ConnectError(f"the kiosk at {self._path} has gone")
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._writer.write(written({"do": command, "id": number, **fields}))
        try:
            async with asyncio.timeout(self._timeout):
                said: dict[str, Any] = await answer
                return said
        except TimeoutError:
            raise ConnectError(f"the kiosk at {self._path} does not answer") from None
        finally:
            self._answers.pop(number, None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        message = await self._told.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                message = read_message(line)
                given = message.get("id")
                answer = self._answers.get(given) if isinstance(given, int) else None
                if "reply" in message and answer is not None and not answer.done():
                    answer.set_result(message)
                else:
                    self._told.put_nowait(message)
        except (ConnectionError, ValueError):
            pass
        finally:
            self._told.put_nowait(None)
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ConnectError(f"the kiosk at {self._path} has gone"))
