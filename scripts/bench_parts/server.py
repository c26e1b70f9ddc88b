"""The server's side of a measured call, in a thread of its own, with the time of everything."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bench_parts.figures import PATHS, REPO
from retell_voice.audio.format import Samples

RATE = 24000
FRAME_MS = 20
_TIMEOUT = 20.0


class BenchError(Exception):
    """Measuring failed; the text says how."""


class MeasuringServer:
    """Takes one caller at a time; a context manager. Times are ``time.monotonic()``.

    Attributes:
        port: where it listens.
        frames: arrival and samples of each frame of the call so far.
        count, first, last: number of the frames so far, arrival of the first and the last.
        keep: whether frames are kept; a long run only counts them.
    """

    def __init__(self) -> None:
        self.port = 0
        self.frames: list[tuple[float, Samples]] = []
        self.count, self.first, self.last = 0, 0.0, 0.0
        self.keep = True
        self._socket: ServerConnection | None = None
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_TIMEOUT):
            raise BenchError("the measuring server did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_TIMEOUT)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        async with serve(
            self._hold, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=1
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._over.wait()

    async def _hold(self, socket: ServerConnection) -> None:
        with self._changed:
            self._socket = socket
            self.frames, self.count = [], 0
            self._changed.notify_all()
        try:
            async for message in socket:
                now = time.monotonic()
                if message == "ping":
                    await socket.send("pong")
                audio = self.heard(message)
                with self._changed:
                    if audio is not None:
                        self.first = self.first if self.count else now
                        self.last = now
                        self.count += 1
                        if self.keep:
                            self.frames.append((now, np.frombuffer(audio, np.int16)))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        with self._changed:
            self._socket = None
            self._changed.notify_all()

    def heard(self, message: str | bytes) -> bytes | None:
        """Return the audio of a message, 16-bit; None: there is none in it."""
        return message if isinstance(message, bytes) else None

    @property
    def url(self) -> str:
        """The prefix to give a caller."""
        return f"ws://127.0.0.1:{self.port}/audio-websocket"

    def wait_for_frames(self, count: int = 1, timeout: float = _TIMEOUT) -> None:
        """Wait until a caller has sent ``count`` frames.

        Raises:
            BenchError: it did not.
        """
        self._wait(lambda: self._socket is not None and self.count >= count, timeout)

    def wait_for_end(self, timeout: float = _TIMEOUT) -> None:
        """Wait until the caller is gone."""
        self._wait(lambda: self._socket is None, timeout)

    def _wait(self, true: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(true, timeout):
                raise BenchError(f"the caller did not do what was expected within {timeout:g} s")

    def send(self, *messages: str | bytes | NDArray[Any]) -> float:
        """Send messages at once and return when that began. Call it from any thread."""

        async def all_of_them() -> float:
            if self._socket is None:
                raise BenchError("the caller has gone")
            now = time.monotonic()
            for message in messages:
                data = message.tobytes() if isinstance(message, np.ndarray) else message
                await self._socket.send(data)
            return now

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result(_TIMEOUT)

    def send_in_real_time(self, frames: list[tuple[float, str | bytes]]) -> float:
        """Send each message at its time, seconds from now; return when now was."""

        async def paced() -> float:
            start = time.monotonic() + 0.02
            for at, message in frames:
                await asyncio.sleep(max(0.0, start + at - time.monotonic()))
                if self._socket is None:
                    raise BenchError("the caller has gone")
                await self._socket.send(message)
            return start

        timeout = _TIMEOUT + (frames[-1][0] if frames else 0.0)
        return asyncio.run_coroutine_threadsafe(paced(), self._loop).result(timeout)

    def hang_up(self) -> None:
        """Close the call from this side."""

        async def close() -> None:
            if self._socket is not None:
                await self._socket.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(_TIMEOUT)


class Caller:
    """A program that joins the measuring server's call; a context manager that ends it.

    Args:
        command: what to run, without the interpreter.
        env: of the virtual card.
        output: where its standard output goes.
    """

    def __init__(
        self, command: list[str], env: Mapping[str, str], output: Any = subprocess.DEVNULL
    ) -> None:
        self._command = [sys.executable, *command]
        # A program's own settings and a stranger's PYTHONPATH are not to be measured.
        clean = {k: v for k, v in env.items() if not k.startswith(("RETELL_VOICE_", "PYTHON"))}
        self._env = clean | {"PYTHONPATH": PATHS, "XDG_CONFIG_HOME": "/nonexistent"}
        self._output = output
        self.started = 0.0

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self._command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.PIPE,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            _, errors = self.process.communicate(timeout=5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
        if isinstance(error, BenchError) and errors:
            error.add_note(errors.decode(errors="replace")[-800:])


def real_program(url: str, *options: str) -> list[str]:
    """Return the command of the real program at its default settings, but for echo control: what
    that costs is measured by itself."""
    talk = "-m", "retell_voice", "talk", "--plain", "--echo", "off"
    return [*talk, "--url", url, *options, "call_of_the_bench"]


def bare_loop(url: str) -> list[str]:
    """Return the command of the bare loop."""
    return [str(REPO / "scripts" / "bench_parts" / "bare.py"), f"{url}/bare", str(RATE)]


def last_statistics(output: str) -> dict[str, Any]:
    """Return the final figures among the events that the program printed as JSON."""
    found: dict[str, Any] = {}
    for line in output.splitlines():
        event = json.loads(line)
        if event.get("event") == "statistics":
            found = event
        elif isinstance(event.get("statistics"), dict):
            found = event["statistics"]
    return found
