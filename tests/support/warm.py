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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

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


class WarmProcess:
    """A context manager; ``run`` is ``subprocess.run`` of the program.

    Args:
        env: the environment in which modules are imported.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = dict(env)

    def __enter__(self) -> WarmProcess:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LARGEST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=theirs.fileno(), env=self._env, cwd="/"
            )
        return self

    def __exit__(self, *exc: object) -> None:
        self._requests.close()
        self._process.wait(10)

    def run(
        self, *arguments: str, env: Mapping[str, str], stdin: str, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run the program to its end, on pipes.

        Raises:
            subprocess.TimeoutExpired: it was killed.
        """
        request = {"arguments": arguments, "env": dict(env), "cwd": str(Path.cwd())}
        pipes = [os.pipe() for _ in range(4)]  # stdin, stdout, stderr, pid and status
        theirs = [pipes[0][0], *(write for _, write in pipes[1:])]
        ours = [pipes[0][1], *(read for read, _ in pipes[1:])]
        with contextlib.ExitStack() as stack:
            to, out, errors, told = (
                stack.enter_context(open(fd, mode, closefd=True))
                for fd, mode in zip(ours, ("wb", "rb", "rb", "rb"), strict=True)
            )
            try:
                socket.send_fds(self._requests, [json.dumps(request).encode()], theirs)
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
            (pid,) = struct.unpack("i", told.read(4))
            killer = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
            killer.start()
            (status,) = struct.unpack("i", told.read(4))
            was_killed = not killer.is_alive()
            killer.cancel()
            killer.join()
            for reader in readers:
                reader.join()
        stdout, stderr = (text.decode() for text in texts)
        command = ["retell-voice", *arguments]
        if was_killed:
            raise subprocess.TimeoutExpired(command, timeout, stdout, stderr)
        code = os.waitstatus_to_exitcode(status)
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
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    sys.argv = ["retell-voice", *request["arguments"]]
    sys.stdin = _text(0, "rb")
    sys.stdout = _text(1, "wb")
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
