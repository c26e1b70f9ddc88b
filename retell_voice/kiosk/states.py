"""What a kiosk does when something happens. Pure: a table, and no clock, device or network.

Its diagram is in ``docs/kiosk-states.md``, made from the table (``retell_voice.kiosk.diagram``).
The rules behind it:

- Every state has a time limit, and what happens when it is over is in the table, too.
- A call runs in DIALLING, IN_CALL, WRAPPING_UP and STOPPING only, and out of each of them leads
  someone's hanging up or a limit. A call that does not end when it is told to ends with the
  process: whoever restarts that (systemd) finds no call.
- OFFLINE and FAULTED end by themselves: after a while, longer each time, it is looked whether all
  is well again. Whoever presses meanwhile need not wait for that: a call is tried at once.
- An event that is not in a state's rows changes nothing.
- Being muted is no state of its own. It ends with the call, and when someone presses to call:
  nobody finds a kiosk that is deaf.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum


class State(Enum):
    """Where a kiosk stands."""

    STARTING = "starting"
    """Devices are being opened, and it is looked whether the server can be reached."""
    IDLE = "idle"
    DIALLING = "dialling"
    IN_CALL = "in call"
    WRAPPING_UP = "wrapping up"
    """The call is being hung up."""
    COOLING = "cooling down"
    """No call begins for a moment: whoever hangs up and presses once more wants no new one."""
    OFFLINE = "offline"
    """The server is not reached, or has no time. It is tried again."""
    FAULTED = "faulted"
    """A device is away, or the server refuses what it is asked. It is tried again."""
    STOPPING = "stopping"


class Event(Enum):
    """What may happen."""

    # Wishes
    PRESS = "press"
    """Someone wants a call, or the end of the one that is up."""
    CALL = "call"
    """Someone, or something, wants a call; never the end of one."""
    HANG_UP = "hang up"
    MUTE = "mute"
    UNMUTE = "unmute"
    TOGGLE_MUTE = "toggle mute"
    STOP = "stop"
    """The program is to end."""
    # A call, from its dialling on
    LIVE = "live"
    OVER = "over"
    """It has ended as calls do."""
    CUT_OFF = "cut off"
    """The server was not reached, had no time, or the connection was lost."""
    REFUSED = "refused"
    """It cannot be had before someone mends something: a device, the key, the account."""
    QUIET = "quiet"
    """Nobody has said anything for too long."""
    # What a look has found
    WELL = "well"
    UNREACHED = "unreached"
    UNWELL = "unwell"
    """Something is to be mended."""
    # Devices, whether or not a call is up
    AWAY = "device away"
    BACK = "device back"
    # Time
    LIMIT = "limit"
    """The state has lasted for as long as it may."""


RESULTS = frozenset({Event.OVER, Event.CUT_OFF, Event.REFUSED})
"""How a call ends; after one of them it is gone."""
FINDINGS = frozenset({Event.WELL, Event.UNREACHED, Event.UNWELL})


class Action(Enum):
    """What is done."""

    DIAL = "dial"
    HANG_UP = "hang up"
    GIVE_UP = "give up"
    """Hang up, as the server did not answer in time: CUT_OFF."""
    LOOK = "look"
    """See whether devices are there; tells AWAY if not."""
    CHECK = "check"
    """Open devices that are not open, and ask the server whether a call could be had: WELL,
    UNREACHED or UNWELL."""
    APPLY_MUTE = "apply mute"
    RESTART = "restart"
    """End the process with an error, for whoever watches over it to start it again."""
    EXIT = "exit"


class Say(Enum):
    """Sounds of its own."""

    DIALLING = "dialling"
    """Repeats until the state is left."""
    LISTENING = "listening"
    IDLE = "idle"
    MUTED = "muted"
    UNMUTED = "unmuted"
    ERROR = "error"
    OFFLINE = "offline"


Steps = tuple[Action | Say, ...]

_S, _E, _A = State, Event, Action

_DIAL: tuple[State, Steps] = (_S.DIALLING, (Say.DIALLING, _A.DIAL))
_HANG_UP: tuple[State, Steps] = (_S.WRAPPING_UP, (_A.HANG_UP,))
_DOWN: tuple[State, Steps] = (_S.OFFLINE, (Say.OFFLINE,))
_BROKEN: tuple[State, Steps] = (_S.FAULTED, (Say.ERROR,))
_ENDED: tuple[State, Steps] = (_S.COOLING, (Say.IDLE,))

RUNNING = (State.DIALLING, State.IN_CALL, State.WRAPPING_UP, State.STOPPING)
"""States in which there may be a call."""
WAITING = (State.IDLE, State.OFFLINE, State.FAULTED)
"""States in which a press calls."""

TABLE: dict[tuple[State, Event], tuple[State, Steps]] = {
    # Calls
    **{(state, _E.PRESS): _DIAL for state in WAITING},
    **{(state, _E.CALL): _DIAL for state in WAITING},
    (_S.DIALLING, _E.LIVE): (_S.IN_CALL, (Say.LISTENING,)),
    (_S.DIALLING, _E.PRESS): _HANG_UP,
    (_S.DIALLING, _E.HANG_UP): _HANG_UP,
    (_S.DIALLING, _E.LIMIT): (_S.WRAPPING_UP, (_A.GIVE_UP,)),
    (_S.IN_CALL, _E.PRESS): _HANG_UP,
    (_S.IN_CALL, _E.HANG_UP): _HANG_UP,
    (_S.IN_CALL, _E.QUIET): _HANG_UP,
    (_S.IN_CALL, _E.LIMIT): _HANG_UP,
    **{(state, _E.OVER): _ENDED for state in (_S.DIALLING, _S.IN_CALL)},
    **{(state, _E.CUT_OFF): _DOWN for state in (_S.DIALLING, _S.IN_CALL)},
    **{(state, _E.REFUSED): _BROKEN for state in (_S.DIALLING, _S.IN_CALL)},
    **{(_S.WRAPPING_UP, result): _ENDED for result in (_E.OVER, _E.REFUSED)},
    (_S.WRAPPING_UP, _E.CUT_OFF): _DOWN,
    (_S.WRAPPING_UP, _E.LIMIT): (_S.STOPPING, (_A.RESTART,)),
    (_S.COOLING, _E.LIMIT): (_S.IDLE, (_A.LOOK,)),
    # Whether all is well
    **{
        (state, finding): (after, ())
        for state in (_S.STARTING, _S.OFFLINE, _S.FAULTED)
        for finding, after in (
            (_E.WELL, _S.IDLE),
            (_E.UNREACHED, _S.OFFLINE),
            (_E.UNWELL, _S.FAULTED),
        )
    },
    (_S.STARTING, _E.LIMIT): (_S.FAULTED, ()),
    (_S.OFFLINE, _E.LIMIT): (_S.OFFLINE, (_A.CHECK,)),
    (_S.FAULTED, _E.LIMIT): (_S.FAULTED, (_A.CHECK,)),
    (_S.FAULTED, _E.BACK): (_S.FAULTED, (_A.CHECK,)),
    **{(state, _E.AWAY): (_S.FAULTED, ()) for state in (_S.IDLE, _S.OFFLINE)},
    (_S.IDLE, _E.LIMIT): (_S.IDLE, (_A.LOOK,)),
    # The end of the program
    **{
        (state, _E.STOP): (_S.STOPPING, (_A.EXIT,)) for state in (_S.STARTING, _S.COOLING, *WAITING)
    },
    **{
        (state, _E.STOP): (_S.STOPPING, (_A.HANG_UP,))
        for state in (_S.DIALLING, _S.IN_CALL, _S.WRAPPING_UP)
    },
    **{(_S.STOPPING, result): (_S.STOPPING, (_A.EXIT,)) for result in RESULTS},
    (_S.STOPPING, _E.LIMIT): (_S.STOPPING, (_A.EXIT,)),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """All that the table knows of a kiosk.

    Attributes:
        state: where it stands.
        muted: whether the microphone is.
        failures: how often it has failed since a call last went live, or since it was last idle for
            a whole limit; spaces the tries. That all looks well is not enough: an account without
            credit does.
    """

    state: State = State.STARTING
    muted: bool = False
    failures: int = 0


def step(standing: Standing, event: Event) -> tuple[Standing, Steps]:
    """Return how it stands after an event, and what is to be done, in this order."""
    before = standing.state
    if (before, event) not in TABLE:
        return _mute(standing, event)
    state, steps = TABLE[before, event]
    failures, muted = standing.failures, standing.muted
    if state is State.IN_CALL or (before is State.IDLE and event is Event.LIMIT):
        failures = 0
    elif state in (State.OFFLINE, State.FAULTED) and event is not Event.LIMIT:
        failures += 1
    if event is Event.PRESS or (before in RUNNING and event in RESULTS):
        muted = False
    if muted is not standing.muted:
        steps = (Action.APPLY_MUTE, *steps)
    return replace(standing, state=state, muted=muted, failures=failures), steps


def _mute(standing: Standing, event: Event) -> tuple[Standing, Steps]:
    wanted = {
        Event.MUTE: True,
        Event.UNMUTE: False,
        Event.TOGGLE_MUTE: not standing.muted,
    }.get(event, standing.muted)
    if wanted is standing.muted or standing.state is State.STOPPING:
        return standing, ()
    sound = Say.MUTED if wanted else Say.UNMUTED
    return replace(standing, muted=wanted), (Action.APPLY_MUTE, sound)


LIMITS: Mapping[State, float] = {
    State.STARTING: 30.0,
    State.IDLE: 60.0,
    State.DIALLING: 45.0,
    State.IN_CALL: 1800.0,
    State.WRAPPING_UP: 10.0,
    State.COOLING: 1.0,
    State.OFFLINE: 60.0,
    State.FAULTED: 120.0,
    State.STOPPING: 10.0,
}
"""Seconds that each state may last; of OFFLINE and FAULTED, the most."""
_FIRST_PAUSE, _SHORTEST = 1.0, 0.2


def limit(standing: Standing, limits: Mapping[State, float], draw: Callable[[], float]) -> float:
    """Return for how many seconds it may stand like this.

    Args:
        standing: how it stands.
        limits: as ``LIMITS``.
        draw: gives numbers from 0 to 1. Devices that lost the same server must not all come back
            to it at once: their pauses are anything up to a bound that doubles.
    """
    most = limits[standing.state]
    if standing.state not in (State.OFFLINE, State.FAULTED):
        return most
    bound = min(most, _FIRST_PAUSE * 2.0 ** min(standing.failures - 1, 30))
    return max(_SHORTEST, draw() * bound)
