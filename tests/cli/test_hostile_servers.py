"""Servers that are up to no good, on the paths beside the Audio WebSocket: what of it is shown."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.answering import answering
from support.disguises import HOSTILE, disguises, harmless
from support.gateway import CALL_ID, KEY, TOKEN, gateway
from support.pipes import FILES, QUICK
from support.rest import answer
from support.rest import server as rest_server
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.emulator import Emulator, Session
from retell_voice.errors import KeyRefused
from retell_voice.kiosk.post import post

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Talk = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]
SAID = f"{HOSTILE} {' '.join([*disguises(CALL_ID), *disguises(TOKEN)])}"
NUMBER = "+15550100\x1b]0;owned\x07"


def check(name: str, text: str) -> None:
    assert harmless(text), name
    for secret in (CALL_ID, TOKEN, KEY):
        for each in disguises(secret):
            assert each.lower() not in text.lower(), name


def everything(result: subprocess.CompletedProcess[str], calls: Path) -> dict[str, str]:
    """Return all that was written of a call, by the names of the files."""
    [directory] = calls.iterdir()
    files = (each for each in directory.iterdir() if each.suffix != ".wav")
    return {"out": result.stdout, "errors": result.stderr} | {e.name: e.read_text() for e in files}


@pytest.fixture
def talk(run: Run) -> Talk:
    async def talk(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(run, "talk", *arguments, **more)

    return talk


@pytest.mark.parametrize("how", ["lines", "json"])
async def test_what_a_gateway_says_on_the_control_channel(
    talk: Talk, tmp_path: Path, how: str
) -> None:
    async def says(session: Any) -> None:
        await session.speaking.wait()
        utterance = {"role": "agent", "content": SAID, "words": [{"word": SAID, "start": 0.0}]}
        for message in (
            json.dumps({"event_type": "update", "transcript": [utterance]}),
            json.dumps({"event_type": "metadata", "metadata": {SAID: [SAID]}}),
            json.dumps({"event_type": SAID[:60]}),
            SAID,
            json.dumps({"type": "status", "state": SAID}),
        ):
            await session.control(message)
        await session.end()

    saying: list[asyncio.Task[None]] = []
    async with gateway() as server, asyncio.timeout(40):
        server.on_session = lambda session: saying.append(asyncio.create_task(says(session)))
        reason = f"{HOSTILE} {' '.join(disguises(CALL_ID))}"
        ended = {"call_id": CALL_ID, "call_status": "ended", "disconnection_reason": reason}
        server.answers["GET", f"get-call/{CALL_ID}"] = [(200, ended)] * 3
        arguments = (
            "--api-url",
            server.url,
            "--agent",
            "agent_1",
            "--record",
            str(tmp_path / "calls"),
        )
        as_json = ("--json",) if how == "json" else ()
        result = await talk(*arguments, *as_json, *FILES, more={"RETELL_API_KEY": KEY})
    assert result.returncode == 0, result.stderr
    shown = everything(result, tmp_path / "calls")
    for name, text in shown.items():
        check(name, text)
    assert "]0;owned" in result.stdout
    assert "]0;owned" in shown["events.jsonl"]


@pytest.mark.parametrize("request_", ["create-web-call", "sessions"])
async def test_what_a_gateway_says_when_it_refuses(talk: Talk, request_: str) -> None:
    secrets = [KEY] if request_ == "create-web-call" else [CALL_ID, TOKEN]
    said = f"{HOSTILE} {' '.join(each for secret in secrets for each in disguises(secret)[2:8])}"
    async with gateway() as server, asyncio.timeout(40):
        server.answers["POST", request_] = [(403, {"message": said})]
        arguments = ("--api-url", server.url, "--agent", "agent_1")
        result = await talk(*arguments, *QUICK, more={"RETELL_API_KEY": KEY})
    assert result.returncode in (5, 7)
    assert "]0;owned" in result.stderr
    check("errors", result.stderr + result.stdout)


@pytest.mark.parametrize("how", ["lines", "json"])
async def test_what_a_phone_server_says(talk: Talk, tmp_path: Path, how: str) -> None:
    async def agent(websocket: ServerConnection) -> None:
        stream = ""
        async for message in websocket:
            stream = json.loads(message).get("streamSid", "")
            if stream:
                break
        for message in (
            json.dumps({"event": HOSTILE, "streamSid": stream}),
            json.dumps({"event": "mark", "streamSid": stream, "mark": {"name": HOSTILE}}),
            json.dumps({"event": "media", "streamSid": HOSTILE, "media": {"payload": HOSTILE}}),
            HOSTILE,
            HOSTILE.encode(),
        ):
            await websocket.send(message)
        await websocket.close(4000, HOSTILE)

    async with serve(agent, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        arguments = ("--dialect", "twilio", "--url", url, "--record", str(tmp_path / "calls"))
        as_json = ("--json",) if how == "json" else ()
        result = await talk(*arguments, *as_json, "--from-number", NUMBER, *QUICK)
    assert result.returncode == 6, result.stderr
    assert "4000 ]0;owned" in result.stderr
    shown = everything(result, tmp_path / "calls")
    for name, text in shown.items():
        check(name, text)


def test_what_a_server_says_on_the_live_screen(env: dict[str, str]) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    from support.terminal import Terminal  # noqa: PLC0415 - not on Windows

    async def agent(session: Session) -> None:
        utterance = {"role": "agent", "content": HOSTILE, "words": []}
        await session.websocket.send(
            json.dumps({"event_type": "update", "transcript": [utterance]})
        )
        await session.websocket.send(json.dumps({"event_type": HOSTILE}))
        await session.websocket.recv()
        await asyncio.sleep(0.5)  # the screen is drawn a few times a second
        await session.websocket.close(4000, HOSTILE)

    async def main() -> bytes:
        async with Emulator(agent=agent) as emulator:
            call_id = emulator.register().call_id
            arguments = ("talk", "--url", emulator.url, *FILES, call_id)
            with Terminal(*arguments, env=env) as terminal:
                await asyncio.to_thread(terminal.wait)
            return terminal.raw

    raw = asyncio.run(main())
    assert b"]0;owned" in raw
    for each in (b"\x1b]0;owned", b"\x07", b"\xc2\x9b", "\u202e".encode(), "\u2066".encode()):
        assert each not in raw.rpartition(b"\x1b[?1049h")[2]


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (("agents",), {"items": [{"agent_id": HOSTILE, "agent_name": HOSTILE}], "has_more": False}),
        (
            ("calls",),
            {
                "items": [
                    {"call_id": HOSTILE * 2, "call_status": HOSTILE, "agent_name": HOSTILE},
                    {"call_id": CALL_ID, "disconnection_reason": HOSTILE, "from_number": HOSTILE},
                ],
                "has_more": False,
            },
        ),
        (
            ("call", CALL_ID),
            {
                "call_id": CALL_ID,
                "call_status": HOSTILE,
                "agent_name": HOSTILE,
                "transcript": HOSTILE,
                "transcript_object": [{"role": HOSTILE, "content": HOSTILE}],
                "call_analysis": {"call_summary": HOSTILE, "user_sentiment": HOSTILE},
                "metadata": {HOSTILE: HOSTILE},
                "public_log_url": f"https://x/{HOSTILE}",
            },
        ),
        (("stop", CALL_ID), {"message": HOSTILE}),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
@pytest.mark.parametrize("status", ["200 OK", "500 Oops", "422 No"])
async def test_what_an_account_holds(
    run: Run, command: tuple[str, ...], body: dict[str, Any], status: str
) -> None:
    known = [KEY, *command[1:]]
    words = f"{HOSTILE} {' '.join(each for one in known for each in disguises(one)[2:8])}"
    said = body if status == "200 OK" else {"message": words}
    async with rest_server(*[answer(json.dumps(said).encode(), status)] * 4) as (url, _):
        more = {"RETELL_API_KEY": KEY, "RETELL_VOICE_API_URL": url}
        result = await asyncio.to_thread(run, *command, more=more)
    assert result.returncode in (0, 7)
    shown = result.stdout + result.stderr
    assert harmless(shown)
    hidden = [KEY] if status == "200 OK" else known  # a call that is over shows its call_id
    for each in (each for one in hidden for each in disguises(one)):
        assert each not in shown


async def test_what_a_kiosks_endpoint_says_when_it_refuses() -> None:
    token = "a-token-of-some-length"
    said = json.dumps({"message": f"{HOSTILE} {' '.join(disguises(token)[2:8])}"}).encode()
    async with rest_server(answer(said, "401 Unauthorized")) as (url, _):
        with pytest.raises(KeyRefused) as caught:
            await post(url, "{}", token)
    assert "]0;owned" in str(caught.value)
    assert harmless(str(caught.value))
    for each in disguises(token):
        assert each not in str(caught.value)


def test_what_a_proxy_says(run: Run) -> None:
    head = f"HTTP/1.1 502 {HOSTILE}\r\nContent-Length: 0\r\n\r\n".encode()
    with answering(head, stays_open=False) as port:
        more = {"https_proxy": f"http://127.0.0.1:{port}"}
        result = run("talk", *QUICK, "--url", "wss://api.example.com/x", CALL_ID, more=more)
    assert result.returncode == 4
    assert "the proxy 127.0.0.1" in result.stderr
    check("errors", result.stderr)
