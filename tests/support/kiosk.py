"""Kiosks under test: in this process, with devices that need no card, or as a program."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Agent, Emulator, Session
from retell_voice.errors import ConnectError
from retell_voice.kiosk import devices
from retell_voice.kiosk.account import Account
from retell_voice.kiosk.control.client import ControlClient
from retell_voice.kiosk.kiosk import Kiosk
from retell_voice.kiosk.ports import Look, Pressed
from retell_voice.kiosk.states import State
from retell_voice.secret import Secret
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings

KEY = "key_1234567890abcdef"
RATE = 8000
LONG = 20.0
"""Seconds after which whatever is waited for has failed."""


def settings(**values: Any) -> KioskSettings:
    """Return the settings of a kiosk that calls an agent: without pauses and without sounds."""
    given = {
        "agent": "agent_of_a_test",
        "api_key": Secret(KEY),
        "transport": "websocket",
        "rate": RATE,
        "cooldown": 0.0,
        "sounds_percent": 0,
        **values,
    }
    return KioskSettings(**{name: Sourced(value, "a test") for name, value in given.items()})


async def listens(session: Session) -> None:
    """An agent that says nothing and stays."""
    async for _ in session:
        pass


async def soon(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    for _ in range(round(LONG / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("it has not come about")


class Seen:
    """Everything that a kiosk has told."""

    def __init__(self) -> None:
        self.all_looks: list[Look] = []
        self.accounts: list[Account] = []
        self._news = asyncio.Event()

    def looks(self, look: Look) -> None:
        self.all_looks.append(look)
        self._news.set()

    def ended(self, account: Account) -> None:
        self.accounts.append(account)
        self._news.set()

    @property
    def states(self) -> list[str]:
        """The states that it went through."""
        found: list[str] = []
        for look in self.all_looks:
            if not found or found[-1] != look.state.value:
                found.append(look.state.value)
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG):
            while not condition():
                self._news.clear()
                await self._news.wait()


class TestedKiosk(Kiosk):
    """A kiosk, and what it has told."""

    __test__ = False
    seen: Seen
    emulator: Emulator
    """Its server, where it has one of its own."""

    def press(self) -> None:
        self.take(Pressed("a test"))

    async def until(self, state: State) -> Look:
        """Wait until it stands like this."""
        await self.seen.until(lambda: self.machine.state is state)
        return self.look

    async def ends(self, count: int = 1) -> Account:
        """Wait for the end of so many calls, and return the last one's account."""
        await self.seen.until(lambda: len(self.seen.accounts) >= count)
        return self.seen.accounts[-1]


@asynccontextmanager
async def a_kiosk(
    monkeypatch: pytest.MonkeyPatch,
    agent: Agent | None = None,
    *,
    microphone: Callable[[], Any] = lambda: NullMicrophone(RATE),
    speaker: Callable[[], Any] = lambda: NullSpeaker(RATE),
    **values: Any,
) -> AsyncIterator[TestedKiosk]:
    """Run a kiosk that pauses as briefly as it may; its devices are made anew at each opening.

    ``agent`` is that of an emulator for this kiosk; None: it is to call elsewhere.
    """
    monkeypatch.setattr(devices, "find_devices", lambda *_: (microphone(), speaker()))
    async with AsyncExitStack() as stack:
        emulator = Emulator(agent=agent, api_key=KEY)
        if agent is not None:
            await stack.enter_async_context(emulator)
            values = {"api_url": emulator.api_url, **values}
        seen = Seen()
        kiosk = TestedKiosk(settings(**values), seen, draw=lambda: 0.0)
        kiosk.seen, kiosk.emulator = seen, emulator
        yield await stack.enter_async_context(kiosk)


class KioskProgram:
    """``retell-voice kiosk`` in a process of its own; an async context manager.

    Args:
        directory: for its socket and files.
        arguments: what follows ``kiosk`` on the command line, beside what makes it quick.
        has_files: files are its devices, not a card.
        env: more of its environment.

    Attributes:
        control: a connection to it, once ``connect`` has been awaited.
        errors: what it said on stderr, once it has ended.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        has_files: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.socket = directory / "kiosk.sock"
        self.errors = ""
        self.heard = directory / "heard.wav"
        files = ("--input-file", str(_silence(directory)), "--output-file", str(self.heard))
        self._arguments = (
            *(files if has_files else ()),
            *("--socket", str(self.socket)),
            *arguments,
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RETELL_")}
        quick = {
            "RETELL_VOICE_RATE": str(RATE),
            "RETELL_VOICE_TRANSPORT": "websocket",
            "RETELL_VOICE_KIOSK_COOLDOWN": "0",
        }
        home = {"HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
        self._env = {**kept, **home, **quick, "RETELL_API_KEY": KEY, **(env or {})}
        self.messages: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "retell_voice", "kiosk", *self._arguments),
            env=self._env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self._disconnect()
        await self._reading
        await self.process.wait()

    async def connect(self) -> ControlClient:
        """Wait until it listens, and return a connection to it that follows what it tells."""
        for _ in range(round(LONG / 0.02)):  # a file tells nobody
            if self.process.returncode is not None:
                await self._reading
                raise AssertionError(f"it has ended: {self.errors}")
            with suppress(ConnectError):
                self.control = await ControlClient(self.socket).__aenter__()
                break
            await asyncio.sleep(0.02)
        self.messages.append(self.control.snapshot)
        self._following = asyncio.create_task(self._follow())
        return self.control

    async def until(self, state: str, after: int = 0) -> int:
        """Wait for a state among what it has told from message ``after`` on; return its place."""
        return await self.told(lambda message: message.get("state") == state, after)

    async def told(self, what: Callable[[dict[str, Any]], bool], after: int = 0) -> int:
        """Wait for something that it tells; return the number of the message behind it."""
        try:
            async with asyncio.timeout(LONG):
                while True:
                    for number, message in enumerate(self.messages[after:], after):
                        if what(message):
                            return number + 1
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError as error:
            error.args = (f"of {len(self.messages)} messages, the last: {self.messages[-3:]}",)
            raise

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal and return its exit code."""
        self.process.send_signal(number)
        return await self.wait()

    async def wait(self) -> int:
        """Return its exit code."""
        async with asyncio.timeout(LONG):
            await asyncio.shield(self._reading)
            return await self.process.wait()

    async def _follow(self) -> None:
        async for message in self.control:
            self.messages.append(message)
            self._news.set()

    async def _disconnect(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            await self.control.__aexit__(None, None, None)

    async def _read(self) -> None:
        assert self.process.stderr is not None
        self.errors = (await self.process.stderr.read()).decode()


def _silence(directory: Path) -> Path:
    path = directory / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * RATE))
    return path
