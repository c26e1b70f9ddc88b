"""One rule at a time of calls with LLM servers: what is heard and dropped, and how they end."""

import asyncio
import json
from typing import Any

import pytest
from support.callers import ask
from support.llm_calls import AUDIO, FakeEngines, emulator, happened, response, served
from support.talker import Talker, talker
from websockets.asyncio.server import ServerConnection

from retell_voice.emulator import CallEnded, CallStatus, RegisteredCall
from retell_voice.emulator.llm.server_events import (
    LlmFailed,
    LlmMessageMalformed,
    LlmMessageUnknown,
    LlmRetrying,
    MetadataForwarded,
    ResponseDropped,
    SpeechLost,
    ToolCalled,
    ToolReturned,
)
from retell_voice.emulator.speech.mumble import MumbleTts
from retell_voice.emulator.speech.ports import Speech, SpeechFailed


async def test_the_first_sentence_is_heard_before_the_last_chunk_is_sent() -> None:
    heard = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(response(0, "One moment. I ", complete=False))
        await heard.wait()
        await websocket.send(response(0, "am back.", end_call=True))
        await websocket.wait_closed()

    async with served(handler) as url, emulator(url) as retell:
        call = retell.register(AUDIO)
        async with talker(retell, call) as caller:
            await caller.until(lambda: caller.heard_until > 0)
            assert caller.lines() == ["agent: One moment."]
            heard.set()
    assert caller.lines() == ["agent: One moment. I am back."]
    # All of it had been played when the call ended.
    assert caller.clock >= caller.heard_until


async def test_chunks_of_an_outdated_response_are_dropped() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(response(0, ""))
        async for text in websocket:
            match json.loads(text):
                case {"interaction_type": "response_required", "response_id": 1}:
                    await websocket.send(response(1, "I think. ", complete=False))
                case {"interaction_type": "response_required", "response_id": 2}:
                    await websocket.send(response(1, "That was long ago.", complete=False))
                    await websocket.send(response(1, "So long.", end_call=True))
                    await websocket.send(response(2, "Yes.", end_call=True))

    async with served(handler) as url, emulator(url) as retell:
        call = retell.register(AUDIO)
        async with talker(retell, call) as caller:
            retell.type("One?")
            await caller.until(caller.told("agent: I think."))
            await caller.listen_to_the_end()
            retell.type("Two?")
    assert caller.lines() == ["user: One?", "agent: I think.", "user: Two?", "agent: Yes."]
    dropped = [each for each in await happened(retell) if isinstance(each, ResponseDropped)]
    assert (dropped[-1].number, dropped[-1].why) == (1, "it is outdated")


async def test_on_barge_in_nothing_more_is_sent_and_synthesis_stops() -> None:
    class Slow(MumbleTts):
        cancelled = 0

        async def synthesize(self, text: str, rate: int) -> Speech:
            if "slow" in text:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled += 1
                    raise
            return await super().synthesize(text, rate)

    async def handler(websocket: ServerConnection) -> None:
        begin = "This is a sentence that takes a while to say to you. This one is slow. And this."
        await websocket.send(response(0, begin))
        async for text in websocket:
            if '"response_required"' in text:
                await websocket.send(response(1, "", end_call=True))

    engines = FakeEngines()
    engines.tts = Slow()
    engines.asr.text = "Stop."
    async with served(handler) as url, emulator(url, engines) as retell:
        call = retell.register(AUDIO)
        async with talker(retell, call) as caller:
            await caller.until(lambda: caller.heard_until > 0)
            await caller.pause(1.0)
            await caller.say(0.8)
    after = caller.received[caller.received.index("clear") :]
    assert not any(isinstance(each, bytes) for each in after)
    assert engines.tts.cancelled == 1
    assert caller.lines()[0].startswith("agent: This is a")
    assert "slow" not in caller.lines()[0]


