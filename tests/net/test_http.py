import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.net.http import error_words, parse_base, retry_after, unlogged


@pytest.mark.parametrize(
    ("url", "host", "is_local", "is_plain"),
    [
        ("https://api.example", "api.example", False, False),
        ("https://api.example:8443/v9/", "api.example:8443", False, False),
        ("http://127.0.0.2:8080", "127.0.0.2:8080", True, True),
        ("http://[::1]:8080", "::1:8080", True, True),
        ("http://localhost", "localhost", True, True),
        ("http://127.0.0.1.host.example", "127.0.0.1.host.example", False, True),
    ],
)
def test_a_base_is_read(url: str, host: str, is_local: bool, is_plain: bool) -> None:
    base = parse_base(url, "https://api.example")
    assert (base.host, base.is_local, base.is_plain) == (host, is_local, is_plain)
    assert base.url == url.rstrip("/")


@pytest.mark.parametrize(
    "url", ["", "api.example", "wss://api.example", "https://", "https://x:port", "https://x?k=1"]
)
def test_what_is_no_base_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is not the URL of a REST API"):
        parse_base(url, "https://api.example")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "c", "message": "b", "error_message": "a"}, "a"),
        ({"error": "c", "message": 3}, "c"),
        ({"message": "two\n  lines"}, "two lines"),
        ({}, ""),
        ([1], ""),
        (None, ""),
        ("plain", "plain"),
    ],
)
def test_what_an_error_says_is_found(body: Any, words: str) -> None:
    assert error_words(body) == words


@given(st.text(max_size=30))
def test_any_retry_after_is_some_seconds_or_none(header: str) -> None:
    wait = retry_after(header)
    assert wait is None or wait >= 0


def test_only_our_own_requests_are_kept_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "httpx")
    log = logging.getLogger("httpx")
    with unlogged():
        log.info("secret")
    log.info("theirs")
    assert caplog.messages == ["theirs"]
