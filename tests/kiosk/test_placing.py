"""Sources of calls: commands and endpoints of the owner's, good ones and others."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.kiosk import KEY, settings
from support.rest import answer, server

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.engine.web_call import WebCall
from retell_voice.errors import (
    ConfigError,
    ConnectError,
    KeyRefused,
    Rejected,
    RestError,
    RetellVoiceError,
    TooManyRequests,
)
from retell_voice.kiosk import placing
from retell_voice.kiosk.credentials import api_key, private_file
from retell_voice.kiosk.joining import Joining, read_joining
from retell_voice.kiosk.placing import call_source
from retell_voice.kiosk.states import Event
from retell_voice.kiosk.verdict import finding_of, result_of, wait_for, words_of

URL, AUDIO = "wss://host/audio-websocket", AudioFormat()
CALL_ID = "call_1234567890abcdef"


@pytest.mark.parametrize(
    ("text", "joining"),
    [
        (f"{CALL_ID}\n", Joining(CALL_ID, URL, AUDIO)),
        (f'"{CALL_ID}"', Joining(CALL_ID, URL, AUDIO)),
        (f'{{"call_id": "{CALL_ID}", "agent_id": "x"}}', Joining(CALL_ID, URL, AUDIO)),
        (
            json.dumps({"call_id": CALL_ID, "url": "ws://h/a", "encoding": "mulaw", "rate": 8000}),
            Joining(CALL_ID, "ws://h/a", AudioFormat(Encoding.MULAW, 8000)),
        ),
        (
            json.dumps({"call_id": CALL_ID, "audio_encoding": "s16le", "sample_rate": 16000}),
            Joining(CALL_ID, URL, AudioFormat(rate=16000)),
        ),
    ],
)
def test_what_lets_one_join(text: str, joining: Joining) -> None:
    found = read_joining(text, url=URL, audio=AUDIO)
    assert found == joining
    assert CALL_ID not in repr(found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no call_id"),
        ("an error happened", "no call_id"),
        ("{", "neither"),
        ("{}", "no call_id"),
        ('{"call_id": 7}', "no call_id"),
        ('{"call_id": "a", "url": "http://h"}', "no call can be joined at"),
        ('{"call_id": "a", "url": "wss://[h"}', "no call can be joined at"),
        ('{"call_id": "a", "rate": "fast"}', "no usable audio format"),
        ('{"call_id": "a", "encoding": ["x"]}', "no usable audio format"),
        ("x" * 70000, "too long"),
    ],
)
def test_what_does_not(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_joining(text, url=URL, audio=AUDIO)


@given(
    st.text()
    | st.dictionaries(
        st.sampled_from(["call_id", "url", "encoding", "rate", "sample_rate", "audio_encoding"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
    ).map(json.dumps)
)
def test_anything_lets_one_join_or_is_refused(text: str) -> None:
    try:
        found = read_joining(text, url=URL, audio=AUDIO)
    except ConfigError:
        return
    assert isinstance(found, Joining)
    assert found.call_id
    assert found.url.startswith(("ws://", "wss://"))


def a_command(tmp_path: Path, code: str) -> str:
    file = tmp_path / "come to a call.py"
    file.write_text(code)
    return f"{sys.executable} '{file}'"


async def test_a_command_comes_to_a_call_and_knows_who_wants_it(tmp_path: Path) -> None:
    code = "import os, json; print(json.dumps({'call_id': os.environ['RETELL_VOICE_TRIGGER']}))"
    source = call_source(settings(agent=None, call_command=a_command(tmp_path, code)))
    await source.check()
    route = await source.place("call_of_a_button")
    assert route.near_end.rate == 8000
    assert "call_of" not in repr(route)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("raise SystemExit('no such user')", ConfigError, "failed with 1: no such user"),
        ("raise SystemExit(75)", ConnectError, "failed with 75"),
        ("print('not a call id')", RestError, "no call_id"),
        ("import time; time.sleep(60)", ConnectError, "did not end within"),
    ],
)
async def test_a_command_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[Exception], says: str
) -> None:
    monkeypatch.setattr(placing, "_COMMAND_SECONDS", 0.5 if "sleep" in code else 15.0)
    source = call_source(settings(agent=None, call_command=a_command(tmp_path, code)))
    began = time.monotonic()
    with pytest.raises(kind, match=says):
        await source.place("a test")
    assert time.monotonic() - began < 20


async def test_only_the_end_of_what_a_command_writes_is_kept() -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(b"x" * 200_000 + b"end")
    stream.feed_eof()
    kept = await placing._end_of(stream)
    assert (len(kept), kept[-4:]) == (65536, b"xend")


async def test_a_command_may_come_to_a_web_call(tmp_path: Path) -> None:
    answer = {"call_id": CALL_ID, "access_token": "a-token", "transport": "gateway"}
    command = a_command(tmp_path, f"print({json.dumps(json.dumps(answer))})")
    route = await call_source(settings(agent=None, call_command=command)).place("a test")
    assert isinstance(route, WebCall)
    assert route.call_id == CALL_ID
    assert CALL_ID not in repr(route)
    with pytest.raises(ConfigError, match="no web call that can be joined"):
        read_joining('{"call_id": "a", "access_token": "b"}', url=URL, audio=AUDIO)


async def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    (file := tmp_path / "plain").write_text("#!/bin/sh\necho a_call\n")
    for command, says in (
        ("/nowhere/x", "command /nowhere/x: No such file"),
        ("no-such-command-at-all", "not found in PATH"),
        (str(tmp_path), "is a directory"),
        (str(file), "not executable"),
    ):
        with pytest.raises(ConfigError, match=says):
            call_source(settings(agent=None, call_command=command))
    file.chmod(0o755)
    source = call_source(settings(agent=None, call_command=str(file)))
    await source.check()
    await source.place("a test")
    file.unlink()  # while the kiosk runs: a look finds it missing, too, and not only a call
    for looked in (source.check, lambda: source.place("a test")):
        with pytest.raises(ConfigError, match="No such file"):
            await looked()
    file.write_text("#!/bin/sh\necho a_call\n")
    file.chmod(0o755)
    await source.check()
    with pytest.raises(ConfigError, match="cannot be read"):
        call_source(settings(agent=None, call_command="'"))


async def test_an_endpoint_comes_to_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "retell-call-token").write_text("a-token\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    async with server(answer(f'{{"call_id": "{CALL_ID}"}}'.encode())) as (url, heads):
        variables = {"place": "the hall"}
        source = call_source(settings(agent=None, call_url=f"{url}/come?x=1", variables=variables))
        route = await source.place("a button")
    assert heads[0].startswith("POST /come?x=1 ")
    assert json.loads(heads.bodies[0]) == {"trigger": "a button", "variables": variables}
    assert CALL_ID not in repr(route)


async def test_an_endpoint_is_looked_at_without_being_asked() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        await call_source(settings(agent=None, call_url=f"http://127.0.0.1:{port}")).check()
        await asyncio.sleep(0.05)
    assert asked in ([], [b""])


@pytest.mark.parametrize(
    ("status", "kind", "event"),
    [
        ("401 Unauthorized", KeyRefused, Event.REFUSED),
        ("404 Not Found", RestError, Event.REFUSED),
        ("302 Found", RestError, Event.REFUSED),
        ("429 Too Many Requests", TooManyRequests, Event.CUT_OFF),
        ("503 Service Unavailable", RestError, Event.CUT_OFF),
    ],
)
async def test_an_endpoint_that_refuses(status: str, kind: type[Exception], event: Event) -> None:
    async with server(answer(b'{"message": "because"}', status)) as (url, _):
        with pytest.raises(kind, match=r"answered \d+ because") as caught:
            await call_source(settings(agent=None, call_url=url)).place("a test")
    assert result_of(caught.value) is event


async def test_an_endpoint_that_is_not_there(unused_tcp_port: int) -> None:
    source = call_source(settings(agent=None, call_url=f"http://127.0.0.1:{unused_tcp_port}"))
    for work in (source.check, lambda: source.place("a test")):
        with pytest.raises(ConnectError, match="refused the connection") as caught:
            await work()
        assert finding_of(caught.value) is Event.UNREACHED


@pytest.mark.parametrize("url", ["http://localhost.evil.test/", "http://127.0.0.1.evil.test"])
def test_a_token_goes_nowhere_in_the_clear(url: str) -> None:
    with pytest.raises(ConfigError, match="must begin with https"):
        call_source(settings(agent=None, call_url=url))


def test_the_key_comes_from_whoever_keeps_it_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert api_key(settings()).value == KEY
    file = tmp_path / "key"
    file.write_text(" key_of_the_file \n")
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="may be read by others"):
        api_key(settings(api_key_file=str(file)))
    file.chmod(0o400)
    found = api_key(settings(api_key_file=str(file)))
    assert (found.value, found.source) == ("key_of_the_file", str(file))
    assert "key_of_the" not in repr(found)
    (tmp_path / "retell-api-key").write_text("key_of_systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert api_key(settings(api_key_file=str(file))).value == "key_of_systemd"
    (tmp_path / "retell-api-key").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="it is no text"):
        api_key(settings())
    with pytest.raises(ConfigError, match="No such file"):
        private_file(str(tmp_path / "nowhere"), "x")


def test_no_key_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr("retell_voice.kiosk.credentials.find_key", lambda given: given)
    with pytest.raises(ConfigError, match="no API key"):
        api_key(settings(api_key=None))
    assert os.environ.get("CREDENTIALS_DIRECTORY") is None


@pytest.mark.parametrize(
    ("error", "result", "finding"),
    [
        (None, Event.OVER, Event.WELL),
        (ConnectError("no such host"), Event.CUT_OFF, Event.UNREACHED),
        (Rejected("404", status=404), Event.REFUSED, Event.UNWELL),
        (Rejected("503", status=503), Event.CUT_OFF, Event.UNREACHED),
        (Rejected("closed", code=1013), Event.CUT_OFF, Event.UNREACHED),
        (RestError("402", status=402), Event.REFUSED, Event.UNWELL),
        (ConfigError("no key"), Event.REFUSED, Event.UNWELL),
        (ZeroDivisionError(), Event.REFUSED, Event.UNWELL),
    ],
)
def test_verdicts(error: Any, result: Event, finding: Event) -> None:
    assert (result_of(error), finding_of(error)) == (result, finding)
    if error is not None:
        is_defect = words_of(error).startswith("a defect")
        assert is_defect is not isinstance(error, RetellVoiceError)
    assert wait_for(TooManyRequests("x", status=429, retry_after=3.0)) == 3.0
    assert wait_for(TooManyRequests("x", status=429, retry_after=1e9)) == 3600.0
    assert wait_for(error) == 0.0
