"""What a press means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.kiosk.ports import LongPressed, Pressed, TriggerEvent
from retell_voice.kiosk.triggers.presses import Edge, Presses

LONG = 0.8
SHORT_PRESS, LONG_PRESS = Pressed("b"), LongPressed("b")


@pytest.fixture
def presses() -> Presses:
    return Presses("b", LONG)


def test_without_a_call_it_calls_as_it_goes_down(presses: Presses) -> None:
    assert presses.edge(Edge(True, 5), in_call=False) == SHORT_PRESS
    assert not presses.undecided
    assert presses.edge(Edge(False, 9), in_call=True) is None  # however long it was held


@pytest.mark.parametrize(
    ("held", "meant"), [(0.05, SHORT_PRESS), (0.79, SHORT_PRESS), (0.81, LONG_PRESS)]
)
def test_in_a_call_it_depends_on_how_long_it_is_held(
    presses: Presses, held: float, meant: TriggerEvent
) -> None:
    assert presses.edge(Edge(True, 5), in_call=True) is None
    assert presses.undecided
    assert presses.edge(Edge(False, 5 + held), in_call=True) == meant
    assert not presses.undecided


def test_a_long_press_is_known_while_it_is_held(presses: Presses) -> None:
    presses.edge(Edge(True, 5), in_call=True)
    assert presses.held() == LONG_PRESS
    assert presses.held() is None
    assert presses.edge(Edge(False, 7), in_call=True) is None


def test_what_comes_up_without_having_gone_down_means_nothing(presses: Presses) -> None:
    assert presses.edge(Edge(False, 1), in_call=True) is None
    assert presses.held() is None
    presses.edge(Edge(True, 5), in_call=True)
    presses.forget()
    assert presses.edge(Edge(False, 5.1), in_call=True) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0, 3), st.booleans())))
def test_each_press_means_at_most_one_thing(steps: list[tuple[bool, bool, float, bool]]) -> None:
    presses, now, downs, meant = Presses("b", LONG), 0.0, 0, 0
    for down, in_call, wait, looks in steps:
        now += wait
        downs += down
        meant += presses.edge(Edge(down, now), in_call=in_call) is not None
        if looks and presses.undecided:
            meant += presses.held() is not None
        assert meant <= downs
    assert meant >= downs - sum(each[0] for each in steps if each[1])
