"""Registering calls and looking them up: against the emulator, and servers that fail."""

import logging
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

import pytest
from support.callers import join
from support.rest import answer, server

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import Emulator, silent_agent
from retell_voice.errors import (
    ConfigError,
    ConnectError,
    FieldRefused,
    KeyRefused,
    NotFound,
    RestError,
    RetellVoiceError,
    TooManyRequests,
)
from retell_voice.events import Utterance
from retell_voice.extras import how_to_install
from retell_voice.rest import CallDetails, Registration, api, get_call, register_call
from retell_voice.secret import mask

KEY = "key_1234567890abcdef"
CALL_ID = "call_1234567890abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_PAUSES", (0.001, 0.001))


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(agent=silent_agent, api_key=KEY, max_calls=2) as emulator:
        yield emulator


async def register(emulator: Emulator, **settings: Any) -> Registration:
    settings = {"agent_id": "agent_1", "api_key": KEY, "api_url": emulator.api_url} | settings
    return await register_call(settings.pop("agent_id"), **settings)


async def look_up(emulator: Emulator, call_id: str, **settings: Any) -> CallDetails:
    return await get_call(call_id, api_key=KEY, api_url=emulator.api_url, **settings)


async def test_a_call_is_registered_joined_and_looked_up(emulator: Emulator) -> None:
    audio = AudioFormat(Encoding.MULAW, 8000)
    call = await register(
        emulator,
        audio=audio,
        metadata={"id": 7},
        dynamic_variables={"name": "Ann"},
        end_call_after_silence_ms=10_000,
    )
    assert (call.agent_id, call.audio, call.body["metadata"]) == ("agent_1", audio, {"id": 7})
    kept = emulator.find(call.call_id)
    assert kept is not None
    assert (kept.audio, kept.dynamic_variables) == (audio, {"name": "Ann"})
    assert kept.end_call_after_silence_ms == 10_000
    details = await look_up(emulator, call.call_id)
    assert (details.status, details.duration, details.transcript) == ("registered", None, None)
    async with join(emulator, call.call_id):
        kept.transcript = (Utterance("agent", "Hi"),)
        kept.measure("e2e", 250.0)
    await kept.wait()
    details = await look_up(emulator, call.call_id)
    assert (details.status, details.disconnection_reason) == ("ended", "user_hangup")
    assert (details.transcript, details.latency) == ("Agent: Hi\n", 0.25)
    assert details.started is not None
    assert details.ended == details.started + (details.duration or 0)
    assert (details.cost, details.summary, details.recording_url) == (None, None, None)
    assert call.call_id not in repr(call) + repr(details)


async def test_the_key_is_refused(emulator: Emulator) -> None:
    wrong = "key_wrong_67890abcdef"
    with pytest.raises(KeyRefused, match="does not accept the API key") as caught:
        await register(emulator, api_key=wrong)
    assert (caught.value.status, caught.value.exit_code) == (401, 7)
    assert wrong not in str(caught.value)


async def test_an_unknown_call_is_named_but_not_whole(emulator: Emulator) -> None:
    with pytest.raises(NotFound, match=f"knows no call {mask(CALL_ID)}") as caught:
        await look_up(emulator, CALL_ID)
    assert CALL_ID not in "".join(traceback.format_exception(caught.value))


async def test_an_unknown_agent_is_named(emulator: Emulator) -> None:
    emulator.refuse(404)
    with pytest.raises(NotFound, match="knows no agent agent_1"):
        await register(emulator)


@pytest.mark.parametrize(
    "said",
    [
        answer(b'{"message": "there is nothing at this path"}', "404 Not Found"),
        answer(b'{"message": "Cannot POST /v9/register-call"}', "404 Not Found"),
        answer(b"<html>no such page</html>", "404 Not Found", "text/html"),
        answer(b"", "404 Not Found"),
    ],
)
async def test_a_wrong_path_is_told_from_an_unknown_agent(said: bytes) -> None:
    async with server(said) as (url, _):
        with pytest.raises(NotFound) as caught:
            await register_call("agent_1", api_key=KEY, api_url=f"{url}/v9/")
    assert str(caught.value).endswith(" has nothing at /v9/register-call")
    assert "--api-url" in caught.value.hint


async def test_a_wrong_path_is_shown_without_the_call_id() -> None:
    call_id = "call/1234567890abcdef"
    missing = answer(b"", "404 Not Found")
    async with server(missing, missing) as (url, _):
        with pytest.raises(NotFound) as caught:
            await get_call(call_id, api_key=KEY, api_url=url)
    assert str(caught.value).endswith(f" has nothing at /get-call/{mask(call_id)}")


