"""One process of ``retell_voice.emulator.speech.worker`` and its three pipes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from retell_voice.emulator.speech.workers.frames import Frame, FrameError, Unpacker

_KEPT = 4000  # bytes of stderr

if sys.platform == "win32":  # elsewhere it lowers its priority itself
    _PRIORITY = subprocess.BELOW_NORMAL_PRIORITY_CLASS
else:
    _PRIORITY = 0


class Child:
    """A process that takes frames and gives frames.

    ::

        child = await Child.start(["piper"])
        child.send(data)
        async for frame in child.frames(): ...    # until the process has ended
        print(child.why)

    Attributes:
        why: why it ended, in a few words; known once the frames have ended.
    """

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a child has three pipes")
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._last_words = b""
        self._fault = ""
        self.why = ""

    @classmethod
    async def start(cls, arguments: Sequence[str]) -> Child:
        """Start a process.

        Raises:
            OSError: that is not possible.
        """
        # -P: what lies in the directory the emulator was started in is not to be imported.
        command = [sys.executable, "-P", "-m", "retell_voice.emulator.speech.worker", *arguments]
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                creationflags=_PRIORITY,
                start_new_session=True,  # a signal to all of the emulator's group is the emulator's
            )
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Send packed frames; nothing happens if it has ended."""
        self._stdin.write(data)

    def finish(self) -> None:
        """Let it end: it does when its stdin has."""
        self._stdin.close()

    def kill(self, fault: str) -> None:
        """End it, for a reason."""
        self._fault = self._fault or fault
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Yield what it sends until it has ended; it is killed if nobody wants more."""
        listening = asyncio.create_task(self._listen())
        try:
            async for frame in self._frames():
                yield frame
            code = await self._process.wait()
            await listening
            self.why = self._fault or _epitaph(code, self._last_words)
        finally:
            self.kill("it is not needed any more")
            await self._stdout.read()  # wait() would wait for it for ever
            await listening
            await self._process.wait()

    async def _frames(self) -> AsyncIterator[Frame]:
        unpacker = Unpacker()
        while data := await self._stdout.read(1 << 16):
            try:
                frames = unpacker.feed(data)
            except FrameError as error:
                self.kill(str(error))
                return
            for frame in frames:
                yield frame

    async def _listen(self) -> None:
        while data := await self._stderr.read(_KEPT):
            self._last_words = (self._last_words + data)[-_KEPT:]


def _epitaph(code: int, last_words: bytes) -> str:
    """Return why a process ended: a signal, or the last line it wrote."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = last_words.decode("utf-8", "replace").split("\n")
    words = [line.strip() for line in lines if line.strip()]
    return f"exit code {code}{f', {words[-1]}' if words else ''}"
