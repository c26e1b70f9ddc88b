"""How lamps blink. Pure: what is to be seen of a kiosk, as a pattern of light.

A pattern is on and off in turns, seconds each, beginning with on, over and over; ``ON`` and ``OFF``
are such that never change. All that blinks does so at most five times a second.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from retell_voice.kiosk.ports import Look
from retell_voice.kiosk.states import WAITING, State

Pattern = tuple[float, ...]
ON: Pattern = (1.0,)
OFF: Pattern = ()
_FLASH: Pattern = (0.05, 2.95)
"""Idle: it is alive, and nobody who sleeps beside it is lit."""
_FAST: Pattern = (0.1, 0.1)
_EVEN: Pattern = (0.5, 0.5)
_TWICE: Pattern = (0.1, 0.2, 0.1, 1.6)
_THRICE: Pattern = (0.15, 0.15, 0.15, 0.15, 0.15, 1.25)
_SLOW: Pattern = (1.0, 2.0)


class Role(Enum):
    """What a lamp is for; the value is the name of its setting."""

    ALL = "led"
    READY = "led_ready"
    CALL = "led_call"
    MUTED = "led_muted"
    ERROR = "led_error"


def pattern(role: Role, look: Look) -> Pattern:
    """Return how a lamp shows a kiosk that looks like this."""
    return _PATTERNS[role](look)


def _all(look: Look) -> Pattern:
    if look.state is State.IN_CALL and look.muted:
        return _TWICE
    if look.state in (State.OFFLINE, State.FAULTED):
        return _error(look)
    if look.state is State.IDLE:
        return _FLASH
    return _call(look)


def _ready(look: Look) -> Pattern:
    return ON if look.state is State.IDLE else OFF


def _call(look: Look) -> Pattern:
    if look.state is State.IN_CALL:
        return _EVEN if look.speaking else ON
    return _FAST if look.state is State.DIALLING else OFF


def _muted(look: Look) -> Pattern:
    return ON if look.muted else OFF


def _error(look: Look) -> Pattern:
    if look.state is State.OFFLINE:
        return _SLOW
    # A device that is away in the middle of a call is worth a look, too.
    is_wrong = look.state is State.FAULTED or (look.why and look.state not in WAITING)
    return _THRICE if is_wrong else OFF


_PATTERNS: dict[Role, Callable[[Look], Pattern]] = {
    Role.ALL: _all,
    Role.READY: _ready,
    Role.CALL: _call,
    Role.MUTED: _muted,
    Role.ERROR: _error,
}
