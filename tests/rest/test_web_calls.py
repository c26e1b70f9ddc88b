"""Web calls over REST, against servers that give one answer each."""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.rest import answer, server

from retell_voice.errors import (
    ConfigError,
    ConnectError,
    FieldRefused,
    KeyRefused,
    NotFound,
    RestError,
    TooManyRequests,
)
from retell_voice.protocol.gateway import CALLER
from retell_voice.rest import (
    api,
    create_web_call,
    listen_live,
    stop_call,
    take_over,
    update_live,
)
from retell_voice.secret import mask

KEY = "key_1234567890abcdef"
CALL_ID = "call_1234567890abcdef"
TOKEN = "token_1234567890abcdef"
CREATED = {
    "call_id": CALL_ID,
    "access_token": TOKEN,
    "transport": "gateway",
    "ice_servers": [],
    "expires_at": 1_790_000_030_000,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_PAUSES", (0.001, 0.001))


def said(body: Any, status: str = "200 OK") -> bytes:
    return answer(json.dumps(body).encode(), status)


async def test_a_call_is_created_with_all_it_can_have() -> None:
    async with server(said(CREATED, "201 Created")) as (url, heads):
        admission = await create_web_call(
            "agent_1",
            api_key=KEY,
            api_url=url,
            agent_version="latest_published",
            metadata={"id": 7},
            dynamic_variables={"name": "Ann"},
            current_node_id="n",
            current_state="s",
            agent_override={"agent": {"language": "de-DE"}},
        )
    assert heads == ["POST /v3/create-web-call HTTP/1.1\r\n"]
    assert json.loads(heads.bodies[0]) == {
        "agent_id": "agent_1",
        "agent_version": "latest_published",
        "metadata": {"id": 7},
        "retell_llm_dynamic_variables": {"name": "Ann"},
        "current_node_id": "n",
        "current_state": "s",
        "agent_override": {"agent": {"language": "de-DE"}},
    }
    assert (admission.call_id, admission.access_token) == (CALL_ID, TOKEN)
    assert (admission.identity, admission.expires_at) == (CALLER, 1_790_000_030.0)
    assert CALL_ID not in repr(admission)
    assert TOKEN not in repr(admission)


async def test_no_call_is_created_twice() -> None:
    for status in ("500 Internal Server Error", "503 Service Unavailable"):
        async with server(said({}, status), said(CREATED)) as (url, heads):
            with pytest.raises(RestError, match="answered HTTP 50") as caught:
                await create_web_call("agent_1", api_key=KEY, api_url=url)
            assert caught.value.temporary
            assert len(heads) == 1
    async with server(b"", said(CREATED)) as (url, heads):  # it broke off after the request
        with pytest.raises(ConnectError):
            await create_web_call("agent_1", api_key=KEY, api_url=url)
        assert len(heads) == 1
    async with server(None, said(CREATED)) as (url, heads):
        with pytest.raises(ConnectError, match=r"did not answer within 0\.05 s"):
            await create_web_call("agent_1", api_key=KEY, api_url=url, timeout=0.05)
        assert len(heads) <= 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        ("401 Unauthorized", {"message": "bad key"}, KeyRefused, "accept the API key: bad key"),
        ("402 Payment Required", {"error": "no credit"}, RestError, "requires payment: no credit"),
        ("403 Forbidden", {"error_message": "no"}, KeyRefused, "not allow this API key .*: no"),
        ("404 Not Found", {"message": "gone"}, NotFound, "knows no agent agent_1: gone"),
        ("422 X", {"message": "Cannot find agent"}, NotFound, "knows no agent agent_1: Cannot"),
        ("422 X", {"message": "agent_version is odd"}, FieldRefused, "not accept agent_version"),
        ("400 Bad Request", {"message": "odd"}, FieldRefused, "not accept the request: odd"),
        ("429 X\r\nRetry-After: 7", {}, TooManyRequests, "too many requests or calls"),
        ("500 X", {"message": "oops"}, RestError, "HTTP 500 Internal Server Error: oops"),
    ],
)
async def test_each_refusal_is_told(
    status: str, body: dict[str, str], kind: type[RestError], says: str
) -> None:
    async with server(said(body, status)) as (url, _):
        with pytest.raises(kind, match=says) as caught:
            await create_web_call("agent_1", api_key=KEY, api_url=url, agent_version=3)
    assert caught.value.status == int(status[:3])
    assert caught.value.exit_code == 7
    if isinstance(caught.value, TooManyRequests):
        assert (caught.value.retry_after, caught.value.hint) == (7.0, "wait 7 s")


async def test_of_several_texts_of_an_error_the_first_of_retells_order_is_shown() -> None:
    body = {"error": "c", "message": "b", "error_message": "a"}
    async with server(said(body, "500 X")) as (url, _):
        with pytest.raises(RestError, match=r": a$"):
            await create_web_call("agent_1", api_key=KEY, api_url=url)


