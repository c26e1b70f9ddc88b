"""Starting, waiting and stopping, one task at a time, without a thread."""

import time

import numpy as np
import pytest
from support.bridge import Bridge

from retell_voice.devices.ports import DeviceTraits
from retell_voice.devices.upkeep.gates import PlayoutGate
from retell_voice.devices.upkeep.states import Event, Task
from retell_voice.devices.upkeep.tasks import MUTE, Tasks, Timing


class Board:
    """Does what a test says when it is started, and writes down what is asked of it."""

    name, latency = "board", None
    traits = DeviceTraits(block_timeout=0.01, start_timeout=0.02, opens_twice=True)

    def __init__(self) -> None:
        self.log: list[object] = []
        self.how = lambda gate: gate.fill_rt(np.zeros(8, np.int16))

    def suggest_latency(self, latency) -> None:
        self.log.append(latency)

    def start(self, gate) -> None:
        self.log.append("start")
        self.how(gate)

    def stop(self) -> None:
        self.log.append("stop")

    def stop_stream(self, gate) -> None:
        self.log.append(gate)


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def tasks(board: Board) -> Tasks:
    return Tasks(
        board,
        new_gate=lambda: PlayoutGate(Bridge(), lambda _: None),
        suggested=lambda: 0.03,
        timing=Timing(retry=0.02, leave=0.01, drain=0.05, poll=0.001),
    )


def test_a_latency_is_suggested_from_the_second_start_on(tasks: Tasks, board: Board) -> None:
    tasks.start(tasks.gate)
    assert board.log == ["start"]
    assert tasks.carry_out(Task.REOPEN, tasks.gate) is Event.OPENED
    assert board.log == ["start", "stop", 0.03, "start"]
    assert tasks.starts == 2


def refuse(gate) -> None:
    raise OSError("busy")


@pytest.mark.parametrize(
    ("how", "result", "refusal"),
    [
        (lambda gate: gate.fill_rt(np.zeros(8, np.int16)), Event.DELIVERED, ""),
        (refuse, Event.REFUSED, "busy"),
        (lambda gate: None, Event.REFUSED, MUTE),
        (lambda gate: gate.lost("it burns"), Event.REFUSED, "it burns"),
        (lambda gate: gate.lost("it burns", True), Event.REFUSED_FOR_GOOD, "it burns"),
    ],
)
@pytest.mark.parametrize("task", [Task.RETRY, Task.DOUBLE])
def test_what_a_start_behind_a_closed_gate_leads_to(
    tasks: Tasks, board: Board, task: Task, how, result: Event, refusal: str
) -> None:
    board.how = how
    before = tasks.gate
    assert tasks.carry_out(task, before) is result
    assert tasks.refusal == refusal
    assert tasks.gate is not before
    assert not tasks.gate.is_open
    assert ("stop" in board.log) is (task is Task.RETRY)


def test_what_fails_to_reopen_is_lost(tasks: Tasks, board: Board) -> None:
    board.how = refuse
    gate = tasks.gate
    assert tasks.carry_out(Task.REOPEN, gate) is Event.REFUSED
    assert gate.why == "busy"


def test_attempts_are_paced(tasks: Tasks, board: Board) -> None:
    board.how = refuse
    tasks.carry_out(Task.RETRY, tasks.gate)
    began = time.monotonic()
    tasks.carry_out(Task.RETRY, tasks.gate)
    assert time.monotonic() - began >= 0.015


def test_when_all_is_over_nothing_is_started_or_waited_for(tasks: Tasks, board: Board) -> None:
    tasks.start(tasks.gate)
    tasks.stopping.set()
    for task, result in (
        (Task.REOPEN, Event.REFUSED),
        (Task.RETRY, Event.REFUSED),
        (Task.DRAIN, Event.DRAINED),
        (Task.STOP, None),
    ):
        assert tasks.carry_out(task, tasks.gate) is result
    assert board.log.count("start") == 1


@pytest.mark.parametrize(("latency", "drain"), [(None, 0.0), (0.02, 0.02), (9.0, 0.05)])
def test_a_device_plays_what_it_has_within_bounds(
    tasks: Tasks, board: Board, latency: float | None, drain: float
) -> None:
    board.latency = latency  # type: ignore[assignment]
    assert tasks.drain == drain


def test_the_first_stream_is_stopped_by_itself(tasks: Tasks, board: Board) -> None:
    first = tasks.gate
    tasks.carry_out(Task.DOUBLE, first)
    assert tasks.carry_out(Task.LEAVE, first) is Event.LEFT
    assert tasks.carry_out(Task.CLEAR, first) is Event.CLEARED
    assert board.log == ["start", first]
