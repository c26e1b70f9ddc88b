"""What the server knows of a call that is over."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from support.rest import answer, server

from retell_voice.cli import details
from retell_voice.cli.details import key_for, lines, tell, to_json
from retell_voice.program.signals import Interrupts
from retell_voice.rest import CallDetails
from retell_voice.rest.sdk import load_sdk
from retell_voice.secret import Secret
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.talk import TalkSettings


@pytest.fixture(scope="module", autouse=True)
def _sdk() -> None:
    load_sdk()  # takes a while, which a lookup does not have


KEY = Secret("key_1234567890abcdef")
CALL_ID = "call_0123456789abcdef"
HOME = Sourced("wss://api.retellai.com/audio-websocket", "--url")
AWAY = Sourced("wss://host/audio-websocket", "--url")

BARE = CallDetails(
    call_id=CALL_ID,
    agent_id=None,
    status="ongoing",
    disconnection_reason=None,
    started=None,
    ended=None,
    duration=None,
    transcript=None,
    summary=None,
    sentiment=None,
    successful=None,
    cost=None,
    latency=None,
    recording_url=None,
    body={"call_id": CALL_ID},
)
FULL = replace(
    BARE,
    status="ended",
    disconnection_reason="user_hangup",
    duration=83.2,
    summary="A call\nabout\x1b[2J tea.",
    sentiment="Positive",
    successful=False,
    cost=7.5,
    latency=0.84,
    recording_url="https://host/secret.wav",
)


def test_all_there_is() -> None:
    assert lines(FULL) == [
        "according to the server: user_hangup, length 01:23, "
        "the agent answered after 0.8 s (median), cost $0.07",
        "summary: A call about[2J tea.",
        "user sentiment: Positive, not successful",
    ]


def test_nearly_nothing() -> None:
    assert lines(BARE) == ["according to the server: ongoing"]
    assert lines(replace(BARE, successful=True))[1:] == ["successful"]


def test_json_has_all_but_what_lets_others_in() -> None:
    shown = json.loads(to_json(FULL))
    assert shown["event"] == "call_details"
    assert shown["call_id"] == "…cdef"
    assert (shown["duration"], shown["cost"], shown["successful"]) == (83.2, 7.5, False)
    assert CALL_ID not in to_json(FULL)
    assert "secret.wav" not in to_json(FULL)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, True),
        ({"url": HOME}, True),
        ({"url": AWAY}, False),
        ({"url": AWAY, "api_url": Sourced("https://other", "--api-url")}, True),
        ({"url": AWAY, "agent": Sourced("a", "--agent")}, True),
        ({"local": Sourced(True, "--local")}, False),
        ({"api_key": Sourced(None)}, False),
    ],
)
def test_where_a_call_is_looked_up(given: dict[str, Any], wanted: bool) -> None:
    settings = TalkSettings(**{"api_key": Sourced(KEY, "RETELL_API_KEY")} | given)
    assert key_for(settings) == (KEY if wanted else None)


def body(status: str) -> bytes:
    return answer(json.dumps({"call_status": status}).encode())


async def told(api_url: str, *, as_json: bool = False) -> None:
    settings = TalkSettings(api_url=Sourced(api_url, "--api-url"), json=Sourced(as_json, "--json"))
    interrupts = Interrupts(lambda: None)
    await asyncio.to_thread(tell, CALL_ID, KEY, settings, interrupts)


async def test_it_is_asked_until_the_call_is_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(details, "_PAUSE", 0.01)
    async with server(body("ongoing"), body("ongoing"), body("ended")) as (url, heads):
        await told(url)
    assert capsys.readouterr() == ("       according to the server: ended\n", "")
    assert len(heads) == 3


async def test_it_is_told_as_it_is_when_that_takes_too_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def get_call(call_id: str, **_: object) -> CallDetails:
        asked.append(call_id)
        return BARE

    monkeypatch.setattr(details, "get_call", get_call)
    monkeypatch.setattr(details, "LOOKUP_TIMEOUT", 0.01)
    monkeypatch.setattr(details, "_PAUSE", 60.0)
    await told("http://127.0.0.1:1")
    assert capsys.readouterr() == ("       according to the server: ongoing\n", "")
    assert asked == [CALL_ID]


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_server_that_does_not_answer_costs_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    monkeypatch.setattr(details, "LOOKUP_TIMEOUT", 0.2)
    async with server(None, None, None) as (url, _):
        await told(url, as_json=as_json)
    out, errors = capsys.readouterr()
    said = "network: 127.0.0.1 did not answer within 0.2 s"
    assert errors.startswith(f"retell-voice: no details of the call: {said}\n")
    if as_json:
        shown = json.loads(out)
        assert (shown["event"], shown["error"]["message"]) == ("call_details", said)
    else:
        assert out == ""


async def test_ctrl_c_ends_the_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    interrupts = Interrupts(lambda: None)
    async with server(None) as (url, heads):
        settings = TalkSettings(api_url=Sourced(url, "--api-url"))
        telling = asyncio.create_task(asyncio.to_thread(tell, CALL_ID, KEY, settings, interrupts))
        await heads.asked.wait()
        interrupts._take(2, None)
        await telling
    assert capsys.readouterr() == ("", "")
