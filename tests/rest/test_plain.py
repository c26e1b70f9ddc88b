"""REST without Retell's SDK: the same calls, and the same words where there are none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from support.rest import answer, server

from retell_voice.emulator import Emulator, silent_agent
from retell_voice.errors import (
    ConnectError,
    FieldRefused,
    KeyRefused,
    RestError,
    RetellVoiceError,
    TooManyRequests,
)
from retell_voice.rest import api, create_web_call, get_concurrency, register_call

KEY = "key_1234567890abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_PAUSES", (0.001, 0.001))


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(agent=silent_agent, api_key=KEY, max_calls=2) as emulator:
        yield emulator


async def register(url: str, key: str = KEY, **more: Any) -> Any:
    return await register_call("agent_1", api_key=key, api_url=url, **more)


async def test_a_call_is_registered(emulator: Emulator) -> None:
    call = await register(emulator.api_url, plain=True, dynamic_variables={"a": "b"})
    assert emulator.find(call.call_id) is not None
    assert call.call_id not in repr(call)
    assert await get_concurrency(api_key=KEY, api_url=emulator.api_url, plain=True) == (0, 2)
    assert await get_concurrency(api_key=KEY, api_url=emulator.api_url) == (0, 2)


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (answer(b'{"error_message": "bad key"}', "401 Unauthorized"), KeyRefused),
        (answer(b'{"message": "sample_rate is odd"}', "422 Unprocessable"), FieldRefused),
        (answer(b"<html>", "502 Bad Gateway", "text/html"), RestError),
        (answer(b"", "302 Found"), RestError),
        (answer(b"not JSON"), RestError),
        (answer(b"[]"), RestError),
        (answer(b""), RestError),
        (b"nonsense\r\n\r\n", ConnectError),
    ],
)
async def test_the_words_are_the_sdks(sent: bytes, kind: type[RetellVoiceError]) -> None:
    said = []
    for plain in (True, False):
        async with server(sent, sent, sent) as (url, _):
            with pytest.raises(kind) as caught:
                await register(url, plain=plain)
            said.append(str(caught.value).replace(url.removeprefix("http://"), "HOST"))
            assert KEY not in str(caught.value)
    if kind is not ConnectError:  # each client says in its own way what is no HTTP
        assert said[0] == said[1]


async def test_how_long_to_wait_is_told(emulator: Emulator) -> None:
    emulator.refuse(429, 1, 7.0)
    with pytest.raises(TooManyRequests) as caught:
        await register(emulator.api_url, plain=True)
    assert caught.value.retry_after == 7.0


async def test_what_may_pass_is_tried_three_times_and_a_web_call_once(emulator: Emulator) -> None:
    emulator.refuse(503, 2)
    await register(emulator.api_url, plain=True)
    async with server(answer(b"{}", "503 Service Unavailable")) as (url, heads):
        with pytest.raises(RestError, match="503"):
            await create_web_call("agent_1", api_key=KEY, api_url=url, plain=True)
        assert len(heads) == 1


async def test_who_is_not_there(unused_tcp_port: int) -> None:
    with pytest.raises(ConnectError, match="refused the connection") as caught:
        await register(f"http://127.0.0.1:{unused_tcp_port}", plain=True)
    assert caught.value.temporary
    async with server(None, None, None) as (url, _):
        with pytest.raises(ConnectError, match=r"did not answer within 0\.1 s"):
            await register(url, plain=True, timeout=0.1)


def test_no_sdk_is_loaded() -> None:
    code = (
        "import asyncio, sys\n"
        "from retell_voice.emulator import Emulator, silent_agent\n"
        "from retell_voice.rest import register_call\n"
        "async def main():\n"
        "    async with Emulator(agent=silent_agent) as emulator:\n"
        "        url = emulator.api_url\n"
        "        await register_call('agent_1', api_key='key', api_url=url, plain=True)\n"
        "asyncio.run(main())\n"
        "print({'retell', 'httpx', 'pydantic'} & set(sys.modules))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