async def test_the_field_that_is_wrong_is_named(emulator: Emulator) -> None:
    with pytest.raises(FieldRefused) as caught:
        await register(emulator, end_call_after_silence_ms=3)
    assert (caught.value.status, caught.value.field) == (422, "end_call_after_silence_ms")
    host = emulator.api_url.partition("://")[2]
    assert str(caught.value) == (
        f"server: {host} does not accept end_call_after_silence_ms: "
        "end_call_after_silence_ms must be at least 10000"
    )


async def test_how_long_to_wait_is_told_and_left_to_the_caller(emulator: Emulator) -> None:
    emulator.refuse(429, retry_after=30)
    with pytest.raises(TooManyRequests) as caught:
        await register(emulator)
    assert (caught.value.retry_after, caught.value.hint) == (30.0, "wait 30 s")
    assert caught.value.temporary
    for _ in range(2):
        await register(emulator)
    with pytest.raises(TooManyRequests) as caught:
        await register(emulator)
    assert (caught.value.retry_after, caught.value.hint) == (None, "wait a little")


async def test_a_date_to_wait_for_is_counted_in_seconds() -> None:
    busy = "429 Too Many Requests\r\nRetry-After: "
    async with server(answer(b"{}", f"{busy}{formatdate(usegmt=True)}")) as (url, _):
        with pytest.raises(TooManyRequests) as caught:
            await register_call("a", api_key=KEY, api_url=url)
    assert caught.value.retry_after == 0.0
    async with server(answer(b"{}", f"{busy}soon")) as (url, _):
        with pytest.raises(TooManyRequests) as caught:
            await register_call("a", api_key=KEY, api_url=url)
    assert caught.value.retry_after is None


async def test_a_server_in_trouble_is_asked_three_times(emulator: Emulator) -> None:
    emulator.refuse(503, times=2)
    await register(emulator)
    emulator.refuse(502, times=3)
    with pytest.raises(RestError, match="answered HTTP 502 Bad Gateway") as caught:
        await register(emulator)
    assert caught.value.temporary
    assert (await register(emulator)).call_id


async def test_a_server_of_old_knows_calls_under_their_old_path() -> None:
    body = b'{"call_status": "ended", "start_timestamp": 1000, "end_timestamp": 3500}'
    missing = answer(b'{"error_message": "no such path"}', "404 Not Found")
    async with server(missing, answer(body)) as (url, heads):
        details = await get_call("a/b", api_key=KEY, api_url=url)
    assert [head.split()[1] for head in heads] == ["/v2/get-call/a%2Fb", "/get-call/a%2Fb"]
    assert (details.status, details.started, details.duration) == ("ended", 1.0, 2.5)


async def test_all_that_retell_tells_of_a_call() -> None:
    body = (
        b'{"call_status": "ended", "agent_id": "a", "recording_url": "https://x/y.wav",'
        b'"call_analysis": {"call_summary": "s", "user_sentiment": "Positive",'
        b'"call_successful": true}, "call_cost": {"combined_cost": 7.5},'
        b'"latency": {"e2e": {"p50": 800}}, "start_timestamp": "odd"}'
    )
    async with server(answer(body)) as (url, _):
        details = await get_call(CALL_ID, api_key=KEY, api_url=url)
    assert (details.summary, details.sentiment, details.successful) == ("s", "Positive", True)
    assert (details.cost, details.latency, details.started) == (7.5, 0.8, None)
    assert details.recording_url == "https://x/y.wav"
    assert "x/y" not in repr(details)


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (answer(b"hello", kind="text/html"), "it is not a JSON object"),
        (answer(b"[1]"), "it is not a JSON object"),
        (answer(b"{"), "it is not JSON"),
        (answer(b"\xff"), "it is not JSON"),
        (answer(b"{}"), "the answer has no call_"),
        (answer(b'{"call_id": 7}'), "the answer has no call_"),
    ],
)
async def test_an_answer_that_makes_no_sense(sent: bytes, says: str) -> None:
    requests: list[Callable[..., Any]] = [register_call, get_call]
    for request in requests:
        async with server(sent) as (url, _):
            with pytest.raises(RestError, match="did not answer as Retell's REST API") as caught:
                await request("x", api_key=KEY, api_url=url)
        assert says in str(caught.value)


async def test_a_format_that_there_is_not_is_refused() -> None:
    async with server(answer(b'{"call_id": "x", "sample_rate": 3}')) as (url, _):
        with pytest.raises(RestError, match="sample rate 3 Hz"):
            await register_call("a", api_key=KEY, api_url=url)


