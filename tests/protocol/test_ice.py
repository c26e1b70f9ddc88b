from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.protocol.ice import IceServer, Relay, read_ice_servers, usable_relays


def server(*urls: str, username: str | None = "u", credential: str | None = "c") -> IceServer:
    return IceServer(urls=urls, username=username, credential=credential)


def relay(host: str, port: int, transport: Any = "udp", tls: bool = False) -> Relay:
    return Relay(host=host, port=port, transport=transport, tls=tls, username="u", credential="c")


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("turn:relay.example", relay("relay.example", 3478)),
        ("turn:relay.example:80", relay("relay.example", 80)),
        ("turn:relay.example:80?transport=tcp", relay("relay.example", 80, "tcp")),
        ("TURN:relay.example?transport=TCP", relay("relay.example", 3478, "tcp")),
        ("turns:relay.example", relay("relay.example", 5349, "tcp", True)),
        ("turns:relay.example:443?transport=tcp", relay("relay.example", 443, "tcp", True)),
        ("turn:[2001:db8::1]:3478", relay("2001:db8::1", 3478)),
        ("turns:relay.example?transport=udp", None),
        ("turn:relay.example?transport=sctp", None),
        ("turn:relay.example:0", None),
        ("turn:relay.example:99999", None),
        ("turn:", None),
        ("turn:a b", None),
        ("stun:relay.example:3478", None),
        ("stun:relay.example?transport=udp", None),
        ("https://relay.example", None),
    ],
)
def test_relays_are_read(url: str, wanted: Relay | None) -> None:
    assert usable_relays((server(url),)) == ((wanted,) if wanted else ())


def test_the_first_of_each_way_is_of_use() -> None:
    servers = (
        server("stun:s", username=None, credential=None),
        server("turn:no-credential", credential=None),
        server("turn:a?transport=udp", "turn:a?transport=tcp"),
        server("turn:b", "turns:b:443"),
    )
    assert usable_relays(servers) == (
        relay("a", 3478),
        relay("a", 3478, "tcp"),
        relay("b", 443, "tcp", True),
    )


def test_a_relay_shows_where_it_is_and_no_secret() -> None:
    shown = Relay(
        host="::1", port=443, transport="tcp", tls=True, username="u", credential="secret-word"
    )
    assert str(shown) == "turns:[::1]:443 over tcp"
    assert "secret-word" not in repr(shown)


def test_servers_are_read_as_browsers_take_them() -> None:
    read = read_ice_servers(
        [
            {"urls": ["turn:a", 3, "turn:b"], "username": "u", "credential": "c"},
            {"url": "turn:c", "username": 4},
            {"urls": None},
            "turn:d",
        ]
    )
    assert read == (
        server("turn:a", "turn:b"),
        IceServer(urls=("turn:c",), username=None, credential=None),
    )
    assert read_ice_servers([each.body() for each in read]) == read
    assert read_ice_servers(None) == read_ice_servers({"urls": "turn:a"}) == ()


@given(st.text(max_size=40).map(lambda rest: f"turn:{rest}") | st.text(max_size=40))
def test_any_url_is_a_relay_that_can_be_dialled_or_none(url: str) -> None:
    for found in usable_relays((server(url),)):
        assert found.host
        assert 0 < found.port < 65536
