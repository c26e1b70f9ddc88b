"""The calls that are kept: expiry, limits, secrecy."""

from retell_voice.emulator.calls import Calls, CallStatus, RegisteredCall


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