async def test_redirects_are_not_followed() -> None:
    away = answer(b"", "307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/elsewhere")
    async with server(away) as (url, heads):
        with pytest.raises(RestError, match="answered HTTP 307") as caught:
            await register_call("a", api_key=KEY, api_url=url)
    assert caught.value.hint.startswith("redirects are not followed")
    assert len(heads) == 1


async def test_what_the_server_says_is_shown_without_secrets() -> None:
    said = f'{{"message": "{KEY} may not\\nsee {CALL_ID}"}}'.encode()
    async with server(answer(said, "403 Forbidden")) as (url, _):
        with pytest.raises(KeyRefused) as caught:
            await get_call(CALL_ID, api_key=KEY, api_url=url)
    assert str(caught.value).endswith(f": {mask(KEY)} may not see {mask(CALL_ID)}")


async def test_who_is_not_there() -> None:
    async with server() as (url, _):
        pass
    with pytest.raises(ConnectError, match="refused the connection") as caught:
        await register_call("a", api_key=KEY, api_url=url)
    assert caught.value.exit_code == 4
    with pytest.raises(ConnectError, match=r"did not answer within 0\.05 s"):
        async with server(None, None, None) as (url, _):
            await register_call("a", api_key=KEY, api_url=url, timeout=0.05)
    async with server(b"", b"", b"") as (url, heads):
        with pytest.raises(ConnectError, match="cannot connect to"):
            await register_call("a", api_key=KEY, api_url=url)
    assert len(heads) == 3


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"api_key": ""}, "the API key is empty"),
        ({"api_key": f"{KEY}\n"}, "the API key is empty or has"),
        ({"api_key": "schlüssel"}, "the API key is empty or has"),
        ({"api_url": "api.retellai.com"}, "not the URL of a REST API"),
        ({"api_url": "wss://api.retellai.com"}, "not the URL of a REST API"),
        ({"api_url": "https://"}, "not the URL of a REST API"),
        ({"api_url": "https://x:port"}, "not the URL of a REST API"),
        ({"api_url": "https://x?y=1"}, "not the URL of a REST API"),
    ],
)
async def test_what_cannot_be_is_refused_at_once(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        await register_call("a", **{"api_key": KEY} | settings)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://10.1.2.3:8080/retell", "10.1.2.3:8080"),
        ("http://127.0.0.1.host.example", "127.0.0.1.host.example"),
        ("https://10.1.2.3:8080", ""),
        ("http://127.0.0.2:8080", ""),
        ("http://[::1]:8080", ""),
        ("http://localhost", ""),
    ],
)
def test_a_key_that_others_may_read_is_warned_of_once(
    url: str, warned: str, caplog: pytest.LogCaptureFixture
) -> None:
    api._warn_of_plain_text.cache_clear()
    for _ in range(2):
        api.Api(url, KEY, 1.0, what="agent a")
    said = [f"the API key goes to {warned} unencrypted" in text for text in caplog.messages]
    assert said == [True] * bool(warned)
    assert KEY not in caplog.text


async def test_a_proxy_that_cannot_be_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "gopher://proxy")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(
        ConfigError, match=r"_proxy in the environment cannot be used: .*no gopher:// proxies"
    ):
        await register_call("a", api_key=KEY, api_url="https://host.invalid")


async def test_no_log_holds_the_key_or_the_call_id(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "httpx", "httpcore", "retell"):
        caplog.set_level(logging.DEBUG, name)
    call = await register(emulator)
    await look_up(emulator, call.call_id)
    emulator.refuse(500, times=3)
    with pytest.raises(RetellVoiceError):
        await look_up(emulator, call.call_id)
    with pytest.raises(ConnectError):
        await get_call(call.call_id, api_key=KEY, api_url="http://127.0.0.1:1")
    assert "httpcore" in {record.name.partition(".")[0] for record in caplog.records}
    for secret in (KEY, call.call_id):
        assert secret not in caplog.text


def test_the_sdk_is_loaded_by_the_first_request_and_missed_in_words() -> None:
    code = (
        "import asyncio, sys; from retell_voice.rest import register_call; "
        "from retell_voice.errors import ConfigError\n"
        "assert not {'retell', 'httpx', 'pydantic'} & set(sys.modules)\n"
        "sys.modules['retell'] = None\n"
        "try: asyncio.run(register_call('a', api_key='k'))\n"
        "except ConfigError as error: print(error.hint)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == how_to_install("register")
