"""Lines typed at the emulator are turns of the user."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from retell_voice.audio.format import AudioFormat
from retell_voice.cli.console import HELP, Console
from retell_voice.emulator import Emulator, silent_agent
from retell_voice.emulator.session import MAX_TYPED

EXAMPLE = Path(__file__).parents[2] / "examples" / "llm_server.py"


async def test_what_the_emulator_refuses_is_said_and_ends_nothing() -> None:
    said: list[str] = []
    async with Emulator(agent=silent_agent, max_calls=1) as emulator:
        console = Console(emulator, AudioFormat(rate=8000), said.append)
        running = asyncio.create_task(console.run())

        async def tell() -> None:
            async for server_event in emulator.events:
                console.happened(server_event)

        telling = asyncio.create_task(tell())
        await console.do("/call")
        await console.do("/call")
        assert said == ["no call: too many calls are registered or ongoing"]
        for _ in range(MAX_TYPED + 1):
            await console.do("Hello?")
        assert len(said) == 2
        assert said[1].startswith("not said: 100 typed turns wait")
        await console.do("/hangup")
        running.cancel()
        await asyncio.wait({running})
    await telling


async def test_no_more_is_read_than_can_be_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said, all_said, takers = [], asyncio.Event(), []
    lines = ["/help"] * 1000

    def say(line: str) -> None:
        said.append(line)
        if len(said) == len(lines):
            all_said.set()

    monkeypatch.setattr("sys.stdin", SimpleNamespace(fileno=lambda: 0))
    monkeypatch.setattr("retell_voice.cli.console.read_lines", lambda _, take: takers.append(take))
    console = Console(Emulator(), AudioFormat(), say)
    console.listen()
    reading = threading.Thread(target=lambda: [takers[0](line) for line in lines], daemon=True)
    reading.start()
    reading.join(0.5)
    assert reading.is_alive()
    running = asyncio.create_task(console.run())
    await asyncio.wait_for(all_said.wait(), 10)
    running.cancel()
    await asyncio.wait({running})
    assert said == [HELP] * len(lines)


class Program:
    """A program with its input and output on pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def until(self, words: str) -> str:
        """Read until ``words`` appear; return what came since the last time."""
        assert self.process.stdout is not None
        text = ""
        async with asyncio.timeout(20):
            while words not in text:
                line = await self.process.stdout.readline()
                assert line, f"{words!r} never came:\n{self.text}{text}"
                text += line.decode()
        self.text += text
        return text

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())


async def start(*arguments: str, env: dict[str, str]) -> Program:
    return Program(
        await asyncio.create_subprocess_exec(
            *(sys.executable, *arguments),
            env=env | {"PYTHONUNBUFFERED": "1"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    )


@pytest.fixture
async def emulator(env: dict[str, str]) -> AsyncIterator[Program]:
    """The emulator with the echoing LLM server behind it; nothing is spoken or recognised."""
    server = await start(str(EXAMPLE), "--port", "0", env=env)
    listening = await server.until("ws://")
    url = next(word for word in listening.split() if word.startswith("ws://"))
    options = ("--port", "0", "--llm", url, "--tts", "mumble", "--asr", "none")
    program = await start("-m", "retell_voice", "emulator", *options, env=env)
    yield program
    for each in (program, server):
        if each.process.returncode is None:
            each.process.kill()
        await each.process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
async def test_an_llm_server_is_tried_by_typing(emulator: Program) -> None:
    await emulator.until("/help")
    emulator.type("is anybody there?")  # nobody has called: a silent caller does
    happened = await emulator.until("is anybody there?")
    assert "joined" in happened
    emulator.type("/help")
    await emulator.until("/hangup")
    emulator.type("/nonsense")
    await emulator.until("there is no /nonsense")
    emulator.type("/hangup")
    await emulator.until("ended: user_hangup")
    emulator.type("/hangup")
    await emulator.until("there is no call")
    emulator.type("/call")
    await emulator.until("joined")
    emulator.process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(emulator.process.wait(), 10) == 0
