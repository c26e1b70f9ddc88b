"""Lines typed at the emulator: turns of the user, for an LLM server that is tried without speech.

::

    standard input ─▶ reader thread ─▶ Console ─▶ the newest call
                                          └─▶ where there is none: a call with a silent caller

A line that begins with ``/`` is a command: ``/call``, ``/hangup``, ``/help``.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from retell_voice.audio.format import AudioFormat
from retell_voice.cli.typed import read_lines
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import CallJoined, Emulator, ServerEvent
from retell_voice.engine.call import Call
from retell_voice.errors import RetellVoiceError

HELP = """\
type what the user says; it goes to the newest call, or to a new one with a silent caller
/call    begin another call with a silent caller
/hangup  the newest caller hangs up
/help    this"""
_MOST_WAITING = 100  # lines; no more are read until one has been carried out


class Console:
    """Carries out what is typed.

    Args:
        emulator: whose calls are typed to.
        audio: format of the calls it begins.
        say: prints a line.
    """

    def __init__(self, emulator: Emulator, audio: AudioFormat, say: Callable[[str], None]) -> None:
        self._emulator = emulator
        self._audio = audio
        self._say = say
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._room = threading.Semaphore(_MOST_WAITING)
        self._joined = asyncio.Event()
        self._callers: dict[asyncio.Task[None], Call] = {}

    def listen(self) -> None:
        """Take what is typed at standard input from here on."""
        loop = asyncio.get_running_loop()

        def take(line: str) -> None:
            self._room.acquire()
            with suppress(RuntimeError):  # the loop has closed: the emulator has ended
                loop.call_soon_threadsafe(self._lines.put_nowait, line)

        read_lines(sys.stdin.fileno(), take)

    def happened(self, server_event: ServerEvent) -> None:
        """Take note of what the emulator tells."""
        if isinstance(server_event, CallJoined):
            self._joined.set()

    async def run(self) -> None:
        """Carry out lines until cancelled; the callers it made hang up then."""
        try:
            while True:
                line = await self._lines.get()
                self._room.release()
                await self.do(line)
        finally:
            for caller in self._callers:
                caller.cancel()
            await asyncio.gather(*self._callers, return_exceptions=True)

    async def do(self, line: str) -> None:
        """Carry out one line."""
        match line.split():
            case []:
                pass
            case ["/call"]:
                await self._begin()
            case ["/hangup"]:
                await self._hang_up()
            case ["/help"]:
                self._say(HELP)
            case [word, *_] if word.startswith("/"):
                self._say(f"there is no {word}\n{HELP}")
            case _:
                if not self._emulator.sessions:
                    await self._begin()
                if self._emulator.sessions:
                    self._type(line)

    def _type(self, line: str) -> None:
        try:
            self._emulator.type(line)
        except RuntimeError as error:
            self._say(f"not said: {error}")

    async def _begin(self) -> None:
        self._joined.clear()
        try:
            registered = self._emulator.register(self._audio)
        except RuntimeError as error:
            self._say(f"no call: {error}")
            return
        call = Call(
            registered.call_id,
            url=self._emulator.url,
            audio=self._audio,
            microphone=NullMicrophone(self._audio.rate),
            speaker=NullSpeaker(self._audio.rate),
        )
        caller = asyncio.create_task(self._be_silent(call))
        self._callers[caller] = call
        caller.add_done_callback(self._callers.pop)
        joined = asyncio.create_task(self._joined.wait())
        await asyncio.wait({caller, joined}, return_when=asyncio.FIRST_COMPLETED)
        joined.cancel()

    async def _be_silent(self, call: Call) -> None:
        try:
            async with call:
                async for _ in call:
                    pass
        except RetellVoiceError as error:
            self._say(f"the silent caller: {error}")

    async def _hang_up(self) -> None:
        sessions = self._emulator.sessions
        if sessions:
            await sessions[-1].close(1000, "hung up at the console", "user_hangup")
        else:
            self._say("there is no call")
