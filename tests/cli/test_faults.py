"""The table of faults: what the field does to a call, and what the program makes of it.

All of it over the Audio WebSocket and as a phone provider, and what is like it in web calls.

Each row: what happens, the exit code, the seconds within which the program has ended, how the last
line on standard error begins. Nothing is left behind in any of them, and no traceback is shown.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import faulty
from support.faulty import IMPATIENT, answers, closes, server_tls, serving
from support.gateway import CALL_ID as GATEWAY_CALL_ID
from support.gateway import KEY, TOKEN, deaf, gateway
from support.pipes import CALL_ID, FILES, patched
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.program.failure import reported

Result = subprocess.CompletedProcess[str]
Run = Callable[..., Result]
SLACK = 4.0
"""Seconds that starting takes on a busy machine."""


ROWS: dict[str, tuple[Any, dict[str, Any], int, float, str]] = {
    # what is there, how it is served, exit code, seconds, last line
    "nobody listens": (None, {}, 4, 3.0, "network: 127.0.0.1:PORT refused the connection"),
    "closes normally": (closes(1000, "", begins=True), {}, 0, 3.0, ""),
    "closes without a code": (closes(1000), {}, 0, 3.0, ""),
    "closes with 1011": (
        closes(1011, "oops", begins=True), {}, 6, 3.0, "server: it closed the call: 1011 oops"
    ),
    "closes with 4000 before a word": (
        closes(4000, "no"), {}, 5, 3.0, "server: it closed the call before it began: 4000 no"
    ),
    "the LLM server fails": (
        closes(1002, "error_llm_websocket_open", begins=True),
        {},
        6,
        3.0,
        "server: it closed the call: 1002 error_llm_websocket_open",
    ),
    "breaks off": (faulty.breaks_off, {}, 6, 3.0, "network: the connection broke off: 1006"),
    "stands still": (
        faulty.stands_still,
        {"more": IMPATIENT},
        6,
        4.0,
        "network: the connection broke off: 1006 nothing came from the server for 1 s",
    ),
    "floods with nonsense": (faulty.floods, {}, 6, 4.0, "server: it closed the call: 1011 enough"),
    "a message beyond all bounds": (
        faulty.sends_a_huge_message, {}, 6, 4.0, "network: the connection broke off: 1009"
    ),
    "audio that is none": (faulty.speaks_other_audio, {}, 0, 3.0, ""),
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


def check(result: Result, code: int, took: float, seconds: float, last: str) -> None:
    """Check how a program has ended; ``last``: how its complaint begins, empty: there is none."""
    assert result.returncode == code, (result.stdout, result.stderr)
    assert took < seconds + SLACK
    for secret in (CALL_ID, KEY, TOKEN):
        assert secret not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    said = result.stderr.splitlines()
    assert len(said) <= 2
    assert (said[0] if said else "").startswith(f"retell-voice: {last}" if last else "")
    assert bool(said) == bool(last)


@pytest.mark.parametrize("dialect", ["web", "twilio"])
@pytest.mark.parametrize("name", ROWS)
async def test_what_becomes_of_a_call(name: str, dialect: str, run: Run, tmp_path: Path) -> None:
    what, how, code, seconds, last = ROWS[name]
    async with serving(what, server_tls(how["tls"]) if "tls" in how else None) as port:
        url = f"{how.get('scheme', 'ws')}://127.0.0.1:{port}/x"
        of_phone = () if dialect == "web" else ("--dialect", dialect)
        began = time.monotonic()
        arguments = ("talk", "--url", url, *of_phone, *FILES, CALL_ID)
        more = patched(tmp_path, how["more"]) if "more" in how else {}
        result = await asyncio.to_thread(run, *arguments, more=more)
        took = time.monotonic() - began
    check(result, code, took, seconds, last.replace("PORT", str(port)))


# Web calls: what the REST API and the gateway answer, and what becomes of the media

CREATE, JOIN = ("POST", "create-web-call"), ("POST", "sessions")
WEB_ROWS: dict[str, tuple[Any, int, float, str]] = {
    # what is answered, or done once the caller speaks; exit code, seconds, last line
    "it ends": (faulty.ends, 0, 3.0, ""),
    "another client has taken its place": (faulty.is_replaced, 0, 3.0, ""),
    "floods with nonsense": (faulty.floods_the_control_channel, 0, 4.0, ""),
    "closes the media": (faulty.closes_the_media, 0, 4.0, ""),
    "falls silent": (
        faulty.falls_silent, 6, 6.0, "network: the connection broke off: 1006 nothing came from the"
    ),
    "the key is refused": (
        {CREATE: (401, {"message": "no"})}, 7, 3.0, "server: 127.0.0.1:PORT does not accept the"
    ),
    "no such agent": (
        {CREATE: (422, {"message": "cannot find agent"})}, 7, 3.0, "server: 127.0.0.1:PORT knows no"
    ),
    "creating fails": (
        {CREATE: (500, {"message": "oops"})}, 7, 3.0, "server: 127.0.0.1:PORT answered HTTP 500"
    ),
    "creating is redirected": (
        {CREATE: (302, {})}, 7, 3.0, "server: 127.0.0.1:PORT answered HTTP 302 Found"
    ),
    "an admission that is none": (
        {CREATE: (201, {"call_id": 7})}, 7, 3.0, "server: 127.0.0.1:PORT did not answer as Retell"
    ),
    "an admission that is no JSON": (
        {CREATE: (201, b"<html>")}, 7, 3.0, "server: 127.0.0.1:PORT did not answer as Retell"
    ),
    "the token is refused": (
        {JOIN: (403, {"message": "no"})}, 5, 3.0, "server: the gateway 127.0.0.1:PORT answered HTTP"
    ),
    "joining fails, twice": (
        {JOIN: (503, {})}, 5, 4.0, "server: the gateway 127.0.0.1:PORT answered HTTP 503"
    ),
    "an answer that is no JSON": (
        {JOIN: (200, b"v=0")}, 5, 3.0, "server: 127.0.0.1:PORT did not answer as Retell's gateway"
    ),
    "an answer that is no SDP": (
        {JOIN: (200, {"session_id": "0", "sdp": "no"})},
        5,
        3.0,
        "server: the gateway cannot be talked to: its answer is not SDP",
    ),
    "no audio comes through": (
        deaf, 4, 5.0, "network: the gateway let us in, but no audio comes through to it"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WEB_ROWS)
async def test_what_becomes_of_a_web_call(name: str, run: Run, tmp_path: Path) -> None:
    what, code, seconds, last = WEB_ROWS[name]
    doing: list[asyncio.Task[None]] = []

    async def once_it_speaks(session: Any) -> None:
        await session.speaking.wait()
        await what(session)

    more = {"RETELL_API_KEY": KEY}
    async with gateway() as server, asyncio.timeout(40):
        over = {"call_id": GATEWAY_CALL_ID, "call_status": "ended"}
        server.answers["GET", f"get-call/{GATEWAY_CALL_ID}"] = [(200, over)] * 2
        if isinstance(what, dict):
            server.answers |= {asked: [answer] * 3 for asked, answer in what.items()}
        elif what is deaf:
            server.change = deaf
        else:
            server.on_session = lambda session: doing.append(
                asyncio.create_task(once_it_speaks(session))
            )
        if what in (deaf, faulty.falls_silent):
            more |= patched(tmp_path, IMPATIENT)
        began = time.monotonic()
        arguments = ("talk", "--api-url", server.url, "--agent", "agent_1", *FILES)
        result = await asyncio.to_thread(run, *arguments, more=more)
        took = time.monotonic() - began
        port = server.url.rpartition(":")[2]
        if server.sessions:
            assert server.methods("sessions/0") == ["DELETE"], "it is left, whatever happened"
    check(result, code, took, seconds, last.replace("PORT", port))
    assert GATEWAY_CALL_ID not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("scheme", "certificate", "last"),
    [
        ("http", "", "network: 127.0.0.1:PORT refused the connection"),
        ("http", "valid.pem", "network: 127.0.0.1:PORT speaks TLS"),
        ("https", "plain", "network: 127.0.0.1:PORT speaks no TLS"),
        ("https", "valid.pem", "network: the TLS certificate of 127.0.0.1:PORT is not valid"),
    ],
    ids=["nobody listens", "TLS without https", "https without TLS", "an unknown certificate"],
)
async def test_what_becomes_of_a_web_call_that_reaches_nobody(
    scheme: str, certificate: str, last: str, run: Run
) -> None:
    tls = server_tls(certificate) if certificate.endswith(".pem") else None
    answer = answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    async with serving(answer if certificate else None, tls) as port:
        began = time.monotonic()
        url = ("--api-url", f"{scheme}://127.0.0.1:{port}")
        arguments = ("talk", *url, "--agent", "agent_1", *FILES)
        result = await asyncio.to_thread(run, *arguments, more={"RETELL_API_KEY": KEY})
        took = time.monotonic() - began
    check(result, 4, took, 5.0, last.replace("PORT", str(port)))


NOWHERE = str(Path(__file__).parent / "nowhere")
DEVICE_ROWS: dict[str, tuple[tuple[str, ...], int, str]] = {
    # options; exit code, last line
    "no such input file": (
        ("--input-file", NOWHERE, *FILES[2:]), 2, f"{NOWHERE}: No such file or directory"
    ),
    "an input that is no sound": (
        ("--input-file", __file__, *FILES[2:]), 2, f"{__file__}: not a sound file"
    ),
    "no directory for the output": (
        (*FILES[:2], "--output-file", f"{NOWHERE}/x.wav"), 2, f"{NOWHERE}/x.wav: no such directory"
    ),
    "a disk that is full": (
        (*FILES[:2], "--output-file", "/dev/full"), 3, "speaker 'full' lost: /dev/full: No space"
    ),
    "no such microphone": (("--input", "nosuch", *FILES[2:]), 3, "no microphone 'nosuch'"),
    "no such speaker": ((*FILES[:2], "--output", "nosuch"), 3, "no speaker 'nosuch'"),
}  # fmt: skip


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
@pytest.mark.parametrize("name", DEVICE_ROWS)
def test_what_becomes_of_a_call_whose_devices_fail(name: str, transport: str, run: Run) -> None:
    options, code, last = DEVICE_ROWS[name]
    if "/dev/full" in options and sys.platform != "linux":
        pytest.skip("only Linux has /dev/full")
    began = time.monotonic()
    result = run("talk", "--local", "--transport", transport, *options)
    check(result, code, time.monotonic() - began, 4.0, last)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize(
    ("limit", "codes", "words"),
    [
        ("-n 8", {2}, "this process may open only 8 files, and a call needs 24"),
        ("-n 23", {2}, "this process may open only 23 files, and a call needs 24"),
        ("-n 24", {0}, ""),
        ("-v 100000", {2}, "this process may use only 102 MB of address space, and a call takes"),
        ("-v 160000", {2}, "this process may use only 163 MB of address space, and a call takes"),
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
        ([signal.SIGINT, signal.SIGTERM], 130),
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
            # Two at once are one to a process that a busy machine lets wait.
            await asyncio.sleep(0.4 if len(numbers) > 1 else 0)
        _, errors = await process.communicate()
        assert time.monotonic() - began < 2 + SLACK / 2
        gone.set()
    assert (process.returncode, errors) == (code, b"")
