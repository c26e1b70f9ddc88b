"""``retell-voice listen`` and ``take-over`` as processes, in web calls of the emulator."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.callers import join
from support.heaps import heaps_of_threads, needs_them
from support.pipes import complaint
from support.tones import YOU, holds, tone
from support.web_caller import RATE, Received, WebCaller, calling, decoded

from retell_voice.cli import listen
from retell_voice.devices.files import WavWriter, read_wav
from retell_voice.emulator import Emulator, Session, silent_agent
from retell_voice.events import Utterance

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")

KEY = "key_1234567890abcdef"
HUMAN = 620
"""Tone of who takes over, Hz."""


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(agent=silent_agent) as emulator:
        yield emulator


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """What the one who takes over says, a file."""
    path = tmp_path / "me.wav"
    with contextlib.closing(WavWriter(path, RATE)) as file:
        file.write(tone(HUMAN, 10, RATE))
    return path


@pytest.mark.parametrize("arguments", [("listen", "abc"), ("take-over", "abc", "--yes")])
def test_what_names_no_call_is_told_before_a_speaker_is_looked_for(
    refuse: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    arguments: tuple[str, ...],
) -> None:
    env["RETELL_API_KEY"] = KEY
    monkeypatch.setattr(listen, "find_speaker", None)  # to be called, it would be a defect
    assert "neither a call_id nor the end of one" in refuse(*arguments, code=2)


class Program:
    """The program in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.out = ""

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    async def says(self, words: str) -> None:
        """Wait for words on standard output."""
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                while words not in self.out and (line := await self._process.stdout.readline()):
                    self.out += line.decode()
        assert words in self.out

    async def interrupt(self) -> int:
        """Press Ctrl-C and return the exit code; all it said is in ``out`` then."""
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            out, errors = await self._process.communicate()
        self.out += out.decode()
        assert errors == b""
        assert KEY not in self.out
        return self._process.returncode or 0


