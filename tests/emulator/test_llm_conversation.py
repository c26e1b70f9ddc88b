"""Whole conversations with LLM servers, over real sockets, at many times real time."""

import asyncio
import importlib
import itertools
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.callers import ask
from support.talker import FakeAsr, Talker, talker
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import CallEnded, CallStatus, Emulator, RegisteredCall
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE, DialogueSettings
from retell_voice.emulator.llm.agent import llm_agent
from retell_voice.emulator.llm.link import LinkSettings
from retell_voice.emulator.llm.server_events import (
    AgentReconfigured,
    LlmAsked,
    LlmFailed,
    LlmLinkChanged,
    LlmMessageMalformed,
    LlmMessageUnknown,
    LlmRetrying,
    MetadataForwarded,
    ResponseDropped,
    SpeechLost,
    ToolCalled,
    ToolReturned,
    UserTyped,
)
from retell_voice.emulator.speech.mumble import MumbleTts
from retell_voice.emulator.speech.ports import Speech, SpeechFailed
from retell_voice.protocol.llm import LlmSide
from retell_voice.transport.phone import PROVIDERS, formats_of, phone_route
from retell_voice.transport.ports import Keypad

QUICK = LinkSettings(attempts=2, pause=0.01, refused_pause=0.01, ping_interval=0.02)
AUDIO = AudioFormat(rate=16000)


class FakeEngines:
    """An ASR that is told the words, a TTS that mumbles."""

    def __init__(self) -> None:
        self.asr: Any = FakeAsr()
        self.tts: Any = MumbleTts()


def emulator(
    url: str,
    engines: Any = None,
    settings: DialogueSettings = DEFAULT_DIALOGUE,
    link: LinkSettings = QUICK,
) -> Emulator:
    agent = llm_agent(url, engines or FakeEngines(), settings, detector="energy", link=link)
    return Emulator(agent=agent)


async def happened(emulator: Emulator) -> list[Any]:
    return [each async for each in emulator.events]


@pytest.mark.parametrize("dialect", PROVIDERS)
async def test_keys_of_a_telephone_reach_the_llm_server_and_are_answered(dialect: str) -> None:
    told: list[dict[str, Any]] = []
    answered = asyncio.Event()

    async def llm(websocket: ServerConnection) -> None:
        config = {"response_type": "config", "config": {"transcript_with_tool_calls": True}}
        await websocket.send(json.dumps(config))
        async for message in websocket:
            told.append(json.loads(message))
            if told[-1]["interaction_type"] == "response_required":
                answered.set()

    audio, _ = formats_of(dialect)
    async with serve(llm, "127.0.0.1", 0) as server, asyncio.timeout(20):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = replace(DEFAULT_DIALOGUE, digits_ms=200)
        async with emulator(url, settings=settings) as running:
            call = running.register(audio, dialect=dialect)
            route = phone_route(dialect, running.url, call_id=call.call_id)
            phone = await route.connect(lambda: 0.0)
            assert isinstance(phone, Keypad)
            for digit in "4#":
                phone.press(digit)
            silence = audio.encode(np.zeros(audio.frame_samples(route.frame_ms or 20), np.int16))
            while not answered.is_set():  # its audio is the dialogue's clock
                await phone.send_audio(silence)
                await asyncio.sleep(0)
            await phone.close()
    digits = [{"role": "dtmf", "digit": digit} for digit in "4#"]
    updates = [each for each in told if each["interaction_type"] == "update_only"]
    assert any(each["transcript_with_tool_calls"] == digits for each in updates)
    assert told[-1]["interaction_type"] == "response_required"
    assert told[-1]["transcript_with_tool_calls"] == digits


# -- the example -----------------------------------------------------------------------------------


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The example that streams, a little quicker; ``wire`` is what went over it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    module: Any = importlib.import_module("llm_server_streaming")
    wire: list[str] = []

    class Recorded(LlmSide):
        def receive(self, text: str | bytes) -> Any:
            wire.append(f"in {json.loads(text)['interaction_type']}")
            return super().receive(text)

        def encode(self, message: Any) -> str:
            text: str = super().encode(message)
            wire.append(f"out {json.loads(text)['response_type']}")
            return text

    monkeypatch.setattr(module, "LlmSide", Recorded)
    monkeypatch.setattr(module, "PACE", 0.002)
    monkeypatch.setattr(module, "TIMER", 0.3)
    module.wire = wire
    yield module
    sys.modules.pop("llm_server_streaming")


