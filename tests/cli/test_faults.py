"""The table of faults: what the field does to a call, and what the program makes of it.

Each row: what happens, the exit code, the seconds within which the program has ended, how the last
line on standard error begins. Nothing is left behind in any of them, and no traceback is shown.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.pipes import CALL_ID, FILES
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.program.failure import reported

CERTIFICATES = Path(__file__).parents[1] / "doctor" / "certificates"
Handler = Callable[[ServerConnection], Awaitable[None]]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SLACK = 4.0
"""Seconds that starting takes on a busy machine."""


# Servers that speak WebSocket


def closes(code: int, reason: str = "", after: bytes = b"") -> Handler:
    async def handler(socket: ServerConnection) -> None:
        if after:
            await socket.recv()
            await socket.send(after)
        await socket.close(code, reason)

    return handler


async def breaks_off(socket: ServerConnection) -> None:
    await socket.recv()
    socket.transport.abort()


async def floods(socket: ServerConnection) -> None:
    await socket.recv()
    for _ in range(300):
        await socket.send('{"event_type": "nonsense"}')
        await socket.send("{" * 100)
        await socket.send(b"\1\2\3")
    await socket.close(1011, "enough")


async def sends_a_huge_message(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send("x" * (17 * 2**20))
    await socket.wait_closed()


async def speaks_other_audio(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(json.dumps({"text": "x", "audio": "no base64 !"}))
    await socket.close(1000)


# Servers that do not


def answers(data: bytes) -> Raw:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(data)
        writer.close()

    return talk


ROWS: dict[str, tuple[Any, dict[str, Any], int, float, str]] = {
    # what is there, how it is served, exit code, seconds, last line
    "nobody listens": (None, {}, 4, 3.0, "network: 127.0.0.1:PORT refused the connection"),
    "closes normally": (closes(1000, "", b"\0\0"), {}, 0, 3.0, ""),
    "closes without a code": (closes(1000), {}, 0, 3.0, ""),
    "closes with 1011": (
        closes(1011, "oops", b"\0\0"), {}, 6, 3.0, "server: it closed the call: 1011 oops"
    ),
    "closes with 4000 before a word": (
        closes(4000, "no"), {}, 5, 3.0, "server: it closed the call before it began: 4000 no"
    ),
    "the LLM server fails": (
        closes(1002, "error_llm_websocket_open", b"\0\0"),
        {},
        6,
        3.0,
        "server: it closed the call: 1002 error_llm_websocket_open",
    ),
    "breaks off": (breaks_off, {}, 6, 3.0, "network: the connection broke off: 1006"),
    "floods with nonsense": (floods, {}, 6, 4.0, "server: it closed the call: 1011 enough"),
    "a message beyond all bounds": (
        sends_a_huge_message, {}, 6, 4.0, "network: the connection broke off: 1009"
    ),
    "audio that is none": (speaks_other_audio, {}, 0, 3.0, ""),
    "HTTP 401": (
        answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"),
        {},
        5,
        2.0,
        "server: 127.0.0.1:PORT answered HTTP 401 Unauthorized: no",
    ),
    "HTTP 500, three times": (
        answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
        {},
        5,
        4.0,
        "server: 127.0.0.1:PORT answered HTTP 500 Internal Server Error",
    ),
    "a redirect": (
        answers(b"HTTP/1.1 302 Found\r\nLocation: ws://evil\r\nContent-Length: 0\r\n\r\n"),
        {},
        5,
        2.0,
        "server: 127.0.0.1:PORT answered HTTP 302 Found",
    ),
    "no HTTP": (answers(b"220 mail ESMTP\r\n"), {}, 5, 4.0, "server: 127.0.0.1:PORT answered, but"),
    "closes at once": (answers(b""), {}, 5, 4.0, "server: 127.0.0.1:PORT answered, but not as a"),
    "TLS without wss": (closes(1000), {"tls": "valid.pem"}, 4, 4.0, "network: 127.0.0.1:PORT spea"),
    "wss without TLS": (
        answers(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        {"scheme": "wss"},
        4,
        4.0,
        "network: 127.0.0.1:PORT speaks no TLS",
    ),
    "a certificate nobody knows": (
        closes(1000),
        {"tls": "valid.pem", "scheme": "wss"},
        4,
        3.0,
        "network: the TLS certificate of 127.0.0.1:PORT is not valid",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
async def test_what_becomes_of_a_call(name: str, run: Run) -> None:
    what, how, code, seconds, last = ROWS[name]
    tls = None
    if "tls" in how:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(CERTIFICATES / how["tls"], CERTIFICATES / "key.pem")
    server: Any
    if what is None or what.__qualname__.startswith("answers"):
        server = await asyncio.start_server(what or answers(b""), "127.0.0.1", 0, ssl=tls)
    else:
        server = await serve(what, "127.0.0.1", 0, ssl=tls, max_size=None)
    port = next(iter(server.sockets)).getsockname()[1]
    if what is None:
        server.close()
        await server.wait_closed()
    url = f"{how.get('scheme', 'ws')}://127.0.0.1:{port}/x"
    began = time.monotonic()
    done = await asyncio.to_thread(run, "talk", "--url", url, *FILES, CALL_ID)
    took = time.monotonic() - began
    if what is not None:
        server.close()
        await server.wait_closed()
    said = done.stderr.splitlines()
    assert done.returncode == code, (done.stdout, done.stderr)
    assert took < seconds + SLACK
    assert CALL_ID not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(said) <= 2
    expected = f"retell-voice: {last.replace('PORT', str(port))}" if last else ""
    assert (said[0] if said else "").startswith(expected)
    assert bool(said) == bool(last)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize(
    ("limit", "codes", "words"),
    [
        ("-n 8", {2}, "this process may open only 8 files, and a call needs 24"),
        ("-n 23", {2}, "this process may open only 23 files, and a call needs 24"),
        ("-n 24", {0}, ""),
        # What Python and numpy take differs: enough on some machines, and a line on the others.
        ("-v 250000", {0, 2}, "the system gives this process no more"),
        ("-v 800000", {0}, ""),  # each thread may reserve 64 MiB, and not always as many do
    ],
)
async def test_a_low_limit_ends_in_a_line(
    env: dict[str, str], limit: str, codes: set[int], words: str
) -> None:
    command = f'ulimit {limit}; exec "$0" -m retell_voice talk --local "$@"'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command, sys.executable, *FILES, "--speed", "40"),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    said = errors.decode().splitlines()
    assert process.returncode in codes, errors
    if process.returncode:
        assert said[-2].startswith(f"retell-voice: {words}")
        assert said[-1].startswith("  see ")
    else:
        assert said == []
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "no more memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no more memory"),
        (ImportError("x.so: failed to map segment from shared object"), "no more memory"),
        (LookupError("unknown encoding: idna"), "no more memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
        (OSError(errno.EMFILE, "Too many open files"), "may open no more files"),
        (OSError(errno.ENFILE, "Too many open files in system"), "may open no more files"),
    ],
)
def test_what_the_system_has_no_more_of_is_no_defect(
    capsys: pytest.CaptureFixture[str], error: Exception, words: str
) -> None:
    with pytest.raises(SystemExit) as ended, reported():
        raise error
    problem, hint = capsys.readouterr().err.splitlines()
    assert (ended.value.code, hint[:6]) == (2, "  see ")
    assert words in problem
    with pytest.raises(SystemExit) as ended, reported():
        raise RuntimeError("oops")
    assert ended.value.code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
async def test_a_flood_at_the_limit_costs_a_line_a_second(env: dict[str, str]) -> None:
    command = 'ulimit -n 40; exec "$0" -m retell_voice emulator --port 0'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command, sys.executable),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    writers: list[asyncio.StreamWriter] = []
    async with asyncio.timeout(30):
        listens = re.search(rb":(\d+);", await process.stdout.readline())
        assert listens is not None
        for _ in range(60):
            _, writer = await asyncio.open_connection("127.0.0.1", int(listens[1]))
            writers.append(writer)
        told = await process.stderr.readline()
        for writer in writers:
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(listens[1]))
        writer.write(
            b"GET /list-voices HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        process.send_signal(signal.SIGINT)
        _, rest = await process.communicate()
    assert process.returncode == 0
    assert b"takes no more connections for now" in told
    assert len(rest.splitlines()) <= 3, rest
    assert b"Traceback" not in rest


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these signals")
@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([signal.SIGINT], 0),
        ([signal.SIGTERM], 143),
        ([getattr(signal, "SIGHUP", 0)], 129),
        ([signal.SIGINT, signal.SIGINT], 130),
    ],
    ids=str,
)
async def test_a_signal_ends_a_call_with_a_server_that_says_nothing(
    env: dict[str, str], numbers: list[int], code: int
) -> None:
    """It answers no heartbeat and no closing frame."""
    heard = asyncio.Event()

    async def silent(socket: ServerConnection) -> None:
        await socket.recv()
        heard.set()
        socket.transport.pause_reading()
        await gone.wait()

    gone = asyncio.Event()
    async with serve(silent, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"ws://127.0.0.1:{port}/x"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "retell_voice", "talk", "--url", url, *FILES, CALL_ID),
            env=env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            await heard.wait()
        began = time.monotonic()
        for number in numbers:
            os.kill(process.pid, number)
            # Two at once are one to a process: as far apart as a person presses keys at best.
            await asyncio.sleep(0.05 if len(numbers) > 1 else 0)
        _, errors = await process.communicate()
        assert time.monotonic() - began < 2 + SLACK / 2
        gone.set()
    assert (process.returncode, errors) == (code, b"")
