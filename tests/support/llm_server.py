"""LLM servers under test, over real sockets, and links to them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from retell_voice.emulator.llm.link import LinkItem, LinkSettings, LlmFailure, LlmLink

SECRET = "call_0123456789abcdef"
QUICK = LinkSettings(pause=0.01, refused_pause=0.01, ping_interval=0.01)
KEPT = {"response_type": "config", "config": {"auto_reconnect": True}}
LONG = 20.0
"""Seconds after which whatever is waited for has failed."""

Handler = Callable[[ServerConnection], Awaitable[None]]
Message = dict[str, Any]


@asynccontextmanager
async def server(handler: Handler, port: int = 0, **options: Any) -> AsyncIterator[str]:
    quiet = logging.getLogger("tests.llm_server")
    quiet.setLevel(logging.CRITICAL)
    async with asyncio.timeout(LONG):
        async with serve(handler, "127.0.0.1", port, logger=quiet, **options) as running:
            yield url_of(running)


def url_of(running: Server) -> str:
    return f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/llm-websocket"


def link_to(
    url: str,
    settings: LinkSettings = QUICK,
    retrying: Callable[[str], None] = lambda words: None,
    **details: Any,
) -> LlmLink:
    return LlmLink(
        url,
        SECRET,
        details=lambda: details,
        settings=settings,
        retrying=retrying,
        clock=lambda: 1700.5,
    )


async def say(websocket: ServerConnection, *messages: Message) -> None:
    for message in messages:
        await websocket.send(json.dumps(message))


def response(response_id: int, content: str = "") -> Message:
    return {
        "response_type": "response",
        "response_id": response_id,
        "content": content,
        "content_complete": True,
    }


async def until_failure(link: LlmLink) -> tuple[list[LinkItem], LlmFailure]:
    items: list[LinkItem] = []
    with pytest.raises(LlmFailure) as caught:
        while True:
            items.append(await anext(link))
    check(caught.value)
    return items, caught.value


def check(failure: LlmFailure) -> None:
    """One line, and the call_id nowhere near it."""
    assert "\n" not in failure.words
    assert str(failure) == failure.words
    for text in (failure.words, failure.hint, repr(failure)):
        assert SECRET not in text
    assert failure.__cause__ is None
    assert failure.__context__ is None or failure.__suppress_context__
