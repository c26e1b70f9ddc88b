"""The program in a process of its own that has its imports behind it: most of what a short run of
the program costs.

A process imports all that commands use, and forks for each run, as Android starts its apps. What
differs from ``python -m retell_voice``: modules are there already, and the standard streams are
made again. Tests of the start itself, and of signals and terminals, start a cold process.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

AVAILABLE = hasattr(os, "fork") and sys.platform == "linux"
_LARGEST = 1 << 17
"""Bytes of a request; more than arguments and environment of a test."""
# Not sounddevice: importing it asks the sound server, whose address is in the environment of a run.
_IMPORTED = """
    retell_voice.cli.app retell_voice.cli.doctor retell_voice.cli.live retell_voice.cli.plain
    retell_voice.cli.report retell_voice.cli.serve retell_voice.cli.summary retell_voice.cli.talk
    retell_voice.program.opening retell_voice.program.registration retell_voice.engine.call
    retell_voice.emulator.server retell_voice.recording retell_voice.rest matplotlib.figure
    retell_voice.report.account retell_voice.report.figure matplotlib.backends.backend_svg
    matplotlib.backends.backend_agg rich.live rich.table rich.progress websockets.asyncio.client
"""


class Started:
    """A run of the program.

    Args:
        told: a pipe that tells its process, and how it ended.

    Attributes:
        pid: its process.
        status: how it ended, as ``os.waitpid`` tells it; None: not yet asked.
    """

    def __init__(self, told: int) -> None:
        self._told = told
        (self.pid,) = struct.unpack("i", os.read(told, 4))
        self.status: int | None = None

    def wait(self) -> int:
        """Wait for its end and return the exit code; a signal's number is negative."""
        if self.status is None:
            (self.status,) = struct.unpack("i", os.read(self._told, 4))
            os.close(self._told)
        return os.waitstatus_to_exitcode(self.status)


class WarmProcess:
    """A context manager; ``run`` is ``subprocess.run`` of the program.

    Args:
        env: the environment in which modules are imported.

    Attributes:
        running: the one that is entered.
    """

    running: ClassVar[WarmProcess | None] = None

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)

    def __enter__(self) -> WarmProcess:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=theirs.fileno(), env=self._env, cwd="/"
            )
        WarmProcess.running = self
        return self

    def __exit__(self, *exc: object) -> None:
        WarmProcess.running = None
        self._requests.close()
        self._process.wait(10)

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str],
        streams: Sequence[int],
        in_terminal: bool = False,
    ) -> Started:
        """Start the program.

        Args:
            arguments: its command line.
            env: its environment.
            streams: its standard input, output and error; they stay open here.
            in_terminal: whether the first is a terminal that it shall be controlled by.
        """
        request = {
            "arguments": arguments,
            "env": dict(env),
            "cwd": str(Path.cwd()),
            "in_terminal": in_terminal,
        }
        told, tell = os.pipe()
        try:
            socket.send_fds(self._requests, [json.dumps(request).encode()], [*streams, tell])
        finally:
            os.close(tell)
        return Started(told)

    def run(
        self, *arguments: str, env: Mapping[str, str], stdin: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run the program to its end, on pipes.

        Raises:
            subprocess.TimeoutExpired: it was killed.
        """
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], *(write for _, write in pipes[1:])]
        ours = [pipes[0][1], *(read for read, _ in pipes[1:])]
        with contextlib.ExitStack() as stack:
            to, out, errors = (
                stack.enter_context(open(fd, mode, closefd=True))
                for fd, mode in zip(ours, ("wb", "rb", "rb"), strict=True)
            )
            try:
                started = self.start(*arguments, env=env, streams=theirs)
            finally:
                for fd in theirs:
                    os.close(fd)
            texts: list[bytes] = [b"", b""]

            def read(number: int, pipe: Any) -> None:
                texts[number] = pipe.read()

            readers = [
                threading.Thread(target=read, args=pair) for pair in enumerate((out, errors))
            ]
            for reader in readers:
                reader.start()
            with contextlib.suppress(BrokenPipeError), to:
                to.write(stdin.encode())
            killer = threading.Timer(timeout, os.kill, (started.pid, signal.SIGKILL))
            killer.start()
            code = started.wait()
            was_killed = not killer.is_alive()
            killer.cancel()
            killer.join()
            for reader in readers:
                reader.join()
        stdout, stderr = (text.decode() for text in texts)
        command = ["retell-voice", *arguments]
        if was_killed:
            raise subprocess.TimeoutExpired(command, timeout, stdout, stderr)
        return subprocess.CompletedProcess(command, code, stdout, stderr)


def _serve() -> None:
    import importlib  # noqa: PLC0415

    from retell_voice.rest.sdk import load_sdk  # noqa: PLC0415

    for name in _IMPORTED.split():
        importlib.import_module(name)
    load_sdk()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    requests = socket.socket(fileno=os.dup(0))
    while True:
        message, fds, _, _ = socket.recv_fds(requests, _LARGEST, 4)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            _wait_for_run(json.loads(message), fds)
        for fd in fds:
            os.close(fd)


def _wait_for_run(request: dict[str, Any], fds: list[int]) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told = fds.pop()
    if (pid := os.fork()) == 0:
        os.close(told)
        _run(request, fds)
    for fd in fds:
        os.close(fd)
    os.close(0)
    os.write(told, struct.pack("i", pid))
    os.write(told, struct.pack("i", os.waitpid(pid, 0)[1]))
    os._exit(0)


def _run(request: dict[str, Any], fds: list[int]) -> NoReturn:
    if request["in_terminal"]:
        import fcntl  # noqa: PLC0415 -- not on every system
        import termios  # noqa: PLC0415

        os.setsid()
        fcntl.ioctl(fds[0], termios.TIOCSCTTY, 0)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    sys.argv = ["retell-voice", *request["arguments"]]
    sys.stdin = _text(0, "rb")
    sys.stdout = _text(1, "wb", line_buffering=request["in_terminal"])
    sys.stderr = _text(2, "wb", errors="backslashreplace", line_buffering=True)
    code = 0
    try:
        from retell_voice.cli import main  # noqa: PLC0415

        main()
    except SystemExit as end:
        if isinstance(end.code, int):
            code = end.code
        elif end.code is not None:
            print(end.code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _text(fd: int, mode: str, **options: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(open(fd, mode), **options)


if __name__ == "__main__":
    _serve()