async def failing(url: str, engines: Any = None) -> tuple[RegisteredCall, Talker, list[Any], Any]:
    async with emulator(url, engines) as retell:
        call = retell.register(AUDIO)
        async with talker(retell, call) as caller:
            pass
        _, details = await ask(retell, "GET", f"/v2/get-call/{call.call_id}")
    return call, caller, await happened(retell), details


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("nobody", "error_llm_websocket_open"),
        ("garbage", "error_llm_websocket_corrupt_payload"),
        ("binary", "error_llm_websocket_corrupt_payload"),
        ("dies", "error_llm_websocket_lost_connection"),
        ("4000", "error_llm_websocket_runtime"),
    ],
)
async def test_a_server_that_fails_ends_the_call_in_retells_words(end: str, why: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(response(0, "Hello. I am about to fail."))
        await websocket.recv()  # an update: it is being said
        match end:
            case "garbage":
                await websocket.send("{response_type: response}")
            case "binary":
                await websocket.send(b"\x00")
            case "dies":
                websocket.transport.abort()
            case "4000":
                await websocket.close(4000, "I am out of tokens")
        await websocket.wait_closed()

    async with served(handler) as url:
        call, caller, events, details = await failing(
            "ws://127.0.0.1:9/llm" if end == "nobody" else url
        )
    assert caller.client.close_code == 1011
    assert caller.client.close_reason
    assert caller.client.close_reason.startswith(f"{why}: LLM server: ")
    assert details["disconnection_reason"] == why
    assert details["call_status"] == "error"
    (failed,) = [each for each in events if isinstance(each, LlmFailed)]
    assert failed.why == why
    assert [each.why for each in events if isinstance(each, LlmRetrying)] == (
        [failed.words] if end == "nobody" else []
    )
    (ended,) = [each for each in events if isinstance(each, CallEnded)]
    assert (ended.why, ended.code) == (why, 1011)
    assert call.call_id not in "".join(map(str, events)) + caller.client.close_reason


@pytest.mark.parametrize("begin", ["", "Hello. We are closed, please call again. Goodbye."])
async def test_a_server_that_closes_normally_hangs_up_when_it_has_been_heard(begin: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(response(0, begin, complete=False))
        await websocket.close(1000)

    async with served(handler) as url:
        call, caller, events, _ = await failing(url)
    assert caller.lines() == ([f"agent: {begin}"] if begin else [])
    assert caller.clock >= caller.heard_until
    assert [each.why for each in events if isinstance(each, LlmFailed)] == ["agent_hangup"]
    assert caller.client.close_code == 1000
    assert caller.client.close_reason == "LLM server: it hung up (1000)"
    assert (call.status, call.disconnection_reason) == (CallStatus.ENDED, "agent_hangup")


async def test_engines_that_fail_are_told_and_the_call_goes_on() -> None:
    class Broken:
        async def recognize(self, samples: Any, rate: int) -> Any:
            raise SpeechFailed("the ASR crashed")

    class Hoarse(MumbleTts):
        async def synthesize(self, text: str, rate: int) -> Speech:
            if "Bye" not in text:
                raise SpeechFailed("the voice died")
            return await super().synthesize(text, rate)

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(json.dumps({"response_type": "response", "content": 7}))
        await websocket.send(response(0, "Hello."))
        async for text in websocket:
            if '"response_required"' in text:
                await websocket.send(response(1, "Pardon? Bye.", end_call=True))

    engines = FakeEngines()
    engines.asr, engines.tts = Broken(), Hoarse()
    async with served(handler) as url, emulator(url, engines) as retell:
        call = retell.register(AUDIO)
        async with talker(retell, call) as caller:
            await caller.say()
    assert caller.lines() == ["user: (unintelligible audio)", "agent: Bye."]
    events = await happened(retell)
    assert {each.part for each in events if isinstance(each, SpeechLost)} == {
        "recognition",
        "synthesis",
    }
    assert any(isinstance(each, LlmMessageMalformed) for each in events)


async def test_a_call_registered_with_its_own_silence_timeout() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(response(0, "Hello."))
        await websocket.wait_closed()

    async with served(handler) as url, emulator(url) as retell:
        call = retell.register(AUDIO, end_call_after_silence_ms=10_000)
        async with talker(retell, call, speed=100) as caller:
            pass
    assert call.disconnection_reason == "inactivity"
    assert 10 < caller.clock < 20


async def test_a_typed_turn_needs_a_call() -> None:
    async with served(lambda websocket: websocket.wait_closed()) as url, emulator(url) as retell:
        with pytest.raises(RuntimeError, match="no call is going on"):
            retell.type("Hello?")
        call, other = retell.register(AUDIO), retell.register(AUDIO)
        async with talker(retell, call) as caller:
            with pytest.raises(RuntimeError, match="this call is not going on"):
                retell.type("Hello?", other)
            retell.type("Hello?", call)
            await caller.until(caller.told("user: Hello?"))
            await caller.client.close()
    assert call.disconnection_reason == "user_hangup"


async def test_what_is_told_never_has_the_call_id_though_the_server_names_it() -> None:
    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request
        call_id = websocket.request.path.rpartition("/")[2]
        tool = {"tool_call_id": call_id, "name": "log", "arguments": json.dumps({"call": call_id})}
        for kind, fields in (
            ("metadata", {"metadata": {"calls": [call_id], call_id: 1}}),
            ("tool_call_invocation", tool),
            ("tool_call_result", {"tool_call_id": call_id, "content": call_id}),
            (call_id, {}),
        ):
            await websocket.send(json.dumps({"response_type": kind, **fields}))
        await websocket.close(4000, call_id)

    async with served(handler) as url:
        call, caller, events, details = await failing(url)
    (metadata,) = [each for each in events if isinstance(each, MetadataForwarded)]
    assert metadata.metadata == {"calls": [call.name], call.name: 1}
    assert {ToolCalled, ToolReturned, LlmMessageUnknown, LlmFailed} <= {*map(type, events)}
    assert call.call_id not in "".join(map(repr, events))
    # The caller and get-call have it as it was sent.
    assert {"event_type": "metadata", "metadata": {"calls": [call.call_id], call.call_id: 1}} in (
        caller.events()
    )
    assert details["transcript_with_tool_calls"][0]["tool_call_id"] == call.call_id
