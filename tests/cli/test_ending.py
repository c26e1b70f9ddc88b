"""However the program is started and whatever it hangs on, a signal ends it soon and quietly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has neither these signals nor FIFOs", allow_module_level=True)

from support.pipes import CALL_ID, FILES, QUICK, patched

from retell_voice.emulator import Emulator, Session

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PROGRAM = (sys.executable, "-m", "retell_voice")
SOON = 3.0
"""Seconds: what is promised, 1 or 2, and what a busy machine takes."""


@pytest.mark.parametrize("redirect", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_call_with_standard_streams_closed(
    env: dict[str, str], tmp_path: Path, redirect: str
) -> None:
    """The call goes as always, and nothing that is printed lands in what was opened meanwhile."""
    agent, record = tmp_path / "agent.wav", tmp_path / "calls"
    command = f'exec "$0" "$@" {redirect}'
    files = ("--input-file", FILES[1], "--output-file", str(agent), "--record", str(record))
    done = subprocess.run(
        ["sh", "-c", command, *PROGRAM, "talk", "--local", *files, "--speed", "40"],
        env=env,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (b"you hung up" in done.stdout) == (">&-" not in redirect.replace("2>&-", ""))
    assert done.stderr == b""
    assert agent.read_bytes()[:4] == b"RIFF"
    [directory] = record.iterdir()
    for line in (directory / "events.jsonl").read_text().splitlines():
        json.loads(line)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a user that no file knows")
def test_a_user_without_a_name_and_a_home(env: dict[str, str], tmp_path: Path) -> None:
    """As in containers that run as a number."""
    del env["HOME"], env["XDG_CONFIG_HOME"]
    (tmp_path / "x").mkdir()
    (tmp_path / "x").chmod(0o777)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            env=env,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=30,
            user=54321,
            check=False,
        )

    try:
        done = run("--version")
    except PermissionError:
        done = None
    if done is None or done.returncode:
        pytest.skip("that user may not read this Python")
    done = run("talk", "--local", *QUICK)
    assert (done.returncode, done.stderr) == (0, "")
    for arguments in (("--record", "~/calls"), ("--input-file", "~/x.wav")):
        done = run("talk", "--local", *QUICK, *arguments)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("retell-voice: ")
        assert len(done.stderr.splitlines()) <= 2


def fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    try:
        while True:
            os.write(pipe, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(pipe, True)


@pytest.mark.parametrize("also_stderr", [False, True], ids=["stdout", "both"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (None, 6)], ids=str
)
async def test_a_reader_that_stands_still_keeps_no_call_from_ending(
    env: dict[str, str], number: int | None, code: int, also_stderr: bool
) -> None:
    async def agent(session: Session) -> None:
        for _ in range(10):
            await session.receive()  # the call is live, and has been for a while
        for turn in range(400):
            said = [{"role": "agent", "content": f"{turn} " * 300}]
            update = {"event_type": "update", "transcript": said}
            await session.websocket.send(json.dumps(update))
        joined.set()
        if number is None:
            await session.close(4000, "enough")
        async for _ in session:
            pass

    joined = asyncio.Event()
    reader, pipe = os.pipe()
    fill(pipe)
    try:
        async with Emulator(agent=agent) as emulator:
            call_id = emulator.register().call_id
            process = await asyncio.create_subprocess_exec(
                *(*PROGRAM, "talk", "--json", "--url", emulator.url, *FILES, call_id),
                env=env,
                stdout=pipe,
                stderr=pipe if also_stderr else asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(20):
                await joined.wait()
            began = time.monotonic()
            if number is not None:
                process.send_signal(number)
            _, errors = await asyncio.wait_for(process.communicate(), 10)
            took = time.monotonic() - began
    finally:
        os.close(reader)
        os.close(pipe)
    assert process.returncode == code
    assert took < SOON + also_stderr
    if not also_stderr:
        assert b"lines of output were dropped: nobody read them in time" in errors
        assert b"Traceback" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_reader_that_stands_still_keeps_no_emulator_from_ending(
    env: dict[str, str], number: signal.Signals
) -> None:
    reader, pipe = os.pipe()
    fill(pipe)
    process = subprocess.Popen(
        [*PROGRAM, "emulator", "--port", "0"], env=env, stdout=pipe, stderr=subprocess.PIPE
    )
    try:
        wait_for_handler(process.pid, number)
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - began < SOON
        assert process.returncode == (0 if number is signal.SIGINT else 143)
        assert b"Traceback" not in errors
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(pipe)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
@pytest.mark.parametrize("also_stderr", [False, True], ids=["stdout", "both"])
@pytest.mark.parametrize(
    "command",
    [
        ("monitor", CALL_ID, "--api-url", "http://127.0.0.1:PORT"),
        ("swarm", "--calls", "2", "--dialect", "twilio", "--url", "ws://127.0.0.1:PORT/x"),
        ("kiosk", "--call-url", "http://127.0.0.1:PORT/call", "--socket", "SOCKET"),
    ],
    ids=lambda each: each[0],
)
async def test_a_reader_that_stands_still_keeps_no_command_from_ending(
    env: dict[str, str],
    tmp_path: Path,
    command: tuple[str, ...],
    also_stderr: bool,
    number: signal.Signals,
) -> None:
    asked = asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        asked.set()

    reader, pipe = os.pipe()
    fill(pipe)
    try:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            port = str(server.sockets[0].getsockname()[1])
            path = tmp_path / "socket"
            words = [each.replace("PORT", port).replace("SOCKET", str(path)) for each in command]
            process = await asyncio.create_subprocess_exec(
                *(*PROGRAM, *words),
                env={**env, "RETELL_API_KEY": "key_0123456789abcdef"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe if also_stderr else asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(20):
                while not (asked.is_set() or path.exists()):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)  # for it to say so, where nobody reads
            began = time.monotonic()
            if process.returncode is None:
                process.send_signal(number)
            _, errors = await asyncio.wait_for(process.communicate(), 10)
            took = time.monotonic() - began
    finally:
        os.close(reader)
        os.close(pipe)
    assert took < SOON + also_stderr
    assert process.returncode in (0, 4, 5, 128 + number)
    assert b"Traceback" not in (errors or b"")


def wait_for_handler(pid: int, number: int) -> None:
    """Wait until a process takes a signal itself (Linux tells), which comes before all else."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(
            next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16
        )
        if caught >> (number - 1) & 1 and caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)  # a poll with a deadline
    raise AssertionError("it never took the signal")


