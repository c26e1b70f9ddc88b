import pytest

from retell_voice.audio.playout_reports import Spoken, Started, Stopped
from retell_voice.engine.outcome import ended, heard
from retell_voice.errors import CallFailed, DeviceLost, Rejected
from retell_voice.events import AgentStarted, AgentStopped, Alignment, Statistics
from retell_voice.transport.ports import Closed

LOST = DeviceLost("speaker lost: it was unplugged")


@pytest.mark.parametrize(
    ("closed", "hung_up", "failure", "answered", "by", "code", "error", "words"),
    [
        (Closed("server", 1000, "bye"), False, None, True, "server", 1000, None, ""),
        (Closed("server", 1005, ""), False, None, True, "server", 1005, None, ""),
        (Closed("server", 1000, ""), False, None, False, "server", 1000, None, ""),
        (Closed("you", 1000, ""), True, None, True, "you", 1000, None, ""),
        (Closed("network", 1006, ""), True, None, True, "you", 1000, None, ""),
        (Closed("server", 1000, ""), True, None, True, "you", 1000, None, ""),
        (Closed("server", 1011, "llm"), False, None, True, "server", 1011, CallFailed, "1011 llm"),
        (Closed("server", 4000, ""), False, None, True, "server", 4000, CallFailed, "call: 4000"),
        (Closed("server", 1008, "no"), False, None, False, "server", 1008, Rejected, "1008 no"),
        (Closed("network", 1006, ""), False, None, True, "network", 1006, CallFailed, "off: 1006"),
        (Closed("you", 1000, ""), False, LOST, True, "device", 1000, DeviceLost, "unplugged"),
    ],
)
def test_how_a_call_ended(closed, hung_up, failure, answered, by, code, error, words) -> None:
    statistics = Statistics(at=12.5, frames_sent=3)
    event = ended(
        closed, statistics, hung_up=hung_up, failure=failure, defect=None, answered=answered
    )
    assert (event.at, event.by, event.code, event.statistics) == (12.5, by, code, statistics)
    assert type(event.error) is (error or type(None))
    assert words in str(event.error)
    if error in (CallFailed, Rejected):
        assert isinstance(event.error, CallFailed | Rejected)
        assert event.error.code == code


@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [
        (1011, "error_llm_websocket_open: nobody listens", "LLM server cannot be reached: "),
        (1011, "error_llm_websocket_runtime: it crashed", "LLM server failed: "),
        (1011, "it crashed", "the agent failed: "),
        (4001, "no such agent", ""),
    ],
)
def test_whose_part_it_was_that_the_server_closed(code: int, reason: str, hint: str) -> None:
    for answered in (True, False):
        error = ended(
            Closed("server", code, reason),
            Statistics(),
            hung_up=False,
            failure=None,
            defect=None,
            answered=answered,
        ).error
        assert error
        if hint:
            assert hint in error.hint
            assert error.hint.endswith("owner must fix this")
        else:
            assert error.hint.startswith("" if answered else "check the call_id")


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize(
    ("by", "code", "reason", "told"),
    [
        ("server", 1011, "", True),
        ("server", 4000, "no JSON", True),
        ("network", 1006, "", True),
        ("server", 1011, "error_llm_websocket_open", False),  # the server knows better
    ],
)
def test_what_may_have_brought_the_end_about_is_the_hint(by, code, reason, told, answered) -> None:
    closed = Closed(by, code, reason, "it was the heartbeat")
    event = ended(closed, Statistics(), hung_up=False, failure=None, defect=None, answered=answered)
    assert isinstance(event.error, CallFailed | Rejected)
    assert (event.error.hint == "it was the heartbeat") is told
    assert event.error.code == code


def test_a_normal_end_needs_no_hint() -> None:
    closed = Closed("server", 1000, "", "it was the heartbeat")
    event = ended(closed, Statistics(), hung_up=False, failure=None, defect=None, answered=True)
    assert event.error is None


def test_reports_become_events() -> None:
    assert heard(Started(5), 1000, 2.0, 0.25) == AgentStarted(at=1.75)
    assert heard(Spoken(5, "hi", 500), 1000, 2.0, 0.25) == Alignment(
        at=1.75, text="hi", duration=0.5
    )
    assert heard(Stopped(5), 1000, 2.0, 0.25) == AgentStopped(at=2.0, silent_since=1.75)
    assert heard(Stopped(5, True, 100), 1000, 2.0, 0.25) == AgentStopped(
        at=1.75, interrupted=True, discarded=0.1, silent_since=1.75
    )


def test_a_defect_is_told_as_one() -> None:
    closed = Closed("you", 1000, "")
    event = ended(
        closed,
        Statistics(),
        hung_up=False,
        failure=None,
        defect=KeyError("x"),
        answered=True,
    )
    assert event.error
    assert event.error.exit_code == 1
    assert "KeyError" in str(event.error)
