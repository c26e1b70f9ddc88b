"""How an LLM server that refuses is told of; over links in ``test_llm_link_opening``."""

import time

import pytest
from support.answering import answering

from retell_voice.emulator.llm.dial import OPEN, LinkSettings, LlmFailure, dial


async def test_a_refusal_is_told_at_once_though_the_connection_stays_open() -> None:
    with answering(b"HTTP/1.1 404 Not Found\r\n\r\nno such route") as port:
        began = time.monotonic()
        with pytest.raises(LlmFailure) as caught:
            await dial(f"ws://127.0.0.1:{port}/llm", "call_1", LinkSettings(attempts=1))
    assert time.monotonic() - began < 5
    assert caught.value.why == OPEN
    assert caught.value.words == (
        f"LLM server: 127.0.0.1:{port} answered HTTP 404 Not Found: no such route"
    )
