"""The program ``retell-voice kiosk``: a kiosk, and those who look after it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from typing import Any

from retell_voice import __version__
from retell_voice.errors import ConfigError, RetellVoiceError
from retell_voice.kiosk.account import Account
from retell_voice.kiosk.control.messages import (
    Command,
    account_message,
    look_message,
    reply,
)
from retell_voice.kiosk.control.server import ControlServer
from retell_voice.kiosk.credentials import CONTROL_TOKEN, credential
from retell_voice.kiosk.kiosk import Kiosk
from retell_voice.kiosk.notify import Notifier
from retell_voice.kiosk.places import socket_path
from retell_voice.kiosk.ports import (
    Look,
    Pressed,
    WantsCall,
    WantsHangUp,
    WantsMute,
    WantsVolume,
)
from retell_voice.kiosk.tally import Metrics
from retell_voice.kiosk.vitals import Vitals
from retell_voice.program.memory import share_one_heap, tidy
from retell_voice.program.realtime import freeze_memory, set_switch_interval
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.shown import logger

_CLOSING_SECONDS = 8.0
"""How long the end may take: whoever started this waits for it, and a device may hang."""
_LOOK_SECONDS = 10.0
"""From one look at the vitals to the next, where systemd does not say."""
_TIDY_SECONDS = 0.02
"""From the end of a call until what it has left is given back: within the cooldown."""
_MISSES = 3

_logger = logger("retell_voice.kiosk")

Reload = Callable[[], KioskSettings]


def run(settings: KioskSettings, read_again: Reload) -> int:
    """Run a kiosk until a signal ends it, and return the exit code.

    Args:
        settings: what it is.
        read_again: returns the settings as they are in the file by then; may raise ConfigError.

    Raises:
        ConfigError: it cannot be begun like this.
    """
    set_switch_interval()
    share_one_heap()
    deadlines: list[threading.Timer] = []
    try:
        return asyncio.run(_run(settings, read_again, deadlines))
    finally:
        for each in deadlines:
            each.cancel()


async def _run(
    settings: KioskSettings, read_again: Reload, deadlines: list[threading.Timer]
) -> int:
    with Notifier() as notifier:
        return await _Program(settings, read_again, notifier, deadlines).run()


class _Program:
    """A kiosk, its control socket, its metrics and its vitals."""

    def __init__(
        self,
        settings: KioskSettings,
        read_again: Reload,
        notifier: Notifier,
        deadlines: list[threading.Timer],
    ) -> None:
        self._settings = settings
        self._read_again = read_again
        self._notifier = notifier
        self._deadlines = deadlines
        self._began = time.monotonic()
        self._is_stopping = False
        self._reloading: set[asyncio.Task[str]] = set()
        self._one_at_a_time = asyncio.Lock()
        self.kiosk = Kiosk(settings, self)
        self.vitals = Vitals(self._positions, lambda: self.kiosk.machine.is_stuck, self._fault)
        self.control = ControlServer(
            socket_path(settings),
            self._handle,
            self._snapshot,
            address=_address(settings.listen.value),
            token=_token(settings),
        )

    async def run(self) -> int:
        """Run it to its end."""
        async with AsyncExitStack() as stack:
            # The socket first: it says whether another one runs here.
            await stack.enter_async_context(self.control)
            if (address := _address(self._settings.metrics.value)) is not None:
                metrics = Metrics(self.kiosk.tally, lambda: self.kiosk.look, address)
                stack.callback(metrics.close)
            await stack.enter_async_context(self.kiosk)
            self._take_signals(stack)
            watching = asyncio.create_task(self._watch())
            stack.callback(watching.cancel)
            gc.collect()  # what is garbage now would stay for months
            freeze_memory()
            self._notifier.ready()
            code = await self.kiosk.exit_code
            self._notifier.stopping()
            self._end_anyhow(code or 1, _CLOSING_SECONDS)
        return code

    # Observer of the kiosk

    def looks(self, look: Look) -> None:
        """See ``Observer``."""
        muted = ", muted" if look.muted else ""
        self._notifier.status(f"{look.state.value}{muted}{f': {look.why}' if look.why else ''}")
        self.control.tell(look_message(look))

    def ended(self, account: Account) -> None:
        """See ``Observer``."""
        self.control.tell(account_message(account))
        # Later, as the call is still in use here.
        asyncio.get_running_loop().call_later(_TIDY_SECONDS, tidy)

    # Signals

    def _take_signals(self, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
            stack.callback(loop.remove_signal_handler, number)
        loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)

    def _stop(self, number: int) -> None:
        if self._is_stopping:  # twice: at once
            os._exit(128 + number)
        self._is_stopping = True
        self._notifier.stopping()
        self.kiosk.stop()

    def _begin_reload(self) -> None:
        task = asyncio.create_task(self._reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def _reload(self) -> str:
        """Read the settings anew; return what is wrong with them, empty if nothing."""
        async with self._one_at_a_time:
            return await self._reload_now()

    async def _reload_now(self) -> str:
        self._notifier.reloading()
        try:
            settings = await asyncio.to_thread(self._read_again)
            await self.kiosk.reload(settings)
        except RetellVoiceError as error:
            _logger.error("the settings are unchanged: %s", error)
            return str(error)
        finally:
            self._notifier.ready()
        _logger.info("the settings have been reread")
        return ""

    def _end_anyhow(self, code: int, seconds: float) -> None:
        """End the process after a while, whatever hangs by then."""
        timer = threading.Timer(seconds, os._exit, (code,))
        timer.daemon = True
        self._deadlines.append(timer)
        timer.start()

    # Vitals

    def _positions(self) -> tuple[int, int] | None:
        io = self.kiosk.devices.io
        return None if io is None else (io.near_end.position, io.output.position)

    def _fault(self) -> Exception | None:
        io = self.kiosk.devices.io
        return None if io is None else io.fault

    async def _watch(self) -> None:
        wanted = self._notifier.watchdog
        interval = _LOOK_SECONDS if wanted is None else min(_LOOK_SECONDS, wanted / 3)
        while True:
            await asyncio.sleep(interval)
            if self.vitals.look():
                self._notifier.alive()
                continue
            _logger.error("%s", self.vitals.trouble)
            if self.vitals.misses >= _MISSES:
                self._end_anyhow(1, 0.1)

    # The control socket

    def _snapshot(self) -> dict[str, Any]:
        kiosk = self.kiosk
        io, tally = kiosk.devices.io, kiosk.tally
        return look_message(
            kiosk.look,
            "status",
            version=__version__,
            uptime=round(time.monotonic() - self._began, 1),
            microphone="" if io is None else io.microphone.name,
            speaker="" if io is None else io.speaker.name,
            echo="" if io is None else io.echo.name,
            results=dict(tally.calls),
            triggers=dict(tally.triggers),
            false_wakes=tally.false_wakes,
            talked=round(tally.talked, 1),
            history=kiosk.history.trouble,
        )

    async def _handle(self, command: Command) -> dict[str, Any]:
        kiosk, source = self.kiosk, command.source or "control"
        match command.do:
            case "call":
                kiosk.take(WantsCall(source))
            case "hang-up":
                kiosk.take(WantsHangUp(source))
            case "press":
                kiosk.take(Pressed(source))
            case "mute":
                kiosk.take(WantsMute(source, command.muted))
            case "volume":
                kiosk.take(WantsVolume(source, command.percent, command.relative))
            case "sound":
                try:
                    await kiosk.play(command.file)
                except ConfigError as error:
                    return reply(command, str(error))
            case "reload":
                return reply(command, await self._reload())
            case "history":
                found = await _read_history(kiosk, command.calls)
                return reply(command, calls=found, trouble=kiosk.history.trouble)
            case "status":
                return reply(command, status=self._snapshot())
        look = kiosk.look
        return reply(command, state=look.state.value, muted=look.muted, volume=look.volume)


async def _read_history(kiosk: Kiosk, calls: int) -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[Account]] = loop.create_future()

    def settle(accounts: list[Account]) -> None:
        if not found.done():  # the client may have gone
            found.set_result(accounts)

    def take(accounts: list[Account]) -> None:
        """Runs on: the history's thread."""
        with suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(settle, accounts)

    kiosk.history.read(calls, take)
    return [asdict(each) for each in await found]


def _address(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _token(settings: KioskSettings) -> str | None:
    if settings.listen.value is None:
        return None
    return credential(CONTROL_TOKEN).value or settings.listen_token.value
