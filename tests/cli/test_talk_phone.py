"""``talk --dialect``: calls as phone providers make them, to servers on real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pipes import FILES, QUICK, complaint
from twilio.request_validator import RequestValidator
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Response
from websockets.sync.server import ServerConnection as SyncConnection
from websockets.sync.server import serve as serve_sync

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.files import read_wav
from retell_voice.emulator import CALLER, Emulator
from retell_voice.transport.phone import PROVIDERS

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Talk = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]
MULAW = AudioFormat(Encoding.MULAW, 8000)
TOKEN = "0123456789abcdef"


@pytest.fixture
def talk(run: Run) -> Talk:
    async def talk(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(run, "talk", *arguments, **more)

    return talk


@asynccontextmanager
async def server(agent: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(agent, "127.0.0.1", 0) as listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ws"


def events(result: subprocess.CompletedProcess[str], kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return [each for each in lines if each["event"] == kind]


async def test_a_server_is_called_as_twilio_calls_it(talk: Talk, tmp_path: Path) -> None:
    samples, rate = read_wav(CALLER)
    voice = MULAW.encode(resample_whole(samples, rate, 8000))
    said: list[dict[str, Any]] = []
    requests: list[Any] = []
    answer = np.full(4000, 5000, np.int16)

    async def agent(websocket: ServerConnection) -> None:
        requests.append(websocket.request)
        async for message in websocket:
            said.append(json.loads(message))
            if len(said) == 40:
                stream = said[1]["streamSid"]
                payload = b64encode(MULAW.encode(answer)).decode()
                for more in (
                    {"event": "media", "media": {"payload": payload}},
                    {"event": "mark", "mark": {"name": "said"}},
                ):
                    await websocket.send(json.dumps({**more, "streamSid": stream}))
            if said[-1]["event"] == "mark":
                return  # which closes: the call goes on with what follows in the TwiML

    files = (*FILES[:2], "--output-file", str(tmp_path / "out.wav"))
    async with server(agent) as url:
        result = await talk(
            *("--json", "--speed", "5", "--dialect", "twilio", "--url", url, *files),
            *("--from-number", "+15550100", "--parameter", "plan=gold=1"),
            more={"RETELL_VOICE_AUTH_TOKEN": TOKEN},
        )
    assert (result.returncode, result.stderr) == (0, "")
    assert [each["event"] for each in said[:3]] == ["connected", "start", "media"]
    assert said[1]["start"]["customParameters"] == {"from_number": "+15550100", "plan": "gold=1"}
    assert [each["sequenceNumber"] for each in said[1:]] == [str(n) for n in range(1, len(said))]
    frames = [b64decode(each["media"]["payload"]) for each in said if each["event"] == "media"]
    assert {len(frame) for frame in frames} == {160}
    sent = MULAW.decode(b"".join(frames)).astype(float)
    meant = MULAW.decode(voice[: len(sent)])
    # Rounding depends on where pieces of the file end: by a step of µ-law.
    assert np.all(np.abs(sent - meant) <= 8 + 0.07 * np.abs(meant)), "sample by sample"
    assert said[-1]["mark"] == {"name": "said"}
    signature = requests[0].headers["x-twilio-signature"]
    assert RequestValidator(TOKEN).validate(url, {}, signature)
    heard, rate = read_wav(tmp_path / "out.wav")
    level = int(MULAW.decode(MULAW.encode(answer[:1]))[0])
    assert (rate, np.count_nonzero(heard == level)) == (8000, pytest.approx(4000, abs=3))
    (call,) = events(result, "call")
    assert (call["dialect"], call["encoding"], call["rate"], call["frame_ms"]) == (
        *("twilio", "mulaw", 8000, 20),
    )
    (ended,) = events(result, "ended")
    assert (ended["by"], ended["error"]) == ("server", None)
    assert TOKEN not in result.stdout


async def test_what_twilio_would_complain_of_is_told(talk: Talk) -> None:
    paths: list[str] = []

    async def agent(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        paths.append(websocket.request.path)
        await websocket.recv()
        await websocket.send(b"\0\0")
        await websocket.send('{"event":"media","media":{"payload":"AAAA"}}')

    async with server(agent) as url:
        result = await talk(*QUICK, "--dialect", "twilio", "--url", f"{url}?name=Ann")
        lenient = await talk(
            *(*QUICK, "--dialect", "twilio", "--no-strict", "--url", f"{url}?name=Ann")
        )
    assert paths == ["/ws", "/ws?name=Ann"]
    told = [line.partition("warning: ")[2] for line in result.stdout.splitlines()]
    assert [each for each in told if each.startswith("Twilio")] == [
        "Twilio 31920: the URL has a query, which Twilio does not take: it is "
        "left out here; <Parameter> (--parameter NAME=VALUE) is for that",
        "Twilio 31950: a binary message: Twilio takes text only; it is ignored",
        "Twilio 31951: media: streamSid is missing; it is ignored",
    ]
    assert result.stdout.startswith("call as Twilio on 127.0.0.1:")
    assert "Twilio 31" not in lenient.stdout
    assert "the server sent a malformed message: a binary message" in lenient.stdout


async def test_hanging_up_is_a_stop(talk: Talk) -> None:
    said: list[dict[str, Any]] = []

    async def agent(websocket: ServerConnection) -> None:
        said.extend([json.loads(message) async for message in websocket])

    async with server(agent) as url:
        result = await talk(*QUICK, "--json", "--dialect", "twilio", "--url", url)
    assert said[-1]["event"] == "stop"
    assert said[-1]["stop"] == {
        "accountSid": said[1]["start"]["accountSid"],
        "callSid": said[1]["start"]["callSid"],
    }
    assert events(result, "ended")[0]["by"] == "you"


@pytest.mark.parametrize("dialect", PROVIDERS)
def test_a_conversation_with_the_emulator(run: Run, tmp_path: Path, dialect: str) -> None:
    agent = tmp_path / "agent.wav"
    files = (FILES[0], FILES[1], "--output-file", str(agent), "--speed", "5")
    result = run("talk", "--local", "--json", "--dialect", dialect, *files)
    assert (result.returncode, result.stderr) == (0, "")
    stopped = events(result, "agent_stopped")
    assert True in [each["interrupted"] for each in stopped]
    assert len(stopped) >= 3
    for nothing in ("provider_complaint", "malformed_message", "unknown_message"):
        assert events(result, nothing) == []
    figures = events(result, "ended")[0]["statistics"]
    assert figures["clears"] >= 1
    assert figures["heard"] > 5
    heard, _ = read_wav(agent)
    assert np.abs(heard).max() > 5000


async def test_a_registered_call_is_answered_in_its_dialect_if_it_is_signed(talk: Talk) -> None:
    async with Emulator(auth_token=TOKEN) as emulator:
        call = emulator.register(MULAW, dialect="twilio")
        where = ("--dialect", "twilio", "--url", emulator.url, call.call_id)
        refused = await talk(*QUICK, *where, more={"RETELL_VOICE_AUTH_TOKEN": "another"})
        unsigned = await talk(*QUICK, *where)
        result = await talk(*QUICK, *where, more={"RETELL_VOICE_AUTH_TOKEN": TOKEN})
    assert "403" in complaint(refused, 5)[0]
    assert "there is no X-Twilio-Signature" in complaint(unsigned, 5)[0]
    assert result.returncode == 0, result.stderr
    assert call.call_id not in result.stdout
    assert call.disconnection_reason == "user_hangup"


@pytest.mark.skipif(os.name != "posix", reason="other systems have no pseudo-terminals")
def test_keys_of_the_live_screens_keypad_reach_the_server(env: dict[str, str]) -> None:
    from support.terminal import Terminal  # noqa: PLC0415 - not on every system

    pressed: list[str] = []
    done = threading.Event()

    def agent(websocket: SyncConnection) -> None:
        for message in websocket:
            body = json.loads(message)
            if body["event"] == "dtmf":
                pressed.append(body["dtmf"]["digit"])
            if body["event"] == "stop":
                done.set()

    with serve_sync(agent, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/ws"
        with Terminal("talk", "--dialect", "twilio", "--url", url, *FILES, env=env) as terminal:
            terminal.wait_for("LIVE")
            terminal.type("5")  # the keypad is not open
            terminal.type("t12*#")
            terminal.wait_for("sent  12*#")
            terminal.type("q")
            assert terminal.wait() == 0
        assert done.wait(10)
    assert "".join(pressed) == "12*#"


async def test_a_server_that_refuses_is_asked_what_it_wants_to_see(talk: Talk) -> None:
    def refuse(connection: ServerConnection, _: object) -> Response:
        return connection.respond(HTTPStatus.FORBIDDEN, "who are you?")

    async def never(websocket: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as listening:
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ws"
        result = await talk(*QUICK, "--dialect", "twilio", "--url", url)
    problem, hint = complaint(result, 5)
    assert "403 Forbidden: who are you?" in problem
    assert "RETELL_VOICE_AUTH_TOKEN" in hint


async def test_a_server_that_fails_is_told_of_without_a_call_id(talk: Talk) -> None:
    async def agent(websocket: ServerConnection) -> None:
        await websocket.close(1011, "no model")

    async with server(agent) as url:
        result = await talk(*QUICK, "--dialect", "twilio", "--url", url)
    problem, hint = complaint(result, 5)
    assert "1011 no model" in problem
    assert "call_id" not in hint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--dialect", "twilio"), "there is no server to call: give --url"),
        (("--dialect", "twilo", "--url", "ws://h"), "'twilo' is not one of"),
        (
            ("--dialect", "twilio", "--url", "ws://h", "--rate", "16000"),
            "--rate is for the dialect",
        ),
        (("--dialect", "twilio", "--url", "ws://h", "--agent", "a"), "--agent is for the dialect"),
        (("--dialect", "twilio", "--url", "ws://h", "--parameter", "x"), "is not NAME=VALUE"),
        (("--local", "--parameter", "x=y"), "--parameter is for --dialect"),
        (("--local", "--codec", "PCMU"), "--codec is for --dialect"),
        (("--local", "--no-strict"), "--no-strict is for --dialect"),
        (("--local", "--dialect", "vonage", "--codec", "PCMU"), "--codec: Vonage has no PCMU"),
        (("--dialect", "twilio", "--url", "ws://h", "--metadata", "a=b"), "only for a new call"),
    ],
)
def test_what_does_not_go_together_is_named(
    refuse: Callable[..., str], arguments: tuple[str, ...], words: str
) -> None:
    assert words in refuse("talk", *QUICK, *arguments, code=2)
