"""What to do when something happens to a device. Pure: a table, no thread, clock or device.

::

         START        OPENED            STEP, REOPEN         DRAINED            OPENED
    IDLE ──▶ OPENING ──▶ WORKING ───────────────▶ DRAINING ──▶ REOPENING ───▶ WORKING
      │                  ▲ │ │ │                     ▲ REFUSED
      │ PROBE  TAKE_OVER │ │ │ │ STEP_BESIDE         │ DELIVERED    LEFT       CLEARED
      ▼                  │ │ │ └───────────────▶ DOUBLING ──▶ CROSSING ──▶ CLEARING ─▶ WORKING
    PROBING ──▶ ASIDE ───┘ │ └─ FINISHED ──▶ FINISHED
        DELIVERED          │ LOST
                           ▼         DELIVERED
           ┌─ REFUSED ─▶ AWAY ───────────────▶ WORKING
           └──────────── │  ▲ any result
                         │  │      LOST
                         │  COVERED ◀────── OPENING, DRAINING … CLEARING: the six with a task
                         ▼ LOST_FOR_GOOD, here and wherever LOST may happen
                        GONE                       END leads from everywhere to STOPPED

The rules behind it:

- From WORKING on, exactly one gate is open: that of the device, or that of the stand-in while the
  device is away. Between two streams of one device there may be none for a moment.
- The device belongs to one task at a time. A device lost during a task is covered by the stand-in
  and waits for the task to end: two threads never start a device at once.
- A task ends with one result, which is an event. If nobody waits for it any more (COVERED, GONE,
  STOPPED), whatever it has opened is stopped again.
- After END nothing is reported and no gate opens.
- An event that is not in a state's rows changes nothing.
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """State of a device."""

    IDLE = auto()
    OPENING = auto()
    """It is being started for the first time."""
    PROBING = auto()
    """It is being started while another device is in use."""
    ASIDE = auto()
    """It works, behind a closed gate, and may take over."""
    WORKING = auto()
    FINISHED = auto()
    """It has ended; silence takes its place, for good."""
    DRAINING = auto()
    """Its last samples are being played before it is reopened."""
    REOPENING = auto()
    DOUBLING = auto()
    """A second stream is being started beside the first."""
    CROSSING = auto()
    """The second stream works; the first fades out."""
    CLEARING = auto()
    """The second stream has replaced the first, which is being stopped."""
    COVERED = auto()
    """It is lost, and an earlier task is not over yet."""
    AWAY = auto()
    """It is lost, and restarted again and again."""
    GONE = auto()
    """It is lost and will not come back."""
    STOPPED = auto()


class Event(Enum):
    """What may happen."""

    START = auto()
    PROBE = auto()
    TAKE_OVER = auto()
    END = auto()

    STEP = auto()
    """It needs another latency."""
    STEP_BESIDE = auto()
    """The same, for a device that can be opened twice."""
    REOPEN = auto()
    FINISHED = auto()
    LOST = auto()
    LOST_FOR_GOOD = auto()
    OVERDUE = auto()
    """It has been away for longer than a call waits."""

    # Results of tasks
    OPENED = auto()
    DELIVERED = auto()
    """It was started, and the first block came."""
    REFUSED = auto()
    REFUSED_FOR_GOOD = auto()
    """It reported that it will not come back."""
    DRAINED = auto()
    LEFT = auto()
    CLEARED = auto()


RESULTS = frozenset(
    {
        Event.OPENED,
        Event.DELIVERED,
        Event.REFUSED,
        Event.REFUSED_FOR_GOOD,
        Event.DRAINED,
        Event.LEFT,
        Event.CLEARED,
    }
)


class Action(Enum):
    """Actions done at once, in the order of the table."""

    OPEN = auto()
    """Open the device's gate."""
    ENTER = auto()
    """Open it, and fade in."""
    SHUT = auto()
    """Close it."""
    STAND_IN = auto()
    """Replace the device with the stand-in."""
    RENEW = auto()
    """Replace the device's closed gate with a new, open one."""
    CROSS = auto()
    """Replace the first stream's closed gate with that of the second, open."""
    RETURN = auto()
    """Replace the stand-in's gate with that of the returned device, and stop the stand-in."""
    TELL_LOST = auto()
    TELL_BACK = auto()
    TELL_LATENCY = auto()
    TELL_OVERDUE = auto()
    TELL_GONE = auto()


class Task(Enum):
    """Tasks that may take a while: done on the supervisor's thread, one at a time."""

    DRAIN = auto()
    """Let the device fade out and play what it has queued: DRAINED."""
    REOPEN = auto()
    """Stop and start the device for its new gate: OPENED, or LOST and then REFUSED."""
    DOUBLE = auto()
    """Start a second stream and wait for its first block: DELIVERED, REFUSED or
    REFUSED_FOR_GOOD."""
    LEAVE = auto()
    """Let the first stream fade out: LEFT."""
    CLEAR = auto()
    """Stop the first stream once it has played what it has queued: CLEARED."""
    RETRY = auto()
    """Stop the device, restart it when due and wait for its first block: DELIVERED, REFUSED or
    REFUSED_FOR_GOOD."""
    STOP = auto()
    """Stop the device; no result."""


