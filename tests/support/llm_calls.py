"""Calls whose agent is an LLM server, at many times real time."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.talker import FakeAsr
from websockets.asyncio.server import serve

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import Emulator
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE, DialogueSettings
from retell_voice.emulator.llm.agent import llm_agent
from retell_voice.emulator.llm.link import LinkSettings
from retell_voice.emulator.speech.mumble import MumbleTts

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


@asynccontextmanager
async def served(handler: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/llm"


def response(number: int, content: str, complete: bool = True, **more: Any) -> str:
    body = {"response_id": number, "content": content, "content_complete": complete, **more}
    return json.dumps({"response_type": "response", **body})
