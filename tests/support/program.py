"""The real program, as a user starts it, with its events and its end."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from support.waits import run_ahead

TIMEOUT = 20.0
"""Seconds after which whatever is waited for has failed."""


class Talk:
    """``retell-voice talk --json`` in a process of its own; an async context manager.

    Args:
        arguments: what follows ``talk --json`` on the command line.
        env: its environment, of a ``VirtualCard`` for example.
        is_ahead: once it is live, do not let it wait for what else this machine does, if possible;
            what is heard of it is to be measured.

    Attributes:
        events: what it printed so far.
        errors: what it said on stderr, once it has ended.
    """

    def __init__(self, *arguments: str, env: Mapping[str, str], is_ahead: bool = False) -> None:
        self._arguments = arguments
        self._ahead = is_ahead
        self._env = env
        self.events: list[dict[str, Any]] = []
        self.errors = ""
        self._more = asyncio.Condition()
        self._over = False

    async def __aenter__(self) -> Self:
        command = (sys.executable, "-m", "retell_voice", "talk", "--json", *self._arguments)
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(self._env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._readers = asyncio.gather(self._read_events(), self._read_errors())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._readers
        await self._process.wait()

    async def _read_events(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._more:
                self.events.append(json.loads(line))
                self._more.notify_all()
        async with self._more:
            self._over = True
            self._more.notify_all()

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self.errors = (await self._process.stderr.read()).decode()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def having(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the events so far of this name that have these fields."""
        return [
            each
            for each in self.events
            if each["event"] == event and fields.items() <= each.items()
        ]

    async def until(self, event: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Wait for the event, for the ``count``-th of that kind, and return it."""
        async with asyncio.timeout(TIMEOUT), self._more:
            await self._more.wait_for(
                lambda: self._over or len(self.having(event, **fields)) >= count
            )
        found = self.having(event, **fields)
        if len(found) < count:
            await self._readers
            raise AssertionError(
                f"ended without {event} {fields}: {self.events[-2:]} {self.errors}"
            )
        return found[count - 1]

    async def live(self) -> Self:
        """Wait until the call is live."""
        await self.until("state_changed", state="live")
        if self._ahead:
            run_ahead(self._process.pid)
        return self

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        async with asyncio.timeout(TIMEOUT):
            await asyncio.shield(self._readers)
            return await self._process.wait()

    def kill(self) -> None:
        """End it at once, as no program can prevent."""
        self._process.kill()

    async def hang_up(self) -> int:
        """Press Ctrl-C and return the exit code."""
        if self._process.returncode is not None:
            await self._readers
            raise AssertionError(f"it has ended by itself: {self.events[-2:]} {self.errors}")
        self._process.send_signal(signal.SIGINT)
        return await self.wait()
