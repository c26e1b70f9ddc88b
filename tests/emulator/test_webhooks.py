"""Webhooks: signed as Retell's own SDK verifies, in order, tried again, and never in the way."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.callers import join
from support.receiver import Receiver
from support.sdk import verify

from retell_voice.emulator import Emulator, RegisteredCall, silent_agent, webhooks
from retell_voice.emulator.after_call import AfterCall
from retell_voice.emulator.calls import Calls
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.rest.call_json import call_body
from retell_voice.emulator.server_events import ServerEvents, WebhookFailed, WebhookSent
from retell_voice.emulator.webhooks import DEFAULT_EVENTS, Webhooks, sign, webhook_body
from retell_voice.errors import ConfigError
from retell_voice.events import Utterance, Word

KEY = "key_1234567890abcdef"


class Sender:
    """Webhooks, and what they tell."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.told: list[tuple[str, str]] = []
        self.news = asyncio.Event()
        self.webhooks = Webhooks(url, KEY, self._tell, **settings)

    def _tell(self, kind: Callable[..., Any], call: RegisteredCall, **details: Any) -> None:
        self.told.append((call.agent_id, str(kind(call=call.name, **details))))
        self.news.set()


def verified(body: bytes, headers: Any) -> bool:
    return verify(body.decode(), KEY, headers["x-retell-signature"])


async def test_the_life_of_a_call_is_posted() -> None:
    async def agent(session: Any) -> None:
        await session.update((Utterance("agent", "Hi", (Word("Hi", 0.0, 1.0),)),))

    async with (
        Receiver() as receiver,
        Emulator(agent=agent, api_key=KEY, webhook_url=receiver.url) as emulator,
    ):
        call = emulator.register()
        async with join(emulator, call) as client:
            await client.wait_closed()
        await call.wait()
        await receiver.received(2)
    (started, at_start), (ended, at_end) = receiver.events
    assert (started, at_start["call_status"]) == ("call_started", "ongoing")
    assert "end_timestamp" not in at_start
    assert (ended, at_end) == ("call_ended", json.loads(json.dumps(call_body(call))))
    assert at_end["disconnection_reason"] == "agent_hangup"
    for request in receiver.requests:
        assert verified(request.body, request.headers)
        assert not verified(request.body.replace(b"agent", b"agenda"), request.headers)
        assert not verify(request.body.decode(), "other", request.headers["x-retell-signature"])
    told = [server_event async for server_event in emulator.events]
    sent = [each for each in told if isinstance(each, WebhookSent)]
    assert [(each.call, each.event) for each in sent] == [
        (call.name, "call_started"),
        (call.name, "call_ended"),
    ]
    assert call.call_id not in "".join(map(str, told))


async def test_a_call_that_nobody_joins_ends_without_having_begun() -> None:
    async with (
        Receiver() as receiver,
        Emulator(webhook_url=receiver.url, webhook_key=KEY, expiry=0.01) as emulator,
    ):
        emulator.register()
        await receiver.received(1)
    ((event, call),) = receiver.events
    assert (event, call["call_status"]) == ("call_ended", "error")
    assert call["disconnection_reason"] == "registered_call_timeout"


def test_a_call_that_never_began_has_no_recording() -> None:
    made_up = AfterCall(recording_url="https://a/r.wav", call_analysis={})
    registry = Registry(Calls(), ServerEvents(), time.time, after_call=made_up)
    call = RegisteredCall()
    registry.register(call)
    registry.end(call, "manual_stopped")
    assert (call.recording_url, call.call_analysis) == (None, None)


async def test_what_is_made_up_comes_after_the_end_and_then_the_analysis() -> None:
    made_up = AfterCall(
        recording_url="https://a/r.wav",
        public_log_url="https://a/log",
        call_analysis={"call_successful": True, "user_sentiment": "Positive"},
    )
    async with (
        Receiver() as receiver,
        Emulator(
            agent=silent_agent, webhook_url=receiver.url, webhook_key=KEY, after_call=made_up
        ) as emulator,
    ):
        call = emulator.register()
        assert "recording_url" not in call_body(call)
        async with join(emulator, call):
            pass
        await call.wait()
        await receiver.received(3)
    assert [event for event, _ in receiver.events] == list(DEFAULT_EVENTS)
    _, (_, ended), (_, analyzed) = receiver.events
    assert (ended["recording_url"], ended["public_log_url"]) == ("https://a/r.wav", "https://a/log")
    assert "call_analysis" not in ended
    assert analyzed == ended | {"call_analysis": made_up.call_analysis}
    assert analyzed == json.loads(json.dumps(call_body(call)))


async def test_what_is_said_is_posted_to_those_who_ask_for_it() -> None:
    said = tuple(Utterance("agent", word) for word in "abc")

    async def agent(session: Any) -> None:
        for count in (1, 2, 2, 3):
            await session.update(said[:count])

    wanted: Any = ("transcript_updated", "call_ended")
    async with (
        Receiver() as receiver,
        Emulator(
            agent=agent, webhook_url=receiver.url, webhook_key=KEY, webhook_events=wanted
        ) as emulator,
    ):
        call = emulator.register()
        async with join(emulator, call) as client:
            await client.wait_closed()
        await call.wait()
        await receiver.received(3)
    # The second still waited when the third was said.
    assert [(event, len(body["transcript_object"])) for event, body in receiver.events] == [
        ("transcript_updated", 1),
        ("transcript_updated", 3),
        ("call_ended", 3),
    ]