Steps = tuple[Action | Task, ...]

_LOSE: Steps = (Action.TELL_LOST, Action.STAND_IN)
_LOSE_FOR_GOOD: Steps = (Action.TELL_LOST, Action.TELL_GONE, Action.STAND_IN)

_S, _E = State, Event

_AT_A_TASK = (
    _S.OPENING,
    _S.DRAINING,
    _S.REOPENING,
    _S.DOUBLING,
    _S.CROSSING,
    _S.CLEARING,
)

TABLE: dict[tuple[State, Event], tuple[State, Steps]] = {
    (_S.IDLE, _E.START): (_S.OPENING, (Action.OPEN,)),
    (_S.IDLE, _E.PROBE): (_S.PROBING, ()),
    (_S.OPENING, _E.OPENED): (_S.WORKING, ()),
    (_S.OPENING, _E.REFUSED): (_S.IDLE, (Action.SHUT,)),
    (_S.PROBING, _E.DELIVERED): (_S.ASIDE, ()),
    (_S.PROBING, _E.REFUSED): (_S.IDLE, ()),
    (_S.ASIDE, _E.TAKE_OVER): (_S.WORKING, (Action.ENTER,)),
    # Another latency, or the same once more
    (_S.WORKING, _E.STEP): (_S.DRAINING, (Task.DRAIN,)),
    (_S.WORKING, _E.REOPEN): (_S.DRAINING, (Task.DRAIN,)),
    (_S.DRAINING, _E.DRAINED): (_S.REOPENING, (Action.RENEW, Task.REOPEN)),
    (_S.REOPENING, _E.OPENED): (_S.WORKING, (Action.TELL_LATENCY,)),
    (_S.WORKING, _E.STEP_BESIDE): (_S.DOUBLING, (Task.DOUBLE,)),
    (_S.DOUBLING, _E.REFUSED): (_S.DRAINING, (Task.DRAIN,)),
    (_S.DOUBLING, _E.REFUSED_FOR_GOOD): (_S.GONE, (*_LOSE_FOR_GOOD, Task.STOP)),
    (_S.DOUBLING, _E.DELIVERED): (_S.CROSSING, (Task.LEAVE,)),
    (_S.CROSSING, _E.LEFT): (_S.CLEARING, (Action.CROSS, Task.CLEAR)),
    (_S.CLEARING, _E.CLEARED): (_S.WORKING, (Action.TELL_LATENCY,)),
    # Losses
    (_S.WORKING, _E.FINISHED): (_S.FINISHED, (Action.STAND_IN,)),
    (_S.WORKING, _E.LOST): (_S.AWAY, (*_LOSE, Task.RETRY)),
    (_S.WORKING, _E.LOST_FOR_GOOD): (_S.GONE, (*_LOSE_FOR_GOOD, Task.STOP)),
    **{(state, _E.LOST): (_S.COVERED, _LOSE) for state in _AT_A_TASK},
    **{(state, _E.LOST_FOR_GOOD): (_S.GONE, _LOSE_FOR_GOOD) for state in _AT_A_TASK},
    **{(_S.COVERED, result): (_S.AWAY, (Task.RETRY,)) for result in RESULTS},
    (_S.AWAY, _E.REFUSED): (_S.AWAY, (Task.RETRY,)),
    (_S.AWAY, _E.DELIVERED): (
        _S.WORKING,
        (Action.RETURN, Action.TELL_BACK, Action.TELL_LATENCY),
    ),
    (_S.AWAY, _E.REFUSED_FOR_GOOD): (_S.GONE, (Action.TELL_GONE, Task.STOP)),
    (_S.COVERED, _E.OVERDUE): (_S.COVERED, (Action.TELL_OVERDUE,)),
    (_S.AWAY, _E.OVERDUE): (_S.AWAY, (Action.TELL_OVERDUE,)),
    # Ends
    **{(_S.GONE, result): (_S.GONE, (Task.STOP,)) for result in RESULTS},
    **{(_S.STOPPED, result): (_S.STOPPED, (Task.STOP,)) for result in RESULTS},
    **{(state, _E.END): (_S.STOPPED, ()) for state in _S if state is not _S.STOPPED},
}

LOST_STATES = frozenset({State.COVERED, State.AWAY, State.GONE})
WATCHED_STATES = frozenset(
    {State.WORKING, State.REOPENING, State.DOUBLING, State.CROSSING, State.CLEARING}
)
"""Those in which blocks must keep coming from the device."""


def step(state: State, event: Event) -> tuple[State, Steps]:
    """Return the state after an event, and what to do, in this order."""
    return TABLE.get((state, event), (state, ()))
