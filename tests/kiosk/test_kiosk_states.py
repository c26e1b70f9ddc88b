"""Every cell of the table, and walks through all that can come of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from retell_voice.kiosk.states import (
    FINDINGS,
    LIMITS,
    RESULTS,
    RUNNING,
    TABLE,
    Action,
    Event,
    Say,
    Standing,
    State,
    Steps,
    limit,
    step,
)

WAITING = "PRESS>DIALLING CALL>DIALLING STOP>STOPPING"
LOOKED = "WELL>IDLE UNREACHED>OFFLINE UNWELL>FAULTED"
ENDED = "OVER>COOLING CUT_OFF>OFFLINE REFUSED>FAULTED"
LEGAL = {
    "STARTING": f"{LOOKED} LIMIT>FAULTED STOP>STOPPING",
    "IDLE": f"{WAITING} AWAY>FAULTED LIMIT>IDLE",
    "DIALLING": f"LIVE>IN_CALL PRESS>WRAPPING_UP HANG_UP>WRAPPING_UP LIMIT>WRAPPING_UP {ENDED} "
    "STOP>STOPPING",
    "IN_CALL": "PRESS>WRAPPING_UP HANG_UP>WRAPPING_UP QUIET>WRAPPING_UP LIMIT>WRAPPING_UP "
    f"{ENDED} STOP>STOPPING",
    "WRAPPING_UP": "OVER>COOLING CUT_OFF>OFFLINE REFUSED>COOLING LIMIT>STOPPING STOP>STOPPING",
    "COOLING": "LIMIT>IDLE STOP>STOPPING",
    "OFFLINE": f"{WAITING} {LOOKED} AWAY>FAULTED LIMIT>OFFLINE",
    "FAULTED": f"{WAITING} {LOOKED} BACK>FAULTED LIMIT>FAULTED",
    "STOPPING": "OVER>STOPPING CUT_OFF>STOPPING REFUSED>STOPPING LIMIT>STOPPING",
}
MUTES = {Event.MUTE, Event.UNMUTE, Event.TOGGLE_MUTE}


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_cell(state: State, event: Event) -> None:
    cells = dict(cell.split(">") for cell in LEGAL[state.name].split())
    before = Standing(state, failures=2)
    after, steps = step(before, event)
    assert (event.name in cells) == ((state, event) in TABLE)
    if event.name in cells:
        assert after.state.name == cells[event.name]
    elif event not in MUTES:
        assert (after, steps) == (before, ()), "what is illegal changes nothing"


def test_every_state_has_a_limit_and_a_row_for_when_it_is_over() -> None:
    assert set(LIMITS) == set(State)
    assert all((state, Event.LIMIT) in TABLE for state in State)


@pytest.mark.parametrize("state", State)
def test_muting_is_no_state(state: State) -> None:
    for wish, muted, then in (
        (Event.MUTE, False, True),
        (Event.UNMUTE, True, False),
        (Event.TOGGLE_MUTE, False, True),
        (Event.TOGGLE_MUTE, True, False),
    ):
        before = Standing(state, muted=muted)
        after, steps = step(before, wish)
        if state is State.STOPPING:
            assert (after, steps) == (before, ())
        else:
            assert after == replace(before, muted=then)
            assert steps == (Action.APPLY_MUTE, Say.MUTED if then else Say.UNMUTED)
            assert step(after, Event.MUTE if then else Event.UNMUTE) == (after, ())


def test_whoever_presses_to_call_is_heard_and_so_is_who_calls_next() -> None:
    called, steps = step(Standing(State.IDLE, muted=True), Event.PRESS)
    assert called == Standing(State.DIALLING)
    assert steps == (Action.APPLY_MUTE, Say.DIALLING, Action.DIAL)
    over, steps = step(Standing(State.IN_CALL, muted=True), Event.OVER)
    assert over == Standing(State.COOLING)
    assert steps == (Action.APPLY_MUTE, Say.IDLE)


def test_a_wish_without_a_hand_does_not_unmute() -> None:
    assert step(Standing(State.IDLE, muted=True), Event.CALL)[0].muted


@given(
    failures=st.integers(1, 10_000),
    drawn=st.floats(0, 1),
    state=st.sampled_from([State.OFFLINE, State.FAULTED]),
)
def test_pauses_grow_to_a_bound_and_never_spin(failures: int, drawn: float, state: State) -> None:
    pause = limit(Standing(state, failures=failures), LIMITS, lambda: drawn)
    assert 0.2 <= pause <= LIMITS[state]
    assert pause <= max(0.2, 2.0 ** min(failures - 1, 99))
    whole = limit(Standing(state, failures=failures), LIMITS, lambda: 1.0)
    assert pause == max(0.2, drawn * whole)


def test_failures_are_counted_until_it_works() -> None:
    standing = Standing()
    for event in (Event.UNREACHED, Event.LIMIT, Event.UNREACHED, Event.PRESS, Event.CUT_OFF):
        standing, _ = step(standing, event)
    assert standing == Standing(State.OFFLINE, failures=3)
    idle, _ = step(standing, Event.WELL)
    assert idle == Standing(State.IDLE, failures=3), "it may only look well"
    assert step(idle, Event.LIMIT)[0] == Standing(State.IDLE)
    dialled, _ = step(standing, Event.PRESS)
    assert step(dialled, Event.LIVE)[0] == Standing(State.IN_CALL)


class Walk(RuleBasedStateMachine):
    """Anything that can happen, in any order, to a kiosk and what it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.standing = Standing()
        self.calls = False  # a call is there
        self.told = False  # and has been told to end
        self.dead = False  # the process has ended, and with it all it had

    def happen(self, event: Event) -> Steps:
        assert not self.dead
        before = self.standing
        self.standing, steps = step(before, event)
        for each in steps:
            match each:
                case Action.DIAL:
                    assert not self.calls, "two calls at a time"
                    self.calls, self.told = True, False
                case Action.HANG_UP | Action.GIVE_UP:
                    assert self.calls
                    self.told = True
                case Action.RESTART | Action.EXIT:
                    self.calls, self.dead = False, True
        if before.muted is not self.standing.muted:
            assert Action.APPLY_MUTE in steps
        return steps

    @precondition(lambda self: not self.dead)
    @rule(
        event=st.sampled_from(
            sorted(
                set(Event) - RESULTS - FINDINGS - {Event.LIVE, Event.QUIET, Event.STOP},
                key=lambda each: each.name,
            )
        )
    )
    def something(self, event: Event) -> None:
        self.happen(event)

    @precondition(lambda self: not self.dead)
    @rule(event=st.sampled_from(sorted(FINDINGS, key=lambda each: each.name)))
    def looked(self, event: Event) -> None:
        """Also when nobody waits for it any more."""
        self.happen(event)

    @precondition(lambda self: self.calls and not self.dead)
    @rule(event=st.sampled_from([Event.LIVE, Event.QUIET]))
    def news_of_the_call(self, event: Event) -> None:
        self.happen(event)

    @precondition(lambda self: self.calls and not self.dead)
    @rule(event=st.sampled_from(sorted(RESULTS, key=lambda each: each.name)))
    def call_ends(self, event: Event) -> None:
        self.calls = False
        self.happen(event)

    @precondition(lambda self: not self.dead)
    @rule()
    def stop(self) -> None:
        self.happen(Event.STOP)

    @precondition(lambda self: self.dead)
    @rule()
    def start_again(self) -> None:
        self.standing, self.dead = Standing(), False

    @invariant()
    def no_call_that_nobody_can_hang_up(self) -> None:
        if not self.calls:
            return
        assert self.standing.state in RUNNING
        if not self.told:
            after, steps = step(self.standing, Event.PRESS)
            assert Action.HANG_UP in steps, "a press hangs up"
            assert Action.HANG_UP in step(self.standing, Event.STOP)[1]
            ends = {Action.HANG_UP, Action.GIVE_UP}
            assert ends & set(step(self.standing, Event.LIMIT)[1]), "and so does time"
            assert after.state is State.WRAPPING_UP
        else:
            assert {Action.RESTART, Action.EXIT} & set(step(self.standing, Event.LIMIT)[1])

    @invariant()
    def it_recovers_by_itself(self) -> None:
        """Nobody does anything any more, calls end when they are told to, and all is well."""
        standing, calls = self.standing, self.calls
        for _ in range(8):
            if self.dead or standing.state in (State.IDLE, State.STOPPING):
                return
            standing, steps = step(standing, Event.LIMIT)
            if Action.CHECK in steps:
                standing, _ = step(standing, Event.WELL)
            elif {Action.HANG_UP, Action.GIVE_UP} & set(steps):
                assert calls
                standing, calls = step(standing, Event.OVER)[0], False
        raise AssertionError(f"it never ends in idle: {standing}")


TestWalk = Walk.TestCase
