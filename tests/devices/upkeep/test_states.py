"""Every cell of the table, and a walk through all that can come of it."""

from dataclasses import dataclass, replace

import pytest

from retell_voice.devices.upkeep.states import (
    LOST_STATES,
    RESULTS,
    TABLE,
    WATCHED_STATES,
    Action,
    Event,
    State,
    Task,
    step,
)

LEGAL = {
    "IDLE": "START>OPENING PROBE>PROBING",
    "OPENING": "OPENED>WORKING REFUSED>IDLE LOST>COVERED LOST_FOR_GOOD>GONE",
    "PROBING": "DELIVERED>ASIDE REFUSED>IDLE",
    "ASIDE": "TAKE_OVER>WORKING",
    "WORKING": "STEP>DRAINING REOPEN>DRAINING STEP_BESIDE>DOUBLING FINISHED>FINISHED LOST>AWAY "
    "LOST_FOR_GOOD>GONE",
    "FINISHED": "",
    "DRAINING": "DRAINED>REOPENING LOST>COVERED LOST_FOR_GOOD>GONE",
    "REOPENING": "OPENED>WORKING LOST>COVERED LOST_FOR_GOOD>GONE",
    "DOUBLING": "DELIVERED>CROSSING REFUSED>DRAINING REFUSED_FOR_GOOD>GONE LOST>COVERED "
    "LOST_FOR_GOOD>GONE",
    "CROSSING": "LEFT>CLEARING LOST>COVERED LOST_FOR_GOOD>GONE",
    "CLEARING": "CLEARED>WORKING LOST>COVERED LOST_FOR_GOOD>GONE",
    "COVERED": "OPENED>AWAY DELIVERED>AWAY REFUSED>AWAY REFUSED_FOR_GOOD>AWAY DRAINED>AWAY "
    "LEFT>AWAY CLEARED>AWAY OVERDUE>COVERED",
    "AWAY": "DELIVERED>WORKING REFUSED>AWAY REFUSED_FOR_GOOD>GONE OVERDUE>AWAY",
    "GONE": "OPENED>GONE DELIVERED>GONE REFUSED>GONE REFUSED_FOR_GOOD>GONE DRAINED>GONE LEFT>GONE "
    "CLEARED>GONE",
    "STOPPED": "OPENED>STOPPED DELIVERED>STOPPED REFUSED>STOPPED REFUSED_FOR_GOOD>STOPPED "
    "DRAINED>STOPPED LEFT>STOPPED CLEARED>STOPPED",
}


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", State)
def test_every_cell(state: State, event: Event) -> None:
    cells = dict(cell.split(">") for cell in LEGAL[state.name].split())
    if state is not State.STOPPED:
        cells["END"] = "STOPPED"
    after, steps = step(state, event)
    if event.name in cells:
        assert after.name == cells[event.name]
        assert (state, event) in TABLE
    else:
        assert (after, steps) == (state, ()), "what is illegal changes nothing"
        assert (state, event) not in TABLE


@dataclass(frozen=True)
class World:
    """What the table acts on, as far as it matters."""

    state: State = State.IDLE
    in_place: str = "device"  # whose gate
    is_open: bool = False
    task: Task | str | None = None  # under way; start and start_aside are some, of their callers
    told: str = ""  # of the device, last

    def after(self, event: Event) -> "World":
        """Carry out what an event leads to, and check each step."""
        state, steps = step(self.state, event)
        world = replace(self, state=state)
        if event in RESULTS:
            world = replace(world, task=None)
            if event in (Event.DRAINED, Event.LEFT) and self.state not in LOST_STATES:
                world = replace(world, is_open=False)
        for each in steps:
            world = world.act(each)
        if self.state is State.IDLE and event in (Event.START, Event.PROBE):
            world = replace(world, task=event.name)
        return world

    def act(self, each: Action | Task) -> "World":
        tells = isinstance(each, Action) and each.name.startswith("TELL")
        assert not (tells and self.state is State.STOPPED)
        match each:
            case Task():
                assert self.task is None, "two tasks at once"
                return replace(self, task=each)
            case Action.OPEN | Action.ENTER:
                assert (self.in_place, self.is_open) == ("device", False)
                return replace(self, is_open=True)
            case Action.SHUT:
                return replace(self, is_open=False)
            case Action.STAND_IN:
                assert self.in_place == "device"
                return replace(self, in_place="stand-in", is_open=True)
            case Action.RENEW | Action.CROSS:
                assert (self.in_place, self.is_open) == ("device", False)
                return replace(self, is_open=True)
            case Action.RETURN:
                assert self.in_place == "stand-in"
                return replace(self, in_place="device", is_open=True)
            case Action.TELL_LOST:
                assert self.in_place == "device"
                assert self.told != "lost"
                return replace(self, told="lost")
            case Action.TELL_BACK:
                assert self.told == "lost"
                return replace(self, told="back")
            case Action.TELL_OVERDUE | Action.TELL_GONE:
                assert self.told == "lost"
        return self

    def possible(self) -> set[Event]:
        """What may happen here."""
        events = set(Event) - RESULTS - {Event.LOST, Event.LOST_FOR_GOOD, Event.FINISHED}
        if self.in_place == "device":
            events |= {Event.LOST, Event.LOST_FOR_GOOD, Event.FINISHED}
        results = {
            "START": {Event.OPENED, Event.REFUSED},
            "PROBE": {Event.DELIVERED, Event.REFUSED},
            Task.DRAIN: {Event.DRAINED},
            Task.REOPEN: {Event.OPENED, Event.REFUSED},
            Task.DOUBLE: {Event.DELIVERED, Event.REFUSED, Event.REFUSED_FOR_GOOD},
            Task.LEAVE: {Event.LEFT},
            Task.CLEAR: {Event.CLEARED},
            Task.RETRY: {Event.DELIVERED, Event.REFUSED, Event.REFUSED_FOR_GOOD},
        }
        if self.state is State.REOPENING:  # it is lost first
            results[Task.REOPEN].remove(Event.REFUSED)
        return events | results.get(self.task, set())


def test_whatever_happens_one_gate_is_open_and_one_task_is_under_way() -> None:
    seen: set[World] = set()
    to_see = [World()]
    while to_see:
        world = to_see.pop()
        if world in seen:
            continue
        seen.add(world)
        state, away = world.state, world.in_place == "stand-in"
        if state is State.STOPPED:
            pass  # the gate in place is closed by ``stop``
        elif state in (State.IDLE, State.PROBING, State.ASIDE):
            assert not world.is_open
        elif state not in (State.DRAINING, State.CROSSING):  # there it closes at some time
            assert world.is_open
        if state is not State.STOPPED:
            assert away == (state in LOST_STATES or state is State.FINISHED)
            at_rest = {State.IDLE, State.ASIDE, State.WORKING, State.FINISHED}
            assert (world.task is None) == (state in at_rest) or state is State.GONE
        if world.task is Task.STOP:
            to_see.append(replace(world, task=None))
        to_see += [world.after(event) for event in world.possible()]
    assert {world.state for world in seen} == set(State)


def test_what_is_lost_is_not_watched() -> None:
    assert not LOST_STATES & WATCHED_STATES
