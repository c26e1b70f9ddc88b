"""What every event has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Role = Literal["agent", "user"]


class CallState(StrEnum):
    """State of a call; it only ever moves downwards in this list."""

    CONNECTING = "connecting"
    LIVE = "live"
    DRAINING = "draining"
    """The server has closed, or the network failed; audio already received is still playing."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    at: float = 0.0
