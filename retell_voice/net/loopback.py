"""WebRTC on a machine that has no network but its own, as a container or a test's namespace may."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

_LOOPBACK = "127.0.0.1"


def fall_back_on_loopback(transport: Any) -> None:
    """Let an ICE transport of aiortc's, which leaves it out, use loopback where there is no other.

    Whoever can be reached from such a machine is on it.
    """
    ice = transport._connection
    gather = ice.get_component_candidates

    def with_loopback(addresses: list[str], **rest: Any) -> Awaitable[Any]:
        found: Awaitable[Any] = gather(addresses=addresses or [_LOOPBACK], **rest)
        return found

    ice.get_component_candidates = with_loopback
