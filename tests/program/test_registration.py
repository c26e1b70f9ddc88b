import sys
from typing import Any

import pytest
from support.rest import answer, server

from retell_voice.emulator import Emulator
from retell_voice.errors import ConfigError, KeyRefused, TooManyRequests
from retell_voice.program.call_fields import call_fields
from retell_voice.program.registration import (
    LONGEST_WAIT,
    audio_url,
    register,
    registration_key,
)
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.call import RegistrationSettings

KEY = Sourced("key_0123456789abcdef", "RETELL_API_KEY")
REGISTERED = answer(b'{"call_id": "call_1", "sample_rate": 16000}', "201 Created")


def busy(after: str) -> bytes:
    head, _, body = answer(b'{"message": "full"}', "429 Too Many Requests").partition(b"\r\n\r\n")
    return head + f"\r\nRetry-After: {after}\r\n\r\n".encode() + body


def settings(**values: Any) -> RegistrationSettings:
    given = {"agent": "agent_1", "api_key": KEY.value, **values}
    return RegistrationSettings(**{name: Sourced(each, "here") for name, each in given.items()})


class Waits:
    """Takes note of what is waited for, and waits not at all."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self.slept: list[float] = []

    def tell(self, error: TooManyRequests, seconds: float) -> None:
        self.told.append((str(error), seconds))

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_a_call_is_registered_as_the_settings_say() -> None:
    async with Emulator() as emulator:
        given = settings(api_url=emulator.api_url, encoding="mulaw", rate=8000)
        registered = await register(given, KEY, call_fields(given, ["a=b"], ["name=Ann"]))
        call = emulator.find(registered.call_id)
    assert call is not None
    assert (call.agent_id, call.metadata, call.dynamic_variables) == (
        "agent_1",
        {"a": "b"},
        {"name": "Ann"},
    )
    assert (registered.audio.encoding, registered.audio.rate) == ("mulaw", 8000)


async def test_a_server_that_says_how_long_it_is_busy_is_asked_again() -> None:
    waits = Waits()
    async with server(busy("2"), busy("7"), REGISTERED) as (url, _):
        found = await register(settings(api_url=url), KEY, waiting=waits.tell, sleep=waits.sleep)
    assert found.call_id == "call_1"
    assert waits.slept == [2.0, 7.0]
    assert [seconds for _, seconds in waits.told] == waits.slept
    assert all("too many requests or calls: full" in why for why, _ in waits.told)


@pytest.mark.parametrize(
    ("answers", "waited"),
    [
        ((busy("1"), busy("1"), busy("1")), [1.0, 1.0]),
        ((busy(f"{LONGEST_WAIT + 1}"),), []),
        ((busy("soon"),), []),
    ],
)
async def test_but_not_for_ever(answers: tuple[bytes, ...], waited: list[float]) -> None:
    waits = Waits()
    async with server(*answers) as (url, heads):
        with pytest.raises(TooManyRequests):
            await register(settings(api_url=url), KEY, waiting=waits.tell, sleep=waits.sleep)
    assert waits.slept == waited
    assert len(heads) == len(answers)


async def test_a_refused_key_says_where_it_came_from() -> None:
    async with server(answer(b'{"message": "no"}', "401 Unauthorized")) as (url, _):
        with pytest.raises(KeyRefused) as caught:
            await register(settings(api_url=url), KEY)
    assert caught.value.hint.startswith("it came from RETELL_API_KEY; check the key")


def test_the_key() -> None:
    assert registration_key(settings()) == Sourced(KEY.value, "here")


@pytest.mark.parametrize(
    ("missing", "says"),
    [({"agent": None}, "no agent"), ({"api_key": None}, "no API key to register a call")],
)
def test_what_registering_takes(
    missing: dict[str, None], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match=says):
        registration_key(settings(**missing))


@pytest.mark.parametrize(
    ("api", "audio"),
    [
        ("https://api.retellai.com", "wss://api.retellai.com/audio-websocket"),
        ("http://127.0.0.1:8080/prefix/", "ws://127.0.0.1:8080/prefix/audio-websocket"),
    ],
)
def test_where_a_call_is_joined(api: str, audio: str) -> None:
    assert audio_url(api) == audio
