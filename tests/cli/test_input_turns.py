"""When the next file is said, and when all has been said and answered."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from retell_voice.cli.input_turns import ANSWER_WITHIN, GREETED_WITHIN, HANG_UP_AFTER, InputTurns
from retell_voice.cli.view import View, reduce
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    CallState,
    Event,
    InputFinished,
    Levels,
    StateChanged,
)

QUIET, LOUD = -90.0, -20.0
TICK = 0.1


@dataclass
class Source:
    """Files of a given length, or typed lines of none."""

    lengths: list[float]
    now: float = 0.0
    until: float = -1.0
    begun: list[float] = field(default_factory=list)

    @property
    def is_speaking(self) -> bool:
        return self.now < self.until

    @property
    def is_waiting(self) -> bool:
        return bool(self.lengths) and not self.is_speaking

    def go_on(self) -> None:
        self.begun.append(self.now)
        self.until = self.now + self.lengths.pop(0)


def hold(
    agent: list[tuple[float, float]],
    source: Source,
    *,
    waits: bool = True,
    typed: bool = False,
    silent_end: float = 0.0,
) -> float:
    """Hold a call with an agent that is heard at these times; return when it is over."""

    def over() -> bool:
        return typed and not source.lengths

    turns, view = InputTurns(source, waits=waits, is_over=over), View()
    view = reduce(view, StateChanged(state=CallState.LIVE, at=0.0))
    at, finished = 0.0, False
    while at < 100:
        at = source.now = round(at + TICK, 3)
        happened: list[Event] = [
            each
            for begin, end in agent
            for each in (
                AgentStarted(at=begin),
                AgentStopped(at=end, silent_since=end),
            )
            if at - TICK < each.at <= at
        ]
        loud = source.begun and at <= source.until - silent_end
        happened.append(Levels(near_end=LOUD if loud else QUIET, far_end=QUIET, at=at))
        if not typed and not finished and not source.lengths and at > source.until:
            finished = True
            happened.append(InputFinished(at=at))
        for event in happened:
            view = reduce(view, event)
            if turns.look(view):
                return at
    raise AssertionError("it never ended")


def test_each_file_waits_for_the_answer_before() -> None:
    source = Source([2.0, 2.0])
    ended = hold([(1.0, 4.0), (8.0, 9.0), (9.4, 11.0), (15.0, 18.0)], source)
    assert source.begun == [pytest.approx(4.7, abs=0.15), pytest.approx(11.7, abs=0.15)]
    assert ended == pytest.approx(18 + HANG_UP_AFTER, abs=0.15)


def test_an_agent_that_says_nothing_is_not_waited_for_for_ever() -> None:
    source = Source([2.0, 2.0])
    ended = hold([], source)
    second = GREETED_WITHIN + 2 + ANSWER_WITHIN
    assert source.begun == [pytest.approx(5, abs=0.15), pytest.approx(second, abs=0.3)]
    assert ended == pytest.approx(second + 2 + ANSWER_WITHIN, abs=0.4)


def test_silence_at_the_end_of_a_file_may_hold_the_answer() -> None:
    source = Source([6.0, 1.0])
    hold([(0.5, 1.0), (4.5, 6.5), (20.0, 21.0)], source, silent_end=4.0)
    assert source.begun[1] == pytest.approx(7.7, abs=0.2), "when the file is over"


def test_who_speaks_over_a_file_has_not_answered_it() -> None:
    source = Source([4.0, 1.0])
    hold([(0.5, 1.0), (3.0, 6.5), (9.0, 10.0)], source)
    assert source.begun[0] == pytest.approx(1.7, abs=0.15)
    assert source.begun[1] == pytest.approx(10.7, abs=0.15)


def test_files_that_do_not_wait_end_the_call_when_they_are_answered() -> None:
    for answer, limit in (([(4.0, 6.0)], 6 + HANG_UP_AFTER), ([], 2 + ANSWER_WITHIN)):
        source = Source([], until=2.0, begun=[0.0])
        assert hold(answer, source, waits=False) == pytest.approx(limit, abs=0.3)


def test_typed_lines_wait_too() -> None:
    source = Source([0.0, 0.0])
    ended = hold([(0.5, 1.0), (3.0, 5.0), (6.0, 7.0)], source, typed=True)
    assert source.begun == [pytest.approx(1.7, abs=0.15), pytest.approx(5.7, abs=0.15)]
    assert ended == pytest.approx(7 + HANG_UP_AFTER, abs=0.15)
    source = Source([0.0, 0.0])
    hold([(0.5, 9.0)], source, typed=True, waits=False)
    assert source.begun == [0.1, 0.2], "at once, whoever speaks"
