"""Proxies from the environment, in every form in which people write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.net.proxy import proxy_for

SERVER = "wss://api.example.com/audio-websocket"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"https_proxy": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128/"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy"}, "http://proxy:80"),
        ({"https_proxy": " http://proxy:3128 "}, "http://proxy:3128"),
        ({"https_proxy": "https://proxy"}, "https://proxy:443"),
        ({"https_proxy": "[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        ({"https_proxy": "http://[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        ({"all_proxy": "socks5h://proxy"}, "socks5h://proxy:1080"),
        ({"all_proxy": "socks5://a", "https_proxy": "http://b:1"}, "http://b:1"),
        ({"https_proxy": "http://b:1", "wss_proxy": "http://c:1"}, "http://c:1"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://UP:1"}, "http://low:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://up:1"}, "http://up:1"),
        ({"http_proxy": "http://only-for-plain:1"}, None),
        ({"https_proxy": "http://me:p%40ss@proxy:1"}, "http://me:p%40ss@proxy:1"),
        ({"https_proxy": "http://me:p@ss@proxy:1"}, "http://me:p%40ss@proxy:1"),
        ({"https_proxy": "http://me@proxy:1"}, "http://me:@proxy:1"),
    ],
)
def test_the_proxy_for_a_secure_server(environ: dict[str, str], url: str | None) -> None:
    found = proxy_for(SERVER, environ)
    assert (found and found.url) == url
    assert found is None or "p%40ss" not in repr(found)


def test_plain_servers_have_variables_of_their_own() -> None:
    environ = {"http_proxy": "http://p:1", "https_proxy": "http://s:1"}
    for url, host in (("ws://x/y", "p"), ("http://x", "p"), ("wss://x", "s"), ("https://x", "s")):
        found = proxy_for(url, environ)
        assert found is not None
        assert found.name == f"{host}:1"
        assert found.source == ("http_proxy" if host == "p" else "https_proxy")
    cgi = {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}
    assert proxy_for("http://x", cgi) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]", "LOCALHOST"])
def test_this_machine_is_never_reached_through_one(host: str) -> None:
    assert proxy_for(f"ws://{host}:8080/x", {"http_proxy": "nonsense://", "all_proxy": "?"}) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "excepted"),
    [
        ("*", "api.example.com", True),
        ("api.example.com", "api.example.com", True),
        ("example.com", "api.example.com", True),
        (".example.com", "api.example.com", True),
        ("*.example.com", "api.example.com", True),
        ("EXAMPLE.com", "api.example.COM", True),
        ("example.com", "badexample.com", False),
        ("other.org, example.com", "api.example.com", True),
        ("other.org example.com", "api.example.com", True),
        ("example.com:443", "api.example.com", True),
        ("example.com:8443", "api.example.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3/24", "10.1.2.99", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("fd00::/8", "[fd12::1]", True),
        ("[fd00::]/8", "[fd12::1]", True),
        ("fd12::1", "[fd12::1]", True),
        ("[fd12::1]", "[fd12:0::1]", True),
        ("[fd12::1]:443", "[fd12::1]", True),
        ("[fd12::1]:80", "[fd12::1]", False),
        ("10.0.0.0/8", "api.example.com", False),
        ("", "api.example.com", False),
        (",, ;", "api.example.com", False),
    ],
)
def test_what_no_proxy_excepts(no_proxy: str, host: str, excepted: bool) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        environ = {"https_proxy": "http://proxy:1", name: no_proxy}
        assert (proxy_for(f"wss://{host}/x", environ) is None) == excepted


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("https_proxy", "http://", "it has no host"),
        ("https_proxy", "http://:3128", "it has no host"),
        ("HTTPS_PROXY", "http://proxy:port", "it is no URL"),
        ("https_proxy", "http://proxy:99999", "it is no URL"),
        ("https_proxy", "http://proxy:0", "it has no usable port"),
        ("https_proxy", "http://[::1", "it is no URL"),
        ("https_proxy", "ftp://proxy", "there are no ftp:// proxies"),
        ("all_proxy", "http//proxy", "it is no URL"),
        ("https_proxy", "'http://proxy:1'", "it is no URL"),
        ("https_proxy", "http://proxy/path", "it is no URL"),
        ("no_proxy", "10.0.0.0/99", "'10.0.0.0/99' is no network"),
        ("NO_PROXY", "example.com,10.0.0/x", "'10.0.0/x' is no network"),
    ],
)
def test_what_cannot_be_used_names_its_variable(name: str, value: str, why: str) -> None:
    environ = {"wss_proxy": "http://proxy:1"} if name.lower() == "no_proxy" else {}
    with pytest.raises(ConfigError) as caught:
        proxy_for(SERVER, {**environ, name: value})
    assert str(caught.value).startswith(f"{name} in the environment cannot be used: ")
    assert str(caught.value).endswith(why)


def test_a_password_is_not_told() -> None:
    with pytest.raises(ConfigError) as caught:
        proxy_for(SERVER, {"https_proxy": "ftp://me:hunter2@proxy"})
    assert "hunter2" not in str(caught.value)


@given(value=st.text(), no_proxy=st.text(), host=st.sampled_from(["a.b", "10.0.0.1", "[fd00::1]"]))
def test_whatever_is_in_the_environment_is_used_or_named(
    value: str, no_proxy: str, host: str
) -> None:
    with suppress(ConfigError):
        found = proxy_for(f"wss://{host}/x", {"https_proxy": value, "no_proxy": no_proxy})
        assert found is None or proxy_for(SERVER, {"https_proxy": found.url}) is not None