@pytest.mark.parametrize("transport", ["livekit", None])
async def test_a_livekit_call_is_told_clearly(transport: str | None) -> None:
    async with server(said({**CREATED, "transport": transport})) as (url, _):
        with pytest.raises(RestError, match="runs on LiveKit") as caught:
            await create_web_call("agent_1", api_key=KEY, api_url=url)
    assert "not supported" in caught.value.hint


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (answer(b"hello", kind="text/html"), "it is not a JSON object"),
        (answer(b"[]"), "it is not a JSON object"),
        (said({**CREATED, "access_token": None}), "access_token is missing"),
        (said({**CREATED, "transport": "smoke"}), "transport is not 'gateway'"),
    ],
)
async def test_an_answer_that_makes_no_sense(sent: bytes, says: str) -> None:
    async with server(sent) as (url, _):
        with pytest.raises(RestError, match=says) as caught:
            await create_web_call("agent_1", api_key=KEY, api_url=url)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


async def test_a_call_is_stopped() -> None:
    async with server(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as (url, heads):
        await stop_call("a/b", api_key=KEY, api_url=url)
    assert heads == ["POST /v2/stop-call/a%2Fb HTTP/1.1\r\n"]


async def test_a_call_that_is_not_going_on_cannot_be_stopped() -> None:
    refusal = said({"message": f"call {CALL_ID} is not ongoing"}, "422 X")
    async with server(refusal) as (url, _):
        with pytest.raises(FieldRefused, match=f"call {mask(CALL_ID)} is not ongoing"):
            await stop_call(CALL_ID, api_key=KEY, api_url=url)


async def test_a_listener_is_let_in() -> None:
    listening = {**CREATED, "participant_id": "p1", "room_name": "r", "gateway_ip": "1.2.3.4"}
    del listening["call_id"]
    async with server(said(listening)) as (url, heads):
        admission = await listen_live(CALL_ID, api_key=KEY, api_url=url)
    assert heads == [f"POST /v2/listen-live-call/{CALL_ID} HTTP/1.1\r\n"]
    assert (admission.call_id, admission.identity) == (CALL_ID, "p1")


async def test_a_listener_takes_over() -> None:
    async with server(said({"success": True})) as (url, heads):
        await take_over(CALL_ID, "p1", api_key=KEY, api_url=url)
    assert heads == [f"POST /v2/take-over-live-call/{CALL_ID} HTTP/1.1\r\n"]
    assert json.loads(heads.bodies[0]) == {"participant_id": "p1"}


async def test_a_call_is_steered() -> None:
    async with server(said({"success": True})) as (url, heads):
        await update_live(
            CALL_ID,
            api_key=KEY,
            api_url=url,
            additional_context="be kind",
            trigger_response=True,
            metadata={},
            dynamic_variables={"a": "b"},
        )
    assert heads == [f"PATCH /v2/update-live-call/{CALL_ID} HTTP/1.1\r\n"]
    assert json.loads(heads.bodies[0]) == {
        "call_control": {"additional_context": "be kind", "trigger_response": True},
        "fields_to_override": {"metadata": {}, "override_dynamic_variables": {"a": "b"}},
    }


async def test_to_change_nothing_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="nothing to change"):
        await update_live(CALL_ID, api_key=KEY, additional_context="")


Request = Callable[[str], Awaitable[Any]]
LIVE: list[Request] = [
    lambda url: listen_live(CALL_ID, api_key=KEY, api_url=url),
    lambda url: take_over(CALL_ID, "p1", api_key=KEY, api_url=url),
    lambda url: update_live(CALL_ID, api_key=KEY, api_url=url, trigger_response=True),
]


@pytest.mark.parametrize("request_", LIVE)
async def test_what_must_not_happen_twice_is_tried_once(request_: Request) -> None:
    async with server(said({}, "503 X"), said({"success": True})) as (url, heads):
        with pytest.raises(RestError, match="HTTP 503"):
            await request_(url)
        assert len(heads) == 1


@pytest.mark.parametrize("request_", LIVE[1:])
async def test_what_was_not_done_is_not_taken_for_done(request_: Request) -> None:
    for body in ({}, {"success": False}, {"success": "true"}):
        async with server(said(body)) as (url, _):
            with pytest.raises(RestError, match="does not say that it was done"):
                await request_(url)


@pytest.mark.parametrize("request_", LIVE)
async def test_an_unknown_call_is_named_but_not_whole(request_: Request) -> None:
    async with server(said({"message": f"no {CALL_ID}"}, "404 Not Found")) as (url, _):
        with pytest.raises(NotFound, match=f"knows no call {mask(CALL_ID)}") as caught:
            await request_(url)
    assert CALL_ID not in "".join(traceback.format_exception(caught.value))


async def test_a_request_that_is_cancelled_ends_at_once() -> None:
    async with server(None) as (url, heads):
        creating = asyncio.create_task(create_web_call("a", api_key=KEY, api_url=url))
        await heads.asked.wait()
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