@asynccontextmanager
async def running(
    env: dict[str, str], emulator: Emulator, *arguments: str
) -> AsyncIterator[Program]:
    """Run the program, killed at the end of the block if it is there still."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", *arguments),
        env={**env, "RETELL_API_KEY": KEY, "RETELL_VOICE_API_URL": emulator.api_url},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def a_second(caller: WebCaller) -> list[Received]:
    """Wait until a second of the call has passed, and return what the caller got in it."""
    before = len(caller.packets)
    await caller.until(lambda: len(caller.packets) >= before + 50)
    return caller.packets[before:]


async def hears(caller: WebCaller, frequency: float) -> None:
    """Wait until a tone reaches the caller."""
    for _ in range(5):
        if holds(decoded(await a_second(caller)), frequency, RATE):
            return
    pytest.fail(f"the caller did not hear {frequency} Hz")


async def test_a_call_is_heard_and_goes_on(
    env: dict[str, str], emulator: Emulator, tmp_path: Path
) -> None:
    heard = tmp_path / "heard.wav"
    command = ("listen", "last", "--output-file", str(heard), "--json")
    async with calling(emulator) as caller, running(env, emulator, *command) as program:
        await program.says('"state": "live"')
        caller.speech.say(tone(YOU, 20, RATE))
        await program.says('"event": "agent_started"')
        await a_second(caller)
        assert await program.interrupt() == 0
        (call,) = emulator.calls
        assert not call.over
        assert call.call_id not in program.out
    samples, rate = read_wav(heard)
    assert holds(samples, YOU, rate)


@needs_them
async def test_all_its_threads_share_one_heap(
    env: dict[str, str], emulator: Emulator, tmp_path: Path
) -> None:
    command = ("listen", "last", "--output-file", str(tmp_path / "heard.wav"), "--json")
    async with calling(emulator) as caller, running(env, emulator, *command) as program:
        await program.says('"state": "live"')
        caller.speech.say(tone(YOU, 20, RATE))
        await program.says('"event": "agent_started"')
        assert heaps_of_threads(program.pid) == []


async def test_a_call_is_taken_over_and_over_with_who_did(
    env: dict[str, str], emulator: Emulator, mine: Path, tmp_path: Path
) -> None:
    files = ("--input-file", str(mine), "--output-file", str(tmp_path / "heard.wav"))
    command = ("take-over", "last", "--yes", *files)
    async with calling(emulator) as caller, running(env, emulator, *command) as program:
        await program.says("the caller hears you now; m and Enter mute you")
        await hears(caller, HUMAN)
        assert await program.interrupt() == 0
        assert program.out.endswith("you hung up (1000)\n")
        async with asyncio.timeout(5):
            await emulator.calls[-1].wait()


async def test_from_listening_on_a_terminal(
    env: dict[str, str], emulator: Emulator, mine: Path, tmp_path: Path
) -> None:
    from support.terminal import Terminal  # noqa: PLC0415 - there is no termios on Windows

    loop = asyncio.get_running_loop()
    files = ("--input-file", str(mine), "--output-file", str(tmp_path / "heard.wav"))
    where = {"RETELL_API_KEY": KEY, "RETELL_VOICE_API_URL": emulator.api_url}
    async with calling(emulator) as caller:

        def act() -> int:
            with Terminal("listen", "last", *files, env={**env, **where}) as terminal:
                terminal.wait_for("t and Enter take the call over")
                terminal.type("t\r")
                terminal.wait_for("the caller hears you now")
                asyncio.run_coroutine_threadsafe(hears(caller, HUMAN), loop).result()
                terminal.type("m\r")
                terminal.wait_for("you are muted")
                terminal.press("c")
                return terminal.wait()

        assert await asyncio.to_thread(act) == 0


async def test_that_no_call_is_going_on_is_told_before_a_speaker_is_looked_for(
    run: Callable[..., subprocess.CompletedProcess[str]], emulator: Emulator
) -> None:
    more = {"RETELL_API_KEY": KEY, "RETELL_VOICE_API_URL": emulator.api_url}
    result = await asyncio.to_thread(lambda: run("listen", "last", "--output", "none", more=more))
    assert "ongoing" in complaint(result, 7)[0]


async def test_a_call_that_ends_ends_the_listening(env: dict[str, str], emulator: Emulator) -> None:
    command = ("listen", "last", "--output-file", "/dev/null", "--json")
    async with calling(emulator) as caller, running(env, emulator, *command) as program:
        await program.says('"state": "live"')
        await caller.leave(emulator)
        await program.says('"event": "ended", ')
        assert '"by": "server"' in program.out.splitlines()[-1]


async def test_what_is_said_and_that_one_has_left(env: dict[str, str]) -> None:
    async def agent(session: Session) -> None:
        await session.update((Utterance("agent", "Hello"), Utterance("user", "Hi")))
        await silent_agent(session)

    command = ("listen", "last", "--output-file", "/dev/null")
    async with (
        Emulator(agent=agent) as emulator,
        calling(emulator),
        running(env, emulator, *command) as program,
    ):
        await program.says("agent: Hello\n")
        assert await program.interrupt() == 0
    assert program.out.splitlines()[-2:] == ["00:00  user: Hi", "you have left, the call goes on"]


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("take-over", "last"), 2, "taking a call over is for good: give --yes if you mean it"),
        (("listen", "last"), 7, "there is no ongoing call"),
    ],
)
async def test_what_cannot_be(
    run: Callable[..., subprocess.CompletedProcess[str]],
    emulator: Emulator,
    command: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    more = {"RETELL_API_KEY": KEY, "RETELL_VOICE_API_URL": emulator.api_url}
    files = ("--output-file", "/dev/null")
    result = await asyncio.to_thread(lambda: run(*command, *files, more=more))
    assert says in complaint(result, code)[0]


async def test_a_call_over_the_audio_websocket_cannot_be_heard(
    run: Callable[..., subprocess.CompletedProcess[str]], emulator: Emulator
) -> None:
    more = {"RETELL_API_KEY": KEY, "RETELL_VOICE_API_URL": emulator.api_url}
    async with join(emulator, emulator.register()):
        command = ("listen", "last", "--output-file", "/dev/null")
        result = await asyncio.to_thread(lambda: run(*command, more=more))
    assert "server: " in complaint(result, 7)[0]
