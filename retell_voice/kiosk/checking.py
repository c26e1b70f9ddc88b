"""Looks whether all is well: devices, sounds, and what a call comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from retell_voice.errors import ConnectError, DeviceLost, RetellVoiceError
from retell_voice.kiosk.devices import Devices
from retell_voice.kiosk.placing import CallSource
from retell_voice.shown import logger

_CHECK_SECONDS = 20.0

_logger = logger("retell_voice.kiosk")


class Checks:
    """One look at a time; it opens devices that are not open.

    Args:
        devices: the kiosk's.
        source: returns where calls come from.
        opened: called after devices were opened, or could not be.
        load: loads what the open devices need.
        found: is told what is wrong; None: all is well.
    """

    def __init__(
        self,
        devices: Devices,
        source: Callable[[], CallSource],
        *,
        opened: Callable[[], None],
        load: Callable[[], Awaitable[None]],
        found: Callable[[Exception | None], None],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        """The last look."""
        self._devices = devices
        self._source = source
        self._opened = opened
        self._load = load
        self._found = found

    def begin(self) -> None:
        """Begin to look, unless a look is going on."""
        if self.task is None or self.task.done():
            self.task = asyncio.create_task(self._run())

    async def over(self) -> None:
        """Wait until the current look is over, if there is one."""
        if self.task is not None:
            await asyncio.wait((self.task,))

    async def _run(self) -> None:
        error: Exception | None = None
        try:
            await self._look()
        except TimeoutError:
            error = ConnectError(f"{self._source().label} does not answer", temporary=True)
        except RetellVoiceError as failure:
            error = failure
        except Exception as failure:
            _logger.exception("a defect, while checking whether all is well")
            error = failure
        self._found(error)

    async def _look(self) -> None:
        try:
            await self._devices.open()  # which has a limit of its own
        finally:
            self._opened()  # also where one was lost as soon as it was open
        async with asyncio.timeout(_CHECK_SECONDS):
            await self._load()
            await self._source().check()
        if self._devices.away:  # since the look at them: nobody waits for AWAY here
            raise DeviceLost(self._devices.away)