EVERY_MESSAGE = {
    *(f"in {name}" for name in ("ping_pong", "call_details", "update_only")),
    *(f"in {name}" for name in ("response_required", "reminder_required")),
    *(f"out {name}" for name in ("config", "update_agent", "ping_pong", "response")),
    *(f"out {name}" for name in ("agent_interrupt", "tool_call_invocation")),
    *(f"out {name}" for name in ("tool_call_result", "metadata")),
}


async def test_a_whole_conversation(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = asyncio.Event()
    look = example.TOOLS["get_weather"]

    async def slow_look(city: str) -> dict[str, Any]:
        await heard.wait()
        return await look(city)

    monkeypatch.setitem(example.TOOLS, "get_weather", slow_look)
    engines = FakeEngines()
    asr = engines.asr
    async with example.listen(0) as url, emulator(url, engines) as retell:
        call = retell.register(AUDIO)
        call.dynamic_variables = {"customer_name": "Ada"}
        async with talker(retell, call) as caller:
            # The greeting, which needs call_details.
            await caller.until(caller.told("agent: Hello Ada! How can I help you?"))
            await caller.listen_to_the_end()

            # A tool is called and metadata sent.
            asr.text = "What is the weather?"
            await caller.say()
            # The first sentence is spoken long before the last chunk is there.
            await caller.until(caller.told("agent: One moment, I am looking."))
            await caller.until(lambda: caller.heard_until > caller.clock)
            heard.set()
            await caller.until(lambda: caller.lines()[-1].endswith("at 21 degrees."))
            await caller.listen_to_the_end()
            assert caller.lines()[1] == "user: What is the weather?"

            # The agent is set anew, and interrupted while it says so.
            asr.text = "Take your time."
            await caller.say()
            await caller.until(caller.told("agent: I will wait longer before I answer."))
            await caller.pause(1.0)
            asr.text = "Set a timer."
            caller.begin_to_say()
            await caller.until(lambda: "clear" in caller.received)

            # It interrupts itself, or the silence, after a while.
            await caller.until(lambda: any("I will interrupt" in each for each in caller.lines()))
            await caller.until(caller.told("agent: Your time is up!"))

            # Silence.
            await caller.until(caller.told("agent: Are you still there?"))
            await caller.listen_to_the_end()

            # A turn that is typed.
            retell.type("What did you look up?")
            await caller.until(caller.told("agent: I have called 1 tool so far."))
            await caller.listen_to_the_end()

            # The end.
            asr.text = "Goodbye."
            await caller.say()
        status, details = await ask(retell, "GET", f"/v2/get-call/{call.call_id}")
    lines = caller.lines()
    assert lines[:4] == [
        "agent: Hello Ada! How can I help you?",
        "user: What is the weather?",
        "agent: One moment, I am looking. It is sunny in Berlin, at 21 degrees.",
        "user: Take your time.",
    ]
    assert lines[4].startswith("agent: I will wait")
    assert not lines[4].endswith("answer.")
    assert lines[5] == "user: Set a timer."
    assert lines[-2:] == ["user: Goodbye.", "agent: Goodbye, and thank you for calling."]
    assert sum(line.startswith("user:") for line in lines) == 5

    # Both directions, every message there is.
    assert set(example.wire) == EVERY_MESSAGE

    # The caller.
    metadata = [each for each in caller.events() if each["event_type"] == "metadata"]
    assert metadata[0]["metadata"]["weather"]["sky"] == "sunny"
    turns = [each["turntaking"] for each in caller.updates() if "turntaking" in each]
    assert turns[:4] == ["agent_turn", "user_turn", "agent_turn", "user_turn"]
    assert all(a != b or a == "agent_turn" for a, b in itertools.pairwise(turns))
    assert (caller.client.close_code, caller.client.close_reason) == (
        1000,
        "the agent ended the call",
    )
    words = caller.updates()[-1]["transcript"][1]["words"]
    assert 0 < words[0]["start"] < words[-1]["end"] < caller.clock

    # get-call.
    assert status == 200
    assert details["disconnection_reason"] == "agent_hangup"
    assert details["call_status"] == "ended"
    assert details["transcript"].count("User:") == 5
    roles = [each["role"] for each in details["transcript_with_tool_calls"][2:5]]
    assert sorted(roles) == ["agent", "tool_call_invocation", "tool_call_result"]
    assert {"e2e", "llm", "tts", "asr"} <= set(details["latency"])

    # Whoever watches.
    seen = {type(each) for each in await happened(retell)}
    assert {
        *(AgentReconfigured, LlmAsked, MetadataForwarded, ToolCalled, ToolReturned, UserTyped),
    } <= seen


async def test_a_server_that_crashes_and_restarts_is_survived(example: Any) -> None:
    connections: list[ServerConnection] = []

    async def remembered(websocket: ServerConnection) -> None:
        connections.append(websocket)
        await example.converse(websocket)

    server = await serve(remembered, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    persistent = replace(QUICK, attempts=10_000)
    async with emulator(f"ws://127.0.0.1:{port}/llm", link=persistent) as retell:
        call = retell.register(AUDIO)
        async with talker(retell, call) as caller:
            await caller.until(caller.told("agent: Hello! How can I help you?"))
            await caller.listen_to_the_end()
            # It crashes with a question unanswered.
            example.PACE = 60
            retell.type("What now?")
            await caller.until(lambda: "in response_required" in example.wire)
            example.PACE = 0.002
            server.close(close_connections=False)
            connections[0].transport.abort()
            await server.wait_closed()
            again = await serve(remembered, "127.0.0.1", port)
            await caller.until(caller.told("agent: You said: What now?"))
            await caller.listen_to_the_end()
            retell.type("Goodbye.")
        again.close()
        await again.wait_closed()
    assert call.disconnection_reason == "agent_hangup"
    assert caller.lines()[-1] == "agent: Goodbye, and thank you for calling."
    # The greeting of the new server was not spoken again.
    assert sum("How can I help" in line for line in caller.lines()) == 1
    states = [each.state for each in await happened(retell) if isinstance(each, LlmLinkChanged)]
    assert states == ["lost", "back"]


async def test_get_call_tells_the_whole_conversation() -> None:
    """Also of a tool that is called last of all, after which nothing is said."""
    tool = {"tool_call_id": "t1", "name": "hang_up", "arguments": '{"why": "done"}'}
    result: dict[str, Any] = {"tool_call_id": "t1", "content": "done", "successful": True}

    async def handler(websocket: ServerConnection) -> None:
        config = {"auto_reconnect": True}
        await websocket.send(json.dumps({"response_type": "config", "config": config}))
        await websocket.send(response(0, "Hello."))
        pinged = asyncio.Event()
        async for text in websocket:
            message = json.loads(text)
            match message["interaction_type"]:
                case "ping_pong":
                    await websocket.send(json.dumps({**message, "response_type": "ping_pong"}))
                    pinged.set()
                case "response_required" if message["response_id"] == 1:
                    assert pinged.is_set()
                    await websocket.send(response(1, "Well. Goodbye."))
                case "response_required":
                    for kind, fields in (("invocation", tool), ("result", result)):
                        body = {"response_type": f"tool_call_{kind}", **fields}
                        await websocket.send(json.dumps(body))
                    await websocket.send(response(2, "", end_call=True))

    engines = FakeEngines()
    engines.asr.text = "Good morning."
    async with served(handler) as url, emulator(url, engines) as retell:
        call = retell.register(AUDIO)
        async with talker(retell, call) as caller:
            await caller.until(caller.told("agent: Hello."))
            await caller.listen_to_the_end()
            await caller.say()
            await caller.until(caller.told("agent: Well. Goodbye."))
            await caller.listen_to_the_end()
            retell.type("Bye.")
        _, details = await ask(retell, "GET", f"/v2/get-call/{call.call_id}")
    said = details["transcript_with_tool_calls"]
    assert [(each["role"], each.get("content")) for each in said] == [
        *(("agent", "Hello."), ("user", "Good morning.")),
        *(("agent", "Well. Goodbye."), ("user", "Bye.")),
        *(("tool_call_invocation", None), ("tool_call_result", "done")),
    ]
    assert {**said[-2], **tool} == said[-2]
    assert [each for each in said if each["role"] in ("agent", "user")] == (
        details["transcript_object"]
    )
    latency = details["latency"]
    counts = {kind: latency[kind]["num"] for kind in ("e2e", "llm", "tts")}
    assert counts == {"e2e": 1, "llm": 1, "tts": 3}
    assert latency["asr"]["num"] >= 1  # once a pause
    # In the caller's time: 0.6 s of silence until it is answered, and the voice 0.2 s later.
    assert 600 <= latency["e2e"]["min"] < 3000
    assert latency["llm_websocket_network_rtt"]["num"] == 2
    assert 0 < latency["llm_websocket_network_rtt"]["max"] < 5000


# -- servers of the test's own ---------------------------------------------------------------------


@asynccontextmanager
async def served(handler: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/llm"


def response(number: int, content: str, complete: bool = True, **more: Any) -> str:
    body = {"response_id": number, "content": content, "content_complete": complete, **more}
    return json.dumps({"response_type": "response", **body})


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
