"""When what stands in the transcript was spoken."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.report.account import Account
from retell_voice.report.turns import lines


def said(role: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": role, **more}


def account(told: list[tuple[float, dict[str, Any]]], **more: Any) -> Account:
    utterances = [each for _, each in told]
    return Account(utterances=utterances, seen=[at for at, _ in told], **{"end": 30.0, **more})


YOU = [(1.0, 2.0), (2.5, 4.0), (9.0, 10.0)]
AGENT = [(5.0, 8.0), (11.0, 14.0), (20.0, 22.0)]
WORDS = [{"word": "no", "start": 9.1, "end": 9.8}]


@pytest.mark.parametrize(
    ("told", "times"),
    [
        pytest.param([(4.3, said("user"))], [(1.0, 4.0)], id="with its pauses"),
        pytest.param([(1.2, said("user"))], [(1.0, 2.0)], id="while it is spoken"),
        pytest.param([(0.1, said("user"))], [(0.1, 0.6)], id="never heard"),
        pytest.param([(10.5, said("user"))], [(9.0, 10.0)], id="not what was long before"),
        pytest.param([(18.0, said("user", words=WORDS))], [(9.0, 10.0)], id="by its words"),
        pytest.param([(4.9, said("agent"))], [(5.0, 8.0)], id="about to be heard"),
        pytest.param([(6.0, said("agent"))], [(5.0, 8.0)], id="while it is heard"),
        pytest.param([(8.5, said("agent"))], [(11.0, 14.0)], id="over by then"),
        pytest.param([(29.0, said("agent"))], [(20.0, 22.0)], id="the last that was heard"),
        pytest.param([(3.0, said("dtmf"))], [(3.0, 3.5)], id="not speech"),
        pytest.param(
            [
                (4.3, said("user")),
                (4.4, said("agent")),
                (10.2, said("user")),
                (10.3, said("agent")),
            ],
            [(1.0, 4.0), (5.0, 8.0), (9.0, 10.0), (11.0, 14.0)],
            id="a conversation",
        ),
    ],
)
def test_when_it_was_spoken(
    told: list[tuple[float, dict[str, Any]]], times: list[tuple[float, float]]
) -> None:
    found = lines(account(told, you=YOU, agent=AGENT))
    assert [(each.begin, each.end) for each in found] == times


def test_an_answer_and_an_interruption() -> None:
    told = [(4.4, said("agent")), (10.2, said("agent"))]
    found = lines(account(told, agent=AGENT, responses=[(5.1, 0.8)], clears=[14.0]))
    assert [(each.delay, each.interrupted) for each in found] == [(0.8, False), (None, True)]


TIMES = st.floats(0, 30)
SPANS = st.lists(st.tuples(TIMES, TIMES), max_size=6)


@given(SPANS, SPANS, st.lists(st.tuples(TIMES, st.sampled_from(["agent", "user", "x"]))))
def test_lines_are_in_order_and_none_is_empty(
    you: list[tuple[float, float]],
    agent: list[tuple[float, float]],
    told: list[tuple[float, str]],
) -> None:
    found = lines(account([(at, said(role)) for at, role in told], you=you, agent=agent))
    assert len(found) == len(told)
    begins = [each.begin for each in found]
    assert begins == sorted(begins)
    assert all(each.begin <= each.end <= 30.0 for each in found)
