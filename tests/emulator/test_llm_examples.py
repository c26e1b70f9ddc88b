"""The custom LLM servers in examples/, dialled as the emulator does it."""

import asyncio
import importlib.util
import itertools
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from websockets.asyncio.client import connect

from retell_voice.emulator.llm.link import DEFAULT_LINK, LinkItem, LlmFailure, LlmLink
from retell_voice.events import Utterance
from retell_voice.protocol.llm import (
    AgentConfig,
    AgentInterrupt,
    Config,
    LlmMetadata,
    ReminderRequired,
    Response,
    ResponseRequired,
    Said,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
    UpdateOnly,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
CALL = {"call_id": "c1", "retell_llm_dynamic_variables": {"customer_name": "Ada"}}
LONG = 20.0
"""Seconds after which whatever is waited for has failed."""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Caller:
    """Retell's end of a call with an example."""

    def __init__(self, link: LlmLink) -> None:
        self.link = link
        self.items: list[LinkItem] = []
        self._ids = itertools.count(1)

    async def hear(self) -> LinkItem:
        self.items.append(await anext(self.link))
        return self.items[-1]

    def ask(self, said: str, with_tools: tuple[Said, ...] | None = None) -> int:
        """Say something; the response_id to be answered."""
        response_id = next(self._ids)
        transcript = (Utterance("agent", "Hello!"), Utterance("user", said))
        self.link.send(UpdateOnly(transcript=transcript, turn="agent"))
        self.link.send(
            ResponseRequired(
                response_id=response_id,
                transcript=transcript,
                transcript_with_tool_calls=with_tools,
            )
        )
        return response_id

    async def answer(self, response_id: int) -> list[Response]:
        """Hear all chunks of an answer."""
        chunks: list[Response] = []
        while not chunks or not chunks[-1].content_complete:
            item = await self.hear()
            if isinstance(item, Response) and item.response_id == response_id:
                chunks.append(item)
        return chunks

    async def told(self, said: str, with_tools: tuple[Said, ...] | None = None) -> str:
        """Say something; the answer's words."""
        return words(await self.answer(self.ask(said, with_tools)))

    def having(self, kind: type[Any]) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]


def words(chunks: list[Response]) -> str:
    return "".join(chunk.content for chunk in chunks).strip()


@asynccontextmanager
async def call(url: str, **settings: Any) -> AsyncIterator[Caller]:
    quick = replace(DEFAULT_LINK, ping_interval=0.01, **settings)
    async with (
        asyncio.timeout(LONG),
        LlmLink(url, "call_0123456789abcdef", details=lambda: CALL, settings=quick) as link,
    ):
        yield Caller(link)


