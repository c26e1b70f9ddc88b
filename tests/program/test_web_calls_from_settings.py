"""Web calls from the settings: what is asked of the server, and what is told when it refuses."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import CALL_ID, KEY, TOKEN, Gateway, gateway

from retell_voice.errors import ConfigError, KeyRefused, RetellVoiceError, TooManyRequests
from retell_voice.program.call_fields import NOTHING
from retell_voice.program.web_calls import is_web_call, new_web_call, web_call_from
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.talk import TalkSettings

CREATE, JOIN = ("POST", "create-web-call"), ("POST", "sessions")


@pytest.fixture
async def server() -> AsyncIterator[Gateway]:
    async with gateway() as server, asyncio.timeout(20):
        yield server


def settings(server: Gateway, agent: str = "agent_1") -> TalkSettings:
    return TalkSettings(
        agent=Sourced(agent, "--agent"),
        api_key=Sourced(KEY, "RETELL_API_KEY"),
        api_url=Sourced(server.url, "--api-url"),
        updates=Sourced(False),
    )


async def refused(server: Gateway, agent: str = "agent_1") -> RetellVoiceError:
    with pytest.raises(RetellVoiceError) as caught:
        await new_web_call(settings(server, agent), NOTHING).connect(time.monotonic)
    for secret in (KEY, CALL_ID, TOKEN):
        assert secret not in f"{caught.value!r}{caught.value.hint}"
    return caught.value


def agents(*named: tuple[str, str]) -> dict[str, Any]:
    items = [
        {"agent_id": id_, "agent_name": name, "channel": "voice", "is_suspended": False}
        for id_, name in named
    ]
    return {"items": items, "has_more": False}


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"message": "bad key"}, "does not accept the API key: bad key"),
        (402, {"message": "no credit"}, "no credit"),
        (403, {"message": "not yours"}, "not yours"),
        (404, {"message": "no such agent"}, "knows no agent agent_1: no such agent"),
        (422, {"message": "odd"}, "does not accept the request: odd"),
        (429, {"message": "busy"}, "too many requests or calls"),
        (500, b"<html>", "HTTP 500"),
        (200, [], "did not answer as Retell's REST API does"),
        (201, {"call_id": "c", "access_token": "t"}, "LiveKit"),
    ],
)
async def test_a_server_that_creates_no_call_is_quoted_and_asked_once(
    server: Gateway, status: int, body: Any, says: str
) -> None:
    server.answers[CREATE] = [(status, body)]
    error = await refused(server)
    assert says in str(error)
    assert error.exit_code == 7
    assert server.requests == [("POST", "/v3/create-web-call")]
    if isinstance(error, KeyRefused):
        assert error.hint.startswith("it came from RETELL_API_KEY; ")


@pytest.mark.parametrize(
    ("status", "says"), [(401, "one join"), (403, "one join"), (409, "joined once")]
)
async def test_a_token_that_has_expired_or_was_used_is_told(
    server: Gateway, status: int, says: str
) -> None:
    server.answers[JOIN] = [(status, {"message": "token"})]
    error = await refused(server)
    assert f"answered HTTP {status} X: token" in str(error)
    assert says in error.hint
    assert error.exit_code == 5
    assert server.requests[-1] == ("POST", f"/v2/stop-call/{CALL_ID}")


async def test_a_server_that_asks_to_wait_is_waited_for_as_long_as_it_says(server: Gateway) -> None:
    server.answers[CREATE] = [(429, {}, "Retry-After: 7\r\n"), (429, {}, "Retry-After: 61\r\n")]
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    told: list[float] = []
    web = new_web_call(
        settings(server), NOTHING, waiting=lambda _, seconds: told.append(seconds), sleep=sleep
    )
    with pytest.raises(TooManyRequests):
        await web.connect(time.monotonic)
    assert waited == told == [7.0]


@pytest.mark.parametrize("agent", ["agent_0123", "oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD"])
async def test_an_id_is_not_looked_up(server: Gateway, agent: str) -> None:
    server.answers[CREATE] = [(404, {})]
    await refused(server, agent)
    assert server.requests == [("POST", "/v3/create-web-call")]
    assert server.bodies[0] == {"agent_id": agent}


async def test_a_name_that_nobody_has_costs_no_call(server: Gateway) -> None:
    server.answers["POST", "list-agents"] = [(200, agents(("agent_8", "Back office")))]
    error = await refused(server, "office")
    assert "no agent is named 'office'" in str(error)
    assert "Back office (agent_8)" in error.hint
    assert len(server.requests) == 1


async def test_a_key_that_is_refused_with_a_name_is_told_like_any_other(server: Gateway) -> None:
    server.answers["POST", "list-agents"] = [(401, {"message": "no"})]
    error = await refused(server, "office")
    assert error.hint.startswith("it came from RETELL_API_KEY; ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("{}", "transport is not 'gateway'"),
        (json.dumps({"transport": "gateway", "call_id": "c"}), "access_token"),
        (json.dumps({"transport": "livekit", "call_id": "c", "access_token": "t"}), "LiveKit"),
    ],
)
def test_what_is_no_admission_is_told(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "call.json").write_text(text)
    with pytest.raises(ConfigError, match=says):
        web_call_from(TalkSettings(), str(tmp_path / "call.json"))


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), (b"\xff", "decode")])
def test_a_file_that_cannot_be_read_is_told(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "call.json").write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        web_call_from(TalkSettings(), str(tmp_path / "call.json"))


@pytest.mark.parametrize(
    ("given", "is_web"),
    [
        ({}, False),
        ({"agent": ("a", "--agent")}, True),
        ({"agent": ("a", "--agent"), "url": ("ws://x", "c.toml line 1")}, False),
        ({"agent": ("a", "--agent"), "transport": ("websocket", "c.toml line 1")}, False),
        (
            {
                "agent": ("a", "--agent"),
                "url": ("ws://x", "c.toml line 1"),
                "transport": ("webrtc", "--transport"),
            },
            True,
        ),
    ],
)
def test_an_agent_is_called_as_is_usual_today_unless_told_otherwise(
    given: dict[str, tuple[str, str]], is_web: bool
) -> None:
    sourced: dict[str, Any] = {name: Sourced(*each) for name, each in given.items()}
    assert is_web_call(TalkSettings(**sourced)) == is_web
