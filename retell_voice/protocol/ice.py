"""The ICE servers in a web call's answer, and which of them are of use. Pure.

Only relays (TURN) are: the gateway has a public address and sees ours, so STUN would add nothing,
and a STUN server that does not answer would cost seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

_RELAY = re.compile(
    r"(?P<scheme>turns?):(?:\[(?P<six>[\da-fA-F:.]+)\]|(?P<host>[^?:\[\]/@\s]+))"
    r"(?::(?P<port>\d{1,5}))?(?:\?transport=(?P<transport>\w+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """One ICE server, as the answer has it; the credential is a secret."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def body(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        body = {"urls": list(self.urls), "username": self.username, "credential": self.credential}
        return {name: value for name, value in body.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A TURN server that can be used."""

    host: str
    port: int
    transport: Literal["udp", "tcp"]
    tls: bool
    username: str
    credential: str = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'turns' if self.tls else 'turn'}:{host}:{self.port} over {self.transport}"


def read_ice_servers(value: Any) -> tuple[IceServer, ...]:
    """Read ``ice_servers`` of an answer, without entries that make no sense."""
    servers = []
    for each in value if isinstance(value, list) else ():
        if not isinstance(each, dict):
            continue
        urls = each.get("urls", each.get("url"))
        urls = [urls] if isinstance(urls, str) else urls
        if not isinstance(urls, list):
            continue
        username, credential = each.get("username"), each.get("credential")
        servers.append(
            IceServer(
                urls=tuple(url for url in urls if isinstance(url, str)),
                username=username if isinstance(username, str) else None,
                credential=credential if isinstance(credential, str) else None,
            )
        )
    return tuple(servers)


def usable_relays(servers: tuple[IceServer, ...]) -> tuple[Relay, ...]:
    """Return the first TURN server over UDP, over TCP and over TLS, in their order.

    Not just the first: on a network that blocks UDP only the others work.
    """
    found: dict[tuple[str, bool], Relay] = {}
    for server in servers:
        if not server.username or not server.credential:
            continue
        for url in server.urls:
            relay = _relay(url, server.username, server.credential)
            if relay is not None:
                found.setdefault((relay.transport, relay.tls), relay)
    return tuple(found.values())


def _relay(url: str, username: str, credential: str) -> Relay | None:
    parts = _RELAY.fullmatch(url.strip())
    if parts is None:
        return None
    tls = parts["scheme"].lower() == "turns"
    transport = (parts["transport"] or ("tcp" if tls else "udp")).lower()
    port = int(parts["port"] or (5349 if tls else 3478))
    # TURN over DTLS, which "turns" with UDP would be, is spoken by next to nobody.
    if not 0 < port < 65536 or transport not in ("udp", "tcp") or (tls and transport == "udp"):
        return None
    return Relay(
        host=parts["six"] or parts["host"],
        port=port,
        transport="tcp" if transport == "tcp" else "udp",
        tls=tls,
        username=username,
        credential=credential,
    )
