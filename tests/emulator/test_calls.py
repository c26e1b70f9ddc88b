"""The register of calls: expiry, limit, secrecy."""

from retell_voice.emulator.calls import Calls, CallStatus, RegisteredCall


def test_a_call_not_joined_in_time_expires() -> None:
    calls, call = Calls(expiry=300.0), RegisteredCall()
    calls.add(call, 0.0)
    assert calls.find(call.call_id, 300.0) is call
    assert call.status is CallStatus.REGISTERED
    calls.find(call.call_id, 300.1)
    assert call.status is CallStatus.ERROR
    assert call.disconnection_reason == "registered_call_timeout"


def test_a_joined_call_does_not_expire() -> None:
    calls, call = Calls(expiry=300.0), RegisteredCall()
    calls.add(call, 0.0)
    call.join(1.0)
    calls.find(call.call_id, 10_000.0)
    assert call.status is CallStatus.ONGOING


def test_beyond_the_limit_the_oldest_that_is_over_goes() -> None:
    calls = Calls(limit=2)
    first, second, third = RegisteredCall(), RegisteredCall(), RegisteredCall()
    assert calls.add(first, 0.0)
    assert calls.add(second, 0.0)
    assert not calls.add(third, 0.0)
    second.end(1.0, "user_hangup")
    assert calls.add(third, 1.0)
    assert calls.find(first.call_id, 1.0) is first
    assert calls.find(second.call_id, 1.0) is None


def test_the_call_id_does_not_show() -> None:
    call = RegisteredCall()
    assert call.call_id not in repr(call)
    assert call.call_id not in call.name