@pytest.fixture
async def caller(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    """A call with the streaming example, which takes no time."""
    streaming = load("llm_server_streaming")
    monkeypatch.setattr(streaming, "PACE", 0.0)
    monkeypatch.setattr(streaming, "TIMER", 0.0)
    async with streaming.listen(0) as url, call(url) as caller:
        await caller.answer(0)
        yield caller


async def test_the_echo_says_it_back() -> None:
    async with load("llm_server").listen(0) as url, call(url) as caller:
        assert words(await caller.answer(0)) == "Hello! Whatever you say, I say it back."
        assert caller.having(Config) == [Config(auto_reconnect=True)]
        assert await caller.told("Good morning.") == "You said: Good morning."
        caller.link.send(ReminderRequired(response_id=8))
        assert words(await caller.answer(8)) == "Are you still there?"
        caller.link.send(ResponseRequired(response_id=9))
        assert words(await caller.answer(9)) == "You said: nothing"


@pytest.mark.parametrize("name", ["llm_server", "llm_server_streaming"])
async def test_a_ping_is_answered_while_an_answer_is_made(name: str) -> None:
    said = [{"role": "user", "content": "a " * 10_000}]  # minutes of it
    ask = {"interaction_type": "response_required", "response_id": 1, "transcript": said}
    async with asyncio.timeout(LONG), load(name).listen(0) as url, connect(f"{url}/c1") as retell:
        await retell.send(json.dumps(ask))
        for timestamp in (1703302407333, 1703302409333):
            await retell.send(json.dumps({"interaction_type": "ping_pong", "timestamp": timestamp}))
            while (answer := json.loads(await retell.recv()))["response_type"] != "ping_pong":
                pass
            assert answer == {"response_type": "ping_pong", "timestamp": timestamp}


async def test_the_greeting_knows_who_is_called(caller: Caller) -> None:
    config, update, greeting = caller.items
    assert config == Config(auto_reconnect=True, call_details=True, transcript_with_tool_calls=True)
    assert update == UpdateAgent(
        agent_config=AgentConfig(reminder_trigger_ms=8000, reminder_max_count=2)
    )
    assert greeting == Response(
        response_id=0, content="Hello Ada! How can I help you?", content_complete=True
    )


async def test_an_answer_comes_word_by_word(caller: Caller) -> None:
    chunks = await caller.answer(caller.ask("I am well."))
    assert [chunk.content for chunk in chunks] == ["You ", "said: ", "I ", "am ", "well. ", ""]
    assert [chunk.content_complete for chunk in chunks] == [False] * 5 + [True]


async def test_a_tool_is_called_while_the_agent_speaks(caller: Caller) -> None:
    said = await caller.told("What is the weather?")
    assert said == "One moment, I am looking. It is sunny in Berlin, at 21 degrees."
    (invocation,) = caller.having(ToolCallInvocation)
    (result,) = caller.having(ToolCallResult)
    (metadata,) = caller.having(LlmMetadata)
    weather = {"city": "Berlin", "sky": "sunny", "degrees": 21}
    assert (invocation.name, json.loads(invocation.arguments)) == (
        "get_weather",
        {"city": "Berlin"},
    )
    assert result.tool_call_id == invocation.tool_call_id
    assert (json.loads(result.content), result.successful) == (weather, True)
    assert metadata.metadata == {"weather": weather}
    order = [type(item).__name__ for item in caller.items if not isinstance(item, Response)]
    assert order[-3:] == ["ToolCallInvocation", "ToolCallResult", "LlmMetadata"]
    at = caller.items.index(invocation)
    assert words([each for each in caller.items[3:at] if isinstance(each, Response)]) == (
        "One moment, I am looking."
    )

    so_far = (Utterance("user", "What is the weather?"), invocation, result)
    assert await caller.told("What did you look up?", so_far) == ("I have called 1 tool so far.")


@pytest.mark.parametrize(
    ("said", "city"),
    [
        ("What is the weather in Paris?", "Paris"),
        ("how's the weather in new york today", "New York"),
        ("Is there good weather for Stratford-upon-avon, please?", "Stratford-upon-avon"),
        ("The weather tomorrow?", "Berlin"),
    ],
)
async def test_the_weather_is_that_of_the_city_asked_for(
    caller: Caller, said: str, city: str
) -> None:
    assert (await caller.told(said)).endswith(f"It is sunny in {city}, at 21 degrees.")
    (invocation,) = caller.having(ToolCallInvocation)
    assert json.loads(invocation.arguments) == {"city": city}


async def test_the_terms_cannot_be_interrupted(caller: Caller) -> None:
    chunks = await caller.answer(caller.ask("Read me the terms."))
    assert words(chunks).endswith("That is all of the terms.")
    assert all(chunk.no_interruption_allowed for chunk in chunks)


async def test_a_timer_interrupts(caller: Caller) -> None:
    caller.ask("Set a timer.")
    while not isinstance(item := await caller.hear(), AgentInterrupt):
        pass
    assert item.content == "Your time is up!"
    assert item.content_complete
    assert item.no_interruption_allowed


async def test_the_agent_can_be_made_slower(caller: Caller) -> None:
    await caller.told("Take your time.")
    assert caller.having(UpdateAgent)[-1] == UpdateAgent(
        agent_config=AgentConfig(responsiveness=0.3, reminder_trigger_ms=20_000)
    )


@pytest.mark.parametrize(
    ("said", "answer", "action"),
    [
        ("Goodbye.", "Goodbye, and thank you for calling.", {"end_call": True}),
        ("Please press two.", "", {"digit_to_press": "2"}),
        (
            "Let me talk to a human!",
            "I am putting you through.",
            {"transfer_number": "+14155550123", "show_transferee_as_caller": True},
        ),
    ],
)
async def test_what_is_done_once_it_is_said(
    caller: Caller, said: str, answer: str, action: dict[str, Any]
) -> None:
    response_id = caller.ask(said)
    chunks = await caller.answer(response_id)
    assert words(chunks) == answer
    assert chunks[-1] == Response(response_id=response_id, content_complete=True, **action)


async def test_silence_is_asked_about(caller: Caller) -> None:
    said = (Utterance("user", "What is the weather?"),)
    caller.link.send(ReminderRequired(response_id=1, transcript=said))
    assert words(await caller.answer(1)) == "Are you still there?"


async def test_an_outdated_answer_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    streaming = load("llm_server_streaming")
    monkeypatch.setattr(streaming, "PACE", 0.01)
    async with streaming.listen(0) as url, call(url) as caller:
        await caller.answer(0)
        outdated = caller.ask("Read me the terms.")
        while not isinstance(item := await caller.hear(), Response) or item.response_id != outdated:
            pass
        assert await caller.told("Never mind.") == "You said: Never mind."
        assert await caller.told("Really.") == "You said: Really."
    old = [each for each in caller.having(Response) if each.response_id == outdated]
    assert not any(each.content_complete for each in old)
    ids = [each.response_id for each in caller.having(Response)]
    assert ids == sorted(ids)  # not one chunk of it after the first of the next


async def test_a_failing_model_still_completes_its_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    streaming = load("llm_server_streaming")

    async def think(turn: object) -> AsyncIterator[str]:
        yield "Well, "
        raise ZeroDivisionError

    monkeypatch.setattr(streaming, "think", think)
    async with streaming.listen(0) as url, call(url) as caller:
        assert await caller.told("Hello") == "Well, I am sorry, something went wrong."
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("name", ["llm_server", "llm_server_streaming"])
async def test_as_a_program(name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / f"{name}.py"), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONG):
            assert process.stdout is not None
            announced, _, url = (await process.stdout.readline()).decode().strip().rpartition(" ")
            assert announced == "listening on"
            async with call(url, pause=0.01) as caller:
                await caller.answer(0)
                assert await caller.told("Good morning.") == "You said: Good morning."
                process.send_signal(signal.SIGINT)
                with pytest.raises(LlmFailure) as caught:
                    while True:
                        await caller.hear()
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert caught.value.why == "error_llm_websocket_runtime"
    assert "(1001" in caught.value.words
    assert process.returncode == 0
    assert errors == b"" or b"Traceback" not in errors


@pytest.mark.parametrize("name", ["llm_server", "llm_server_streaming"])
async def test_a_port_that_is_taken_is_told_in_one_line(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / f"{name}.py"), "--port", port),
            stderr=asyncio.subprocess.PIPE,
        )
        _, told = await process.communicate()
    assert process.returncode == 1
    (line,) = told.decode().splitlines()
    assert line.startswith(f"cannot listen on port {port}: ")
