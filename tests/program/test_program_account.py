"""Waiting for a call's analysis, and how calls and agents may be named."""

import json
import re
from typing import Any

import pytest
from support.rest import answer, server

from retell_voice.errors import KeyRefused
from retell_voice.program.account import PAUSE, Account, key_from
from retell_voice.settings.schema import Sourced

KEY = "key_1234567890abcdef"
CALL = "call_0123456789abcdef"


class Sleeps:
    """Takes note of what is waited for, and waits not at all."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def call(status: str, **more: Any) -> bytes:
    return answer(json.dumps({"call_id": CALL, "call_status": status, **more}).encode())


BEGUN = {"start_timestamp": 1, "end_timestamp": 2}
ANALYSED = {**BEGUN, "call_analysis": {"call_summary": "short"}}


@pytest.mark.parametrize(
    ("answers", "wait_seconds", "pauses", "waits_for"),
    [
        ((call("ended", **ANALYSED),), 0, 0, []),
        (
            (call("ongoing", **BEGUN), call("ended", **BEGUN), call("ended", **ANALYSED)),
            9,
            2,
            ["its end", "its analysis"],
        ),
        (
            (call("ongoing", **BEGUN), call("ongoing", **BEGUN), call("ended", **ANALYSED)),
            0,
            2,
            ["its end"],
        ),
        # never joined: there is nothing to analyse
        ((call("registered"), call("error")), 0, 1, ["a caller"]),
        (
            (call("ended", **BEGUN), call("ended", **BEGUN, call_analysis={})),
            PAUSE,
            1,
            ["its analysis"],
        ),
    ],
)
async def test_a_call_is_waited_for_and_then_its_analysis(
    answers: tuple[bytes, ...], wait_seconds: float, pauses: int, waits_for: list[str]
) -> None:
    sleeps, told = Sleeps(), list[str]()
    async with server(*answers) as (url, heads):
        account = Account(KEY, url)
        await account.analysed(CALL, wait_seconds, tell=told.append, sleep=sleeps)
    assert [re.findall("waits for (.*);", each)[0] for each in told] == waits_for
    assert sleeps.slept == [PAUSE] * pauses
    assert len(heads) == len(answers)


async def test_an_id_costs_no_look_up() -> None:
    async with server() as (url, _):
        assert await Account(KEY, url).agent_id("agent_gone") == "agent_gone"
        assert await Account(KEY, url).call_id(CALL) == CALL


async def test_an_end_is_asked_for_among_those_that_go_on() -> None:
    page = answer(json.dumps({"items": [], "has_more": False}).encode())
    async with server(page) as (url, heads):
        with pytest.raises(Exception, match="no ongoing call ends in …cdef"):
            await Account(KEY, url).call_id("abcdef", ongoing=True)
    assert json.loads(heads.bodies[0])["filter_criteria"] == {
        "call_id": {"type": "string", "op": "ew", "value": "abcdef"},
        "call_status": {"type": "enum", "op": "in", "value": ["ongoing"]},
    }


def test_a_key_says_where_it_came_from() -> None:
    with pytest.raises(KeyRefused, match=r"^no\n") as caught, key_from(Sourced(KEY, "the file")):
        raise KeyRefused("no", "check it", status=401)
    assert caught.value.hint == "it came from the file; check it"
