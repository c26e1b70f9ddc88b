"""Web pages and rebound names do not reach an emulator; programs do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.callers import ask
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from retell_voice.emulator import CallRefused, Emulator
from retell_voice.emulator.visitors import Visitors


@pytest.mark.parametrize(
    ("host", "origin", "names", "admitted"),
    [
        ("localhost:8080", None, [], True),
        ("127.0.0.1:8080", None, [], True),
        ("[::1]:8080", None, [], True),
        ("192.168.1.7:8080", None, [], True),  # no name: nobody can have bound it to us
        ("app.localhost", None, [], True),
        (None, None, [], True),  # HTTP/1.0
        ("rebound.example.com:8080", None, [], False),
        ("rebound.example.com:8080", "http://rebound.example.com:8080", [], False),
        ("emulator:8080", None, ["emulator"], True),
        ("EMULATOR", None, ["emulator"], True),
        ("anything", "http://evil.example", ["*"], True),
        ("localhost:8080", "http://localhost:5173", [], True),
        ("localhost:8080", "http://127.0.0.1:5173", [], True),
        ("localhost:8080", "https://evil.example", [], False),
        ("localhost:8080", "null", [], False),
        ("localhost:8080", "http://6.6.6.6", [], False),
        ("192.168.1.7:8080", "http://192.168.1.7:8080", [], True),
        ("localhost:8080", "https://app.example", ["app.example"], True),
        ("localhost:8080", "https://app.example.evil.example", ["app.example"], False),
        ("localhost:8080", "http://localhost.evil.example", [], False),
        ("evil.example#localhost", None, [], False),
        ("user@localhost", None, [], False),
        ("", None, [], False),
        ("[::1", None, [], False),
    ],
)
def test_who_may_ask(
    host: str | None, origin: str | None, names: list[str], admitted: bool
) -> None:
    headers = {"host": host, "origin": origin}
    given = {name: value for name, value in headers.items() if value is not None}
    assert (Visitors(names).refusal(given) is None) == admitted


@given(st.text(), st.text())
def test_whatever_the_headers_say_it_is_admitted_or_refused_in_a_line(
    host: str, origin: str
) -> None:
    why = Visitors().refusal({"host": host, "origin": origin})
    assert why is None or len(why.splitlines()) == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/list-voices"),
        ("POST", "/v3/create-web-call"),
        ("OPTIONS", "/v3/create-web-call"),
        ("POST", "/webrtc-proxy/x/v1/webrtc/sessions"),
        ("DELETE", "/webrtc-proxy/x/v1/webrtc/sessions/0"),
        ("GET", "/v2/monitor-call/x"),
        ("GET", "/nowhere"),
    ],
)
async def test_no_page_reaches_anything(method: str, target: str, origin: str) -> None:
    async with Emulator() as emulator:
        headers = f"Origin: {origin}\r\n"
        assert (await ask(emulator, method, target, headers=headers))[0] == 403


async def test_no_page_and_no_rebound_name_reaches_it() -> None:
    async with Emulator(allowed_hosts=["app.example"]) as emulator:
        for headers, status in (
            ("Origin: https://evil.example\r\n", 403),
            ("Origin: https://app.example\r\n", 200),
            ("", 200),
        ):
            assert (await ask(emulator, "GET", "/list-voices", headers=headers))[0] == status
        call = emulator.register()
        origin: Any = "https://evil.example"
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"{emulator.url}/{call.call_id}", origin=origin)
        assert caught.value.response.status_code == 403
        assert not call.over
        async with connect(f"{emulator.url}/{call.call_id}"):
            pass
    refused = [each async for each in emulator.events if isinstance(each, CallRefused)]
    assert "--allowed-hosts names those that may" in str(refused[0])
