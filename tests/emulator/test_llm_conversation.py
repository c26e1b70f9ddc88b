"""Whole conversations with LLM servers, over real sockets, at many times real time."""

import asyncio
import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.callers import ask
from support.llm_calls import AUDIO, QUICK, FakeEngines, emulator, happened, response, served
from support.talker import talker
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE
from retell_voice.emulator.llm.server_events import (
    AgentReconfigured,
    LlmAsked,
    LlmLinkChanged,
    MetadataForwarded,
    ToolCalled,
    ToolReturned,
    UserTyped,
)
from retell_voice.protocol.llm import LlmSide
from retell_voice.transport.phone import PROVIDERS, formats_of, phone_route
from retell_voice.transport.ports import Keypad


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
