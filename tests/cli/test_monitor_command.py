"""``retell-voice monitor`` as a process, against a server of the monitor socket."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from support.callers import join
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from retell_voice.emulator import Emulator, Session, silent_agent
from retell_voice.events import TranscriptItem, Utterance
from retell_voice.protocol.monitor import MonitorServer

CALL_ID = "call_0123456789abcdef"
KEY = "key_0123456789abcdef"
words = MonitorServer()
HELLO = TranscriptItem("a", "agent", 1.0, "Hello Ann")
HI = TranscriptItem("b", "user", 2.0, "Hi")
Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def server(handle: Handler) -> AsyncIterator[str]:
    async with serve(handle, "127.0.0.1", 0, subprotocols=[Subprotocol("bearer")]) as running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"


async def whole(websocket: ServerConnection) -> None:
    await websocket.send(words.transcript([HELLO, HI], snapshot=True))
    await websocket.send(words.ended("user_hangup", 9.0))
    await websocket.wait_closed()


async def start(
    env: dict[str, str], url: str, *arguments: str, name: str = CALL_ID
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", "monitor", name, "--api-url", url, *arguments),
        env={**env, "RETELL_API_KEY": KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert KEY.encode() not in out + err
    assert CALL_ID.encode() not in out + err
    return process.returncode, out.decode(), err.decode()


async def test_what_is_said_and_that_it_is_over(env: dict[str, str]) -> None:
    async with server(whole) as url:
        lines, objects = await asyncio.gather(
            *(start(env, url, *more) for more in ((), ("--json",)))
        )
        assert await finish(lines) == (
            0,
            "00:01  agent: Hello Ann\n00:02  user: Hi\nthe call has ended: user_hangup\n",
            "",
        )
        code, out, err = await finish(objects)
    assert (code, err) == (0, "")
    attached, transcript, turn, ended = map(json.loads, out.splitlines())
    assert (attached["event"], attached["state"]) == ("monitor_changed", "attached")
    assert [each["content"] for each in transcript["items"]] == ["Hello Ann", "Hi"]
    assert (turn["event"], turn["speaker"]) == ("turn", "user")
    assert (ended["event"], ended["reason"]) == ("call_ended", "user_hangup")


async def test_a_call_of_the_emulators_by_the_end_of_its_id(env: dict[str, str]) -> None:
    go_on = asyncio.Event()

    async def agent(session: Session) -> None:
        await session.update((Utterance("agent", "Hello"), Utterance("user", "Bye")))
        await go_on.wait()

    async with Emulator(agent=agent, api_key=KEY) as emulator:
        call = emulator.register()
        async with join(emulator, call):
            process = await start(env, emulator.api_url, name=call.call_id[-4:])
            assert process.stdout is not None
            async with asyncio.timeout(20):
                assert await process.stdout.readline() == b"00:00  agent: Hello\n"
            go_on.set()
            code, out, err = await finish(process)
    assert (code, err) == (0, "")
    assert out == "00:00  user: Bye\nthe call has ended: agent_hangup\n"


async def test_a_call_that_is_over_is_not_waited_for(env: dict[str, str]) -> None:
    async with Emulator(agent=silent_agent, api_key=KEY) as emulator:
        call = emulator.register()
        async with join(emulator, call):
            pass
        await call.wait()
        process = await start(env, emulator.api_url, name=call.call_id)
        code, out, err = await finish(process)
    assert (code, out) == (5, "")
    assert err.startswith(f"retell-voice: server: call …{call.call_id[-4:]} is over\n")


@pytest.mark.parametrize(
    ("code", "reason", "exit_code", "says"),
    [
        (
            4001,
            "no such key",
            7,
            "the call cannot be monitored: no such key\n  it came from RETELL_",
        ),
        (4008, "too many watchers", 5, "the call cannot be monitored: too many watchers"),
        (1000, "", 0, ""),
    ],
)
async def test_why_it_cannot_be_watched(
    env: dict[str, str], code: int, reason: str, exit_code: int, says: str
) -> None:
    async def handle(websocket: ServerConnection) -> None:
        await websocket.close(code, reason)

    async with server(handle) as url:
        ended, out, err = await finish(await start(env, url))
    assert ended == exit_code
    assert says in err
    assert out == ("the call has ended\n" if exit_code == 0 else "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
async def test_a_signal_ends_the_watching_and_the_last_words_are_told(
    env: dict[str, str], number: signal.Signals, code: int
) -> None:
    async def handle(websocket: ServerConnection) -> None:
        await websocket.send(words.transcript([HELLO, HI]))
        await websocket.wait_closed()

    async with server(handle) as url:
        process = await start(env, url)
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"00:01  agent: Hello Ann\n"
        process.send_signal(number)
        assert await finish(process) == (code, "00:02  user: Hi\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
async def test_on_a_terminal_the_last_words_grow(env: dict[str, str]) -> None:
    from support.terminal import Terminal  # noqa: PLC0415 - there is no termios on Windows

    seen = asyncio.Event()
    long = TranscriptItem("b", "user", 2.0, "and " * 20 + "so on")

    async def handle(websocket: ServerConnection) -> None:
        await websocket.send(words.transcript([HELLO]))
        await seen.wait()
        await websocket.send(words.transcript([long]))
        await websocket.wait_closed()

    async with server(handle) as url:
        loop = asyncio.get_running_loop()

        def look() -> tuple[str, str]:
            where = ("monitor", CALL_ID, "--api-url", url)
            more = {"RETELL_API_KEY": KEY}
            with Terminal(*where, env={**env, **more}, size=(10, 60)) as terminal:
                terminal.wait_for("Hello Ann")
                first = terminal.text.strip()
                loop.call_soon_threadsafe(seen.set)
                terminal.wait_for("so on")
                return first, terminal.text.strip()

        first, then = await asyncio.to_thread(look)
    assert first == "00:01  agent: Hello Ann"
    told, growing = then.split("\n")
    assert told == first
    assert growing.startswith("…")
    assert growing.endswith("and and so on")
    assert len(growing) == 59
