"""The calls that are kept: expiry, limits, secrecy."""

import gc
import time
import weakref
from typing import Any

from retell_voice.emulator.calls import Calls, CallStatus, RegisteredCall, size
from retell_voice.events import Utterance


def test_calls_not_joined_in_time_expire_in_their_order() -> None:
    calls = Calls(expiry=300.0)
    first, second, third, joined = (RegisteredCall() for _ in range(4))
    for at, call in enumerate((first, joined, second, third)):
        calls.add(call, float(at))
    joined.join(1.0)
    assert calls.expire(299.9) == []
    assert calls.next_expiry() == 300.0
    assert calls.expire(302.0) == [first, second]
    assert (first.status, first.disconnection_reason) == (
        CallStatus.ERROR,
        "registered_call_timeout",
    )
    assert joined.status is CallStatus.ONGOING
    assert calls.next_expiry() == 303.0
    third.join(302.5)
    assert calls.next_expiry() is None
    assert calls.expire(1e9) == []


def test_beyond_the_limit_the_oldest_that_is_over_goes() -> None:
    calls = Calls(limit=2)
    first, second, third = RegisteredCall(), RegisteredCall(), RegisteredCall()
    assert calls.add(first, 0.0)
    assert calls.add(second, 0.0)
    assert not calls.add(third, 0.0)
    second.end(1.0, "user_hangup")
    assert calls.add(third, 1.0)
    assert list(calls) == [first, third]
    assert calls.get(second.call_id) is None


def test_open_calls_are_fewer_than_those_kept() -> None:
    calls = Calls(limit=10, max_open=1)
    call = RegisteredCall()
    assert calls.add(call, 0.0)
    assert not calls.add(RegisteredCall(), 0.0)
    call.end(1.0, "user_hangup")
    assert calls.add(RegisteredCall(), 1.0)
    assert len(list(calls)) == 2


def test_the_call_id_does_not_show() -> None:
    call = RegisteredCall()
    assert call.call_id not in repr(call)
    assert call.call_id not in call.name


def test_calls_are_forgotten_when_they_hold_too_much_together() -> None:
    calls = Calls(max_bytes=60_000)
    kept = [RegisteredCall(metadata={"note": "x" * 10_000}) for _ in range(4)]
    for call in kept:
        assert calls.add(call, 0.0)
    large = RegisteredCall(metadata={"note": "x" * 10_000})
    assert not calls.add(large, 0.0), "all are open: there is nothing to forget"
    kept[1].end(1.0, "user_hangup")
    kept[3].end(1.0, "user_hangup")
    assert calls.add(large, 1.0)
    assert list(calls) == [kept[0], kept[2], kept[3], large]
    large.transcript = (Utterance("agent", "x" * 4000),)
    calls.weigh(large)
    assert list(calls) == [kept[0], kept[2], large]
    for call in list(calls):
        calls.remove(call)
    assert calls.add(RegisteredCall(metadata={"note": "x" * 56_000}), 2.0), "nothing is counted on"


def test_what_is_nested_deep_is_weighed() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert size(RegisteredCall(metadata={"deep": deep})) > 6_000_000


def test_many_calls_are_registered_and_expire_in_linear_time() -> None:
    calls = Calls(expiry=10.0)
    began = time.process_time()
    for number in range(4000):
        assert calls.add(RegisteredCall(), number / 1000)
        assert calls.expire(number / 1000) == []
        assert calls.next_expiry() == 10.0
    assert len(calls.expire(1000.0)) == 4000
    assert time.process_time() - began < 3, "a tenth of a second, or twenty if it is quadratic"


def test_calls_that_are_forgotten_are_let_go_before_their_time() -> None:
    calls = Calls(expiry=300.0, limit=10)
    there = [weakref.ref(_over(calls, number)) for number in range(500)]
    gc.collect()
    assert sum(each() is not None for each in there) < 100
    waiting = RegisteredCall()
    assert calls.add(waiting, 1.0)
    for number in range(200):
        _over(calls, number)
    assert calls.expire(301.0) == [waiting], "one that waits is not let go"


def _over(calls: Calls, number: int) -> RegisteredCall:
    call = RegisteredCall()
    assert calls.add(call, number / 1000)
    call.end(number / 1000, "user_hangup")
    return call
