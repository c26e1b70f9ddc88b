# /// script
# dependencies = ["retell-voice"]
# [tool.uv.sources]
# retell-voice = { path = ".." }
# ///
"""A custom LLM server with all that the protocol has. There is no LLM in it, only a few rules:
put yours where ``think`` stands.

    uv run examples/llm_server_streaming.py     # or python, where retell-voice is installed
    retell-voice talk --local --llm ws://localhost:8080/llm-websocket

Say "What is the weather in Paris?", "Read me the terms.", "Set a timer.", "Take your time.",
"What did you look up?", "Press two.", "Let me talk to a human.", "Goodbye.", or nothing for a
while.

    Call      one WebSocket: hears Retell, starts an answer, stops it when it is outdated
    Turn      one answer: its words go out as they come, with what is to be done after them
    think     the model: a transcript in, words out, a tool called in between
"""

import argparse
import asyncio
import itertools
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from string import capwords
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from retell_voice.protocol.llm import (
    AgentConfig,
    AgentInterrupt,
    CallDetails,
    Config,
    LlmMessage,
    LlmMetadata,
    LlmPayloadError,
    LlmPingPong,
    LlmSide,
    PingPong,
    ReminderRequired,
    Response,
    ResponseRequired,
    ToolCallInvocation,
    ToolCallResult,
    UpdateAgent,
)

PACE = 0.03
"""Seconds from word to word, about what a fast model needs."""
TIMER = 3.0
"""Seconds until a timer interrupts."""
TERMS = (
    "This call is recorded. Prices include tax.",
    "You may cancel within fourteen days.",
    "That is all of the terms.",
)

logger = logging.getLogger("llm_server")


async def think(turn: "Turn") -> AsyncIterator[str]:
    """Stream the answer to a transcript: here the words of a rule, elsewhere those of a model."""
    async for sentence in rules(turn):
        for word in sentence.split():
            await asyncio.sleep(PACE)
            yield f"{word} "


async def rules(turn: "Turn") -> AsyncIterator[str]:
    said = turn.said.lower()
    if isinstance(turn.request, ReminderRequired):
        yield "Are you still there?"
    elif "weather" in said:
        yield "One moment, I am looking."  # spoken while the tool is at work
        weather = await turn.call_tool("get_weather", city=city_in(said))
        await turn.call.send(LlmMetadata(metadata={"weather": weather}))
        yield f"It is {weather['sky']} in {weather['city']}, at {weather['degrees']} degrees."
    elif "look up" in said:
        found = turn.request.transcript_with_tool_calls or ()
        count = sum(isinstance(item, ToolCallResult) for item in found)
        yield f"I have called {count} {'tool' if count == 1 else 'tools'} so far."
    elif "terms" in said:
        turn.then["no_interruption_allowed"] = True
        for sentence in TERMS:
            yield sentence
    elif "timer" in said:
        turn.call.start(turn.call.interrupt(TIMER, "Your time is up!"))
        yield f"I will interrupt you in {TIMER:g} seconds."
    elif "take your time" in said:
        slower = AgentConfig(responsiveness=0.3, reminder_trigger_ms=20_000)
        await turn.call.send(UpdateAgent(agent_config=slower))
        yield "I will wait longer before I answer."
    elif "press two" in said:
        turn.then["digit_to_press"] = "2"  # without a word
    elif "human" in said:
        turn.then |= {"transfer_number": "+14155550123", "show_transferee_as_caller": True}
        yield "I am putting you through."  # short: who speaks before it is said keeps the agent
    elif "goodbye" in said:
        turn.then["end_call"] = True
        yield "Goodbye, and thank you for calling."
    else:
        yield f"You said: {turn.said}"


def city_in(said: str) -> str:
    """Find the city in "what is the weather in new york today?"; Berlin where there is none."""
    found = re.search(r"\b(?:in|for) ([\w' -]+?)( today| tomorrow| now| please)?([.,?!]|$)", said)
    return capwords(found[1]) if found else "Berlin"


async def get_weather(city: str) -> dict[str, Any]:
    """Stand in for a tool that takes its time."""
    await asyncio.sleep(10 * PACE)
    return {"city": city, "sky": "sunny", "degrees": 21}


TOOLS = {"get_weather": get_weather}


