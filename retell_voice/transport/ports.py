"""What a call needs from its transport.

::

    Route ── connect ──▶ Connection ── events in, audio frames out ──▶ one end
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from retell_voice.audio.format import AudioFormat
from retell_voice.events import Event


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended.

    Attributes:
        by: who closed it; ``network`` when it broke without a closing handshake.
        code: WebSocket close code, or the nearest equivalent; 1006 when it broke.
        reason: the text that came with the code, possibly empty.
        hint: one line: a likely cause and what to try, if known.
    """

    by: Literal["you", "server", "network"]
    code: int
    reason: str
    hint: str = ""


class Connection(Protocol):
    """One call's connection to its server: events in, audio frames out, one end.

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

    @property
    def bytes_sent(self) -> int:
        """Bytes of your voice sent so far, as encoded."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield what the server says."""

    def send_now(self, frame: bytes) -> bool:
        """Send one encoded frame if the network takes it at once; return whether it did."""

    async def send_audio(self, frame: bytes) -> None:
        """Send one encoded frame; returns when the network has taken it."""

    def skip(self, seconds: float) -> None:
        """Say that so much of your voice is missing, before what is sent next; never blocks."""

    def heard(self, cue: object) -> None:
        """Report that a cue from ``AgentAudio`` has been heard; never blocks."""

    async def ping(self) -> None:
        """Send one heartbeat; its answer shows in ``heard_at`` and ``round_trip``."""

    async def close(self) -> None:
        """Hang up; returns within a second or so."""

    def give_up(self, reason: str) -> None:
        """Treat the connection as broken, at once, whatever the server does."""


@runtime_checkable
class Keypad(Protocol):
    """What a connection has, too, that carries the keys of a telephone."""

    def press(self, digit: str) -> bool:
        """Send a key, one of ``0123456789*#``; return whether that is carried. Never blocks."""


class Route(Protocol):
    """What a ``Call`` is dialled over; it may connect more than once.

    ``repr`` shows no secret.
    """

    @property
    def label(self) -> str:
        """A name for people, without secrets."""

    @property
    def near_end(self) -> AudioFormat:
        """Encoding and rate of what is sent: your voice."""

    @property
    def far_end(self) -> AudioFormat:
        """Encoding and rate of what is received: the agent's voice."""

    @property
    def frame_ms(self) -> int | None:
        """Length that every frame sent must have, ms; None: any from 20 to 250."""

    @property
    def packets(self) -> bool:
        """Whether the agent's voice comes as RTP packets, in real time (``AgentPacket``), and not
        ahead of time (``AgentAudio``)."""

    async def connect(self, clock: Callable[[], float]) -> Connection:
        """Open a connection; ``clock`` returns the call's time, seconds, and stamps its events.

        Raises:
            ConfigError: it cannot be dialled as configured.
            ConnectError: the server was not reached; ``temporary`` says whether to try again.
            Rejected: it was reached but did not open the call; as above.
        """