@pytest.mark.parametrize("option", ["--input-file", "--scenario", "--output-file"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_pipe_instead_of_a_file_can_be_left(
    env: dict[str, str], tmp_path: Path, option: str, number: signal.Signals
) -> None:
    """One Ctrl-C, and no traceback."""
    os.mkfifo(fifo := tmp_path / "fifo")
    files = [*FILES]
    if option in files:
        files[files.index(option) + 1] = str(fifo)
    else:
        files += [option, str(fifo)]
    process = subprocess.Popen([*PROGRAM, "talk", "--local", *files], env=env, stdout=-1, stderr=-1)
    other: int | None = None
    try:
        if option == "--output-file":  # it stands in the opening soon after its first lines
            assert process.stdout is not None
            assert process.stdout.readline()
        else:
            other = whoever_reads(fifo)
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert time.monotonic() - began < SOON
        assert process.returncode == 128 + number
        assert errors == b""
    finally:
        process.kill()
        process.wait()
        if other is not None:
            os.close(other)


def whoever_reads(fifo: Path) -> int:
    """Wait until somebody has opened a FIFO to read, and return the other end of it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody has
            time.sleep(0.01)  # a poll with a deadline
    raise AssertionError("it never opened the pipe")


MODULES = ("retell_voice.program.failure", "typer", "numpy")


@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_while_python_imports_says_nothing(
    env: dict[str, str], tmp_path: Path, module: str
) -> None:
    """One, at the worst moment: in the middle of an import."""
    env = {**env, **patched(tmp_path, interrupted_at(module))}
    done = subprocess.run(
        [*PROGRAM, "talk", *QUICK, "--url", "ws://127.0.0.1:1/x", CALL_ID],
        env=env,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize(
    "module",
    ["retell_voice.kiosk.handed_over", "retell_voice.errors", "retell_voice.kiosk.program"],
)
def test_nor_does_one_while_a_kiosk_is_loaded(
    env: dict[str, str], tmp_path: Path, module: str
) -> None:
    env = {**env, **patched(tmp_path, interrupted_at(module))}
    command = [sys.executable, "-m", "retell_voice.kiosk", f"socket={tmp_path / 'socket'}"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (130, b"")


def interrupted_at(module: str) -> str:
    """Return code with which Python gets a Ctrl-C where it imports this."""
    return f"""
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


def test_ctrl_c_while_python_ends_says_nothing(env: dict[str, str], tmp_path: Path) -> None:
    code = """
import atexit, os, signal
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
"""
    env = {**env, **patched(tmp_path, code)}
    command = [*PROGRAM, "config", "path"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=30, check=False)
    assert done.returncode == 130
    assert done.stderr == b""