class Turn:
    """One answer.

    Attributes:
        then: further fields of ``Response``: what is to be done with the words, or after them.
    """

    def __init__(self, call: "Call", request: ResponseRequired | ReminderRequired) -> None:
        self.call = call
        self.request = request
        self.then: dict[str, Any] = {}

    @property
    def said(self) -> str:
        """What the user said last."""
        said = [each.content for each in self.request.transcript if each.role == "user"]
        return said[-1] if said else ""

    async def run(self) -> None:
        """Stream the answer. Without a last chunk that is complete the agent would hang."""
        try:
            async for words in think(self):
                await self._say(words)
        except Exception:
            logger.exception("the answer failed")
            await self._say("I am sorry, something went wrong.")
        await self._say("", complete=True)

    async def call_tool(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, and have the call and its result in the transcript.

        An answer may be asked for twice, as users go on speaking: a tool that changes
        something must do so once.
        """
        tool = f"{self.call.name}-{next(self.call.ids)}"
        invocation = ToolCallInvocation(
            tool_call_id=tool, name=name, arguments=json.dumps(arguments)
        )
        await self.call.send(invocation)
        result = await TOOLS[name](**arguments)
        content = json.dumps(result)
        await self.call.send(ToolCallResult(tool_call_id=tool, content=content, successful=True))
        return result

    async def _say(self, words: str, *, complete: bool = False) -> None:
        await self.call.send(
            Response(
                response_id=self.request.response_id,
                content=words,
                content_complete=complete,
                **self.then,
            )
        )


class Call:
    """One call, which is one WebSocket."""

    def __init__(self, websocket: ServerConnection) -> None:
        self.ids = itertools.count(1)
        self.name = websocket.id.hex
        self._websocket = websocket
        self._side = LlmSide()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answer: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Hold the call until Retell closes it."""
        config = Config(auto_reconnect=True, call_details=True, transcript_with_tool_calls=True)
        await self.send(config)
        reminders = AgentConfig(reminder_trigger_ms=8_000, reminder_max_count=2)
        await self.send(UpdateAgent(agent_config=reminders))
        try:
            async for text in self._websocket:
                try:
                    await self._take(self._side.receive(text))
                except LlmPayloadError as error:
                    logger.warning("passed over: %s", error)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _take(self, message: LlmMessage) -> None:
        """Handle one message, at once: a ``ping_pong`` may be the next."""
        match message:
            case PingPong():
                await self.send(LlmPingPong(timestamp=message.timestamp))
            case CallDetails():  # waited for, as the greeting depends on it
                variables = message.call.get("retell_llm_dynamic_variables") or {}
                greeting = f"Hello {variables.get('customer_name', '')}".strip()
                begin = f"{greeting}! How can I help you?"
                await self.send(Response(response_id=0, content=begin, content_complete=True))
            case ResponseRequired() | ReminderRequired():
                if self._answer is not None:
                    self._answer.cancel()  # nobody will hear it any more
                self._answer = self.start(Turn(self, message).run())

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something alongside, for as long as the call lasts."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def interrupt(self, delay: float, words: str) -> None:
        """Say something in a while, whoever is speaking then."""
        await asyncio.sleep(delay)
        await self.send(
            AgentInterrupt(
                interrupt_id=next(self.ids),
                content=words,
                content_complete=True,
                no_interruption_allowed=True,
            )
        )

    async def send(self, message: LlmMessage) -> None:
        """Send a message; a call that is over needs none."""
        with suppress(ConnectionClosed):
            await self._websocket.send(self._side.encode(message))


async def converse(websocket: ServerConnection) -> None:
    """Hold one call."""
    await Call(websocket).run()


@asynccontextmanager
async def listen(port: int) -> AsyncIterator[str]:
    """Take calls on this port of this machine (0: any that is free); gives the URL to dial."""
    async with serve(converse, "127.0.0.1", port) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/llm-websocket"


async def main() -> None:
    parser = argparse.ArgumentParser(description="A custom LLM server that streams.")
    parser.add_argument("--port", type=int, default=8080)
    port = parser.parse_args().port
    try:
        async with listen(port) as url:
            print(f"listening on {url}", flush=True)
            await asyncio.get_running_loop().create_future()  # until Ctrl-C
    except OSError as error:
        why = os.strerror(error.errno or 0)
        sys.exit(f"cannot listen on port {port}: {why}; --port 0 takes any free one")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
