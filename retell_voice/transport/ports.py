"""What a call needs of the thing that carries it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

from retell_voice.events import Event


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended.

    Attributes:
        by: who closed it; ``network`` when it broke without a closing handshake.
        code: WebSocket close code, or its nearest equivalent; 1006 when it broke.
        reason: the words that came with the code, possibly empty.
    """

    by: Literal["you", "server", "network"]
    code: int
    reason: str


class Connection(Protocol):
    """One call's way to its server: events in, audio frames out, one end.

    Iterating yields decoded events until the connection has ended; ``closed`` then says how.
    None of the methods raises because the connection has ended.
    """

    @property
    def closed(self) -> Closed | None:
        """How the connection ended, None while it is open."""

    @property
    def heard_at(self) -> float:
        """Time, on the call's clock, of the last sign of life from the server."""

    @property
    def round_trip(self) -> float | None:
        """Seconds from the last answered heartbeat to its answer; None before the first."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield what the server says."""

    def send_now(self, frame: bytes) -> bool:
        """Send one encoded frame if the network takes it at once; return whether it did."""

    async def send_audio(self, frame: bytes) -> None:
        """Send one encoded frame; returns when the network has taken it."""

    async def ping(self) -> None:
        """Send one heartbeat; its answer shows in ``heard_at`` and ``round_trip``."""

    async def close(self) -> None:
        """Hang up; returns within a second or so."""

    def give_up(self, reason: str) -> None:
        """Take the connection for broken, at once and whatever the server does."""