async def test_one_that_is_not_answered_in_time_is_sent_again_three_times() -> None:
    assert (webhooks.TIMEOUT, len(webhooks.PAUSES)) == (10.0, 3)  # Retell's
    async with Receiver([None]) as receiver:
        sender = Sender(receiver.url, timeout=0.05, pauses=(0.0, 0.0, 0.0))
        sender.webhooks.send("call_ended", RegisteredCall(agent_id="a"))
        await receiver.received(2)
        await sender.webhooks.stop()
    at = receiver.url.partition("?")[0]
    assert [text for _, text in sender.told] == [
        f"webhook call_ended failed: {at} did not answer within 0.05 s; retrying",
        "webhook call_ended sent: answered 204",
    ]


async def test_what_fails_is_tried_again_and_does_not_keep_back_what_follows() -> None:
    call = RegisteredCall(agent_id="a")
    async with Receiver([500, 302, 404, 503]) as receiver:
        sender = Sender(receiver.url, pauses=(0.001, 0.001))
        sender.webhooks.send("call_started", call)
        call.join(1.0)
        sender.webhooks.send("call_ended", call)
        await receiver.received(5)
        await sender.webhooks.stop()
    assert [event for event, _ in receiver.events] == ["call_started"] * 3 + ["call_ended"] * 2
    assert {body["call_status"] for _, body in receiver.events[:3]} == {"registered"}
    at = receiver.url.partition("?")[0]
    again = "; retrying"
    assert [text for _, text in sender.told] == [
        f"webhook call_started failed: {at} answered 500 Internal Server Error{again}",
        f"webhook call_started failed: {at} answered 302, and redirects are not followed{again}",
        f"webhook call_started failed: {at} answered 404 Not Found",
        f"webhook call_ended failed: {at} answered 503 Service Unavailable{again}",
        "webhook call_ended sent: answered 204",
    ]


async def test_every_try_is_signed_anew() -> None:
    times = iter([1000.0, 1001.0])
    async with Receiver([500]) as receiver:
        sender = Sender(receiver.url, pauses=(0.001, 0.001), now=lambda: next(times))
        sender.webhooks.send("call_ended", RegisteredCall())
        await receiver.received(2)
        await sender.webhooks.stop()
    signatures = [request.headers["x-retell-signature"] for request in receiver.requests]
    assert [signature.partition(",")[0] for signature in signatures] == ["v=1000000", "v=1001000"]


async def test_one_call_does_not_wait_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = RegisteredCall(agent_id="slow"), RegisteredCall(agent_id="quick")
    async with Receiver([None]) as receiver:
        sender = Sender(receiver.url)
        sender.webhooks.send("call_started", slow)
        await receiver.received(1)
        sender.webhooks.send("call_started", quick)
        await receiver.received(2)
        await sender.news.wait()
        assert sender.told == [("quick", "webhook call_started sent: answered 204")]
        monkeypatch.setattr(webhooks, "_STOP", 0.0)
        await sender.webhooks.stop()
    assert sender.told[1:] == [("slow", "webhook call_started failed: the emulator stopped")]


async def test_a_silent_server_delays_neither_calls_nor_the_end_for_long() -> None:
    async with Receiver([None, None]) as receiver:
        async with Emulator(
            agent=silent_agent, webhook_url=receiver.url, webhook_key=KEY
        ) as emulator:
            call = emulator.register()
            async with join(emulator, call) as client:
                await client.send("ping")
                assert await client.recv() == "pong"
            await call.wait()
            started = time.perf_counter()
        assert time.perf_counter() - started < 3.0
    failed = [each async for each in emulator.events if isinstance(each, WebhookFailed)]
    assert [(each.event, each.why) for each in failed] == [
        ("call_started", "the emulator stopped"),
        ("call_ended", "the emulator stopped"),
    ]


async def test_more_than_can_wait_are_dropped_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "MAX_WAITING", 2)
    async with Receiver() as receiver:
        sender = Sender(receiver.url)
        call = RegisteredCall(agent_id="a")
        for event in DEFAULT_EVENTS:
            sender.webhooks.send(event, call)
        assert sender.told == [("a", "webhook call_analyzed failed: 2 are waiting already")]
        await receiver.received(2)
        await sender.webhooks.stop()
        sender.webhooks.send("call_analyzed", call)
        await sender.webhooks.stop()
    assert [event for event, _ in receiver.events] == list(DEFAULT_EVENTS)


def test_a_webhook_needs_a_key_to_be_signed_with() -> None:
    with pytest.raises(ConfigError, match="signed with the API key"):
        Emulator(webhook_url="http://localhost/")
    with pytest.raises(ConfigError, match="not a URL"):
        Emulator(webhook_url="localhost", webhook_key=KEY)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(0.001, 1e12).map(lambda number: round(number, 3))
    | st.text('aé€\U0001f600\ud800\x00\n"\\/\u2028<', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text("ab", max_size=2), JSON))
def test_a_server_may_verify_what_it_has_parsed_and_written_again(call: dict[str, Any]) -> None:
    body = webhook_body("call_ended", call)
    parsed = json.loads(body)
    assert parsed == {"event": "call_ended", "call": call, "data": call}
    # As Retell's documentation has Python servers do it. A lone surrogate does not survive this.
    again = json.dumps(parsed, separators=(",", ":"), ensure_ascii=False)
    if "\\ud800" not in body.decode():
        assert again.encode() == body
    assert verify(body.decode(), KEY, sign(body, KEY.encode(), time.time()))


def test_whole_numbers_are_written_as_javascript_writes_them() -> None:
    body = webhook_body("x", {"a": [0.0, 1.0, 2.5, -3.0, 1e15, 10**15]})
    call = b'{"a":[0,1,2.5,-3,1000000000000000,1000000000000000]}'
    assert body == b'{"event":"x","call":' + call + b',"data":' + call + b"}"
