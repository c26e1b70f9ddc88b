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
    """A child process that takes and sends frames.

    ::

        child = await Child.start(["piper"])
        child.send(data)
        async for frame in child.frames(): ...    # until the process has exited
        print(child.exit_reason)

    Attributes:
        exit_reason: why it exited, in a few words; known once the frames have ended.
    """

    def __init__(self, process: Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a child has three pipes")
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._stderr_tail = b""
        self._fault = ""
        self.exit_reason = ""

    @classmethod
    async def start(cls, arguments: Sequence[str]) -> Child:
        """Start a process.

        Raises:
            OSError: that is not possible.
        """
        # -P: do not import files from the directory the emulator was started in.
        command = [sys.executable, "-P", "-m", "retell_voice.emulator.speech.worker", *arguments]
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                creationflags=_PRIORITY,
                start_new_session=True,  # a signal to the emulator's group must not reach it
            )
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Send packed frames; does nothing if it has exited."""
        self._stdin.write(data)

    def finish(self) -> None:
        """Let it exit, which it does once its stdin ends."""
        self._stdin.close()

    def kill(self, fault: str) -> None:
        """Kill it, for a reason."""
        self._fault = self._fault or fault
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Yield what it sends until it has exited; kill it if the iteration stops earlier."""
        listening = asyncio.create_task(self._listen())
        try:
            async for frame in self._frames():
                yield frame
            code = await self._process.wait()
            await listening
            self.exit_reason = self._fault or _exit_reason(code, self._stderr_tail)
        finally:
            self.kill("it is no longer needed")
            await self._stdout.read()  # or wait() would never return
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
            self._stderr_tail = (self._stderr_tail + data)[-_KEPT:]


def _exit_reason(code: int, stderr_tail: bytes) -> str:
    """Return why a process exited: a signal, or its exit code and the last line it wrote."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = stderr_tail.decode("utf-8", "replace").split("\n")
    written = [line.strip() for line in lines if line.strip()]
    return f"exit code {code}{f', {written[-1]}' if written else ''}"
