"""A server that is up to no good: what of it reaches a terminal, a log, a file, a page."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from support.answering import answering
from support.disguises import HOSTILE, disguises, harmless
from support.pipes import QUICK
from support.rest import answer
from support.rest import server as rest_server

from retell_voice import register_call
from retell_voice.emulator import Emulator, Session
from retell_voice.errors import RestError
from retell_voice.secret import hiding

Run = Callable[..., "subprocess.CompletedProcess[str]"]
KEY = "key_0123456789abcdef"


@pytest.mark.parametrize("secret", ["call_0123456789abcdef", "a/b?c&d+e<f>g~", "ключ-1234567890"])
def test_a_secret_is_masked_however_it_is_written(secret: str) -> None:
    hide = hiding((secret,))
    for each in disguises(secret):
        hidden = hide(f"before {each} after")
        assert "…" in hidden, each
        assert hidden.startswith("before")
        assert hidden.endswith("after")
        for begin in range(len(secret) - 7):
            assert secret[begin : begin + 8].lower() not in hidden.lower()
    assert hide("nothing of it: call_0, %41 \\u0041") == "nothing of it: call_0, %41 \\u0041"


def test_a_short_secret_is_masked_where_it_stands_alone() -> None:
    assert hiding(("c1",))("c1, abc1d, /c1/ %631") == "…, abc1d, /…/ …"


def test_secrets_that_begin_alike_are_masked_whole() -> None:
    hide = hiding(("", "abcdefghijkl", "abcdefghijklmnop"))
    assert hide("abcdefghijklmnop abcdefghijkl") == "…mnop …ijkl"


async def talk(env: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", "talk", *arguments),
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


@pytest.mark.parametrize("how", ["lines", "json"])
async def test_what_a_hostile_server_says_on_every_path(
    env: dict[str, str], tmp_path: Path, how: str
) -> None:
    async def agent(session: Session) -> None:
        call_id = session.call.call_id
        said = f"{HOSTILE} {' '.join(disguises(call_id))}"
        utterance = {"role": "agent", "content": said, "words": [{"word": said, "start": 0.0}]}
        update = {"event_type": "update", "transcript": [utterance], "turntaking": "user_turn"}
        for message in (
            json.dumps(update),
            json.dumps(update, ensure_ascii=False),
            json.dumps({"event_type": "metadata", "metadata": {said: [said]}}),
            json.dumps({"event_type": said[:60]}),
            said,
            '{"event_type": "update", "transcript": ' + said,
            json.dumps({"event_type": "update", "transcript": said}),
        ):
            await session.websocket.send(message)
        await session.websocket.close(4000, f"{HOSTILE} {quote(call_id)}"[:100])

    record = tmp_path / "calls"
    as_json = ("--json",) if how == "json" else ()
    async with Emulator(agent=agent) as emulator:
        call_id = emulator.register().call_id
        arguments = (*as_json, "--record", str(record), "--url", emulator.url, *QUICK, call_id)
        code, out, errors = await talk(env, *arguments)
    assert code == 6
    assert "4000 ]0;owned" in errors
    [directory] = record.iterdir()
    texts = {"out": out, "errors": errors}
    texts |= {each.name: each.read_text() for each in directory.iterdir() if each.suffix != ".wav"}
    for name, text in texts.items():
        assert harmless(text), name
        assert call_id.lower() not in text.lower(), name
        assert quote(call_id).lower() not in text.lower(), name
        assert f"…{call_id[-4:]}" in text.replace("\\u2026", "…"), name
    if how == "json":
        unknown = [e for e in map(json.loads, out.splitlines()) if e["event"] == "unknown_message"]
        assert any(HOSTILE in each["message"] for each in unknown), "what is data stays as it came"
    report = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", "report", str(directory)), env=env, stdout=-1
    )
    await report.communicate()
    page = (directory / "report.html").read_text()
    assert harmless(page)
    assert "]0;owned" in page
    assert call_id not in page


@pytest.mark.parametrize("kind", ["websocket", "rest"])
def test_a_refusal_that_quotes_the_secret_in_disguise(run: Run, kind: str) -> None:
    call_id = "call_0123456789abcdef"
    secret = call_id if kind == "websocket" else KEY
    body = f"{HOSTILE} {' '.join(disguises(secret)[2:8])}".encode()
    head = b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n" % len(body)
    with answering(head + body, stays_open=False) as port:
        arguments = ["--agent", "x", "--api-url", f"http://127.0.0.1:{port}"]
        if kind == "websocket":
            arguments = ["--url", f"ws://127.0.0.1:{port}/x", call_id]
        result = run("talk", *QUICK, *arguments, more={"RETELL_API_KEY": KEY})
    assert result.returncode in (5, 7)
    assert "]0;owned" in result.stderr
    assert harmless(result.stderr)
    for each in disguises(secret):
        assert each not in result.stderr


@pytest.mark.parametrize(
    "call_id",
    ["\x1b]0;owned\x07", "-" * 12, "--help", "a b", "$(reboot)", "a\nb", "x" * 300, "../../x"],
)
async def test_a_call_id_that_is_none_gets_nowhere(call_id: str) -> None:
    """``register`` prints it, and it goes into URLs and onto command lines."""
    body = json.dumps({"call_id": call_id, "audio_encoding": "s16le", "sample_rate": 24000})
    async with rest_server(answer(body.encode(), "201 Created")) as (url, _):
        with pytest.raises(RestError, match="its call_id has invalid characters"):
            await register_call("agent", api_key=KEY, api_url=url)
